"""What the choices of an experiment come to: its own, those of what it builds on, and what there is from the start."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final, cast

from app.json_schema.bases import Base, bases_of
from app.json_schema.choices import ALWAYS, NEVER, all_of, any_of, builds_on, chooses, negated
from app.json_schema.definitions import Definitions
from app.json_schema.types import Json
from app.schemas.annotations import alternatives, field_types
from app.schemas.module import ModuleConfig
from app.schemas.registry import Group, Option, groups, has_own_id
from app.schemas.run import DEFAULT_OPTIONS
from app.schemas.schema import is_schema
from app.schemas.validation import NAME
from app.stored_config import STORED

_FEW: Final = 4


class Outcomes:
    """Conditions on a file's data, each defined once."""

    def __init__(self, task: str, definitions: Definitions) -> None:
        self.task = task
        self.definitions = definitions
        self.bases = bases_of(task)
        self.by_id = {
            group.name: {base.name: found for base in self.bases if (found := base.ids(group))}
            for group in groups.values()
        }
        self.by_choice: dict[str, dict[str | None, set[str]]] = {name: {} for name in groups}
        for base in self.bases:
            for name, choice in base.choices.items():
                for option in _as_list(choice) or [None]:
                    self.by_choice[name].setdefault(option, set()).add(base.name)
        set_here = [{"required": [key], "properties": {key: {"type": "string"}}} for key in STORED]
        set_before = self._those(lambda base: any(isinstance(base.values.get(key), str) for key in STORED))
        self.stored = any_of([*set_here, self.builds_on(set_before)])
        """Whether a checkpoint's config takes the place of what there is from the start."""

        self.alone = negated(any_of([self.builds_on(self._those(lambda _: True)), self.stored]))
        """Whether nothing but the file itself sets anything."""

    def builds_on(self, bases: Collection[str]) -> Json:
        """Whether it builds on one of these; where they are many, they are listed once."""
        found = builds_on(bases)
        return found if len(bases) < _FEW else self.definitions.shared("if-builds-on", found)

    def chosen(self, group: Group, option: str | None) -> Json:
        """Whether what is chosen comes to this option, or to none; in a group of several, to this one among others."""
        choosing, same = self._choosing(group), self._choosing(group, option)
        others_do = [self.builds_on(choosing), self.stored]
        inherited = [
            all_of(self.builds_on(same), negated(self.builds_on(choosing - same))),
            all_of(self._from_the_start(group, option), *map(negated, others_do)),
        ]
        own = chooses(group.name, option, none=option is None)
        return self.definitions.condition(
            f"if-{group.name}={option}", any_of([own, all_of(any_of(inherited), negated(chooses(group.name)))])
        )

    def option(self, group: Group, option: str | None) -> Json:
        """Whether a part of a run is of this option; what a base chooses by `id` goes over all choices."""
        by_id = {name: ids[None] for name, ids in self.by_id[group.name].items() if None in ids}
        same = {name for name, found in by_id.items() if found == option and found is not None}
        by_value = all_of(self.builds_on(same), negated(self.builds_on({*by_id} - same)))
        return any_of([by_value, all_of(self.chosen(group, option), negated(self.builds_on({*by_id})))])

    def entries(self, group: Group) -> dict[str, dict[str | None, set[str]]]:
        """The entries of a group of several that bases make by `id`: the bases by option, by the entry's name."""
        found: dict[str, dict[str | None, set[str]]] = {}
        for base, ids in self.by_id[group.name].items():
            for name, option in ids.items():
                if not isinstance(name, str) or not re.fullmatch(NAME, name):  # a base may be wrong itself
                    continue
                own = self.definitions.choices(group).get(name)
                if own is None or not has_own_id(own.schema):
                    found.setdefault(name, {}).setdefault(option, set()).add(base)
        return found

    def unsure(self, group: Group, option: str | None = None) -> Json:
        """Whether it cannot be told if an entry is there: bases differ, or may have anything."""
        opaque = {name for name, ids in self.by_id[group.name].items() if None in ids}
        choosing, same = self._choosing(group), self._choosing(group, option)
        differing = all_of(negated(chooses(group.name)), self.builds_on(same), self.builds_on(choosing - same))
        return any_of([self.stored, self.builds_on(opaque), *([differing] if option is not None else [])])

    def has_part(self, module: Option, group: Group) -> bool:
        """Whether a module is made of parts of this group."""
        schema: Any = module.schema
        for part in group.path[1:]:
            inner = alternatives(field_types(schema).get(part)) if schema is not None else ()
            schema = next(filter(is_schema, inner), None)
        return schema is not None

    def setting(self, field: str) -> Json:
        """Whether it builds on something that sets this field of a run."""
        return any_of([self.stored, self.builds_on(self._those(lambda base: field in base.values))])

    def _choosing(self, group: Group, *option: str | None) -> set[str]:
        """The bases that choose for a group; with an option, those that choose it."""
        by_option = self.by_choice[group.name]
        return by_option.get(option[0], set()) if option else {name for named in by_option.values() for name in named}

    def _from_the_start(self, group: Group, option: str | None) -> Json:
        if group.name in DEFAULT_OPTIONS:
            default = DEFAULT_OPTIONS[group.name]
            names = [name and name.replace("${task}", self.task) for name in _as_list(default)]
            return ALWAYS if option in names else NEVER
        modules = self.definitions.choices(groups["module"]).items()
        return any_of(
            self.chosen(groups["module"], name)
            for name, module in modules
            if self.has_part(module, group) or group.several
            if option in _of_module(module, group)
        )

    def _those(self, fits: Callable[[Base], bool]) -> set[str]:
        return {base.name for base in self.bases if fits(base)}


def _of_module(module: Option, group: Group) -> Iterable[str | None]:
    """What a module has of a group that is part of a part."""
    if group.several:
        return cast(type[ModuleConfig], module.schema).default_losses
    node: Any = dict(module.preset)
    for part in group.path[1:]:
        node = node.get(part) if isinstance(node, dict) else None
    return [node.get("id") if isinstance(node, dict) else None]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
