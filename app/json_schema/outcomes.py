"""What the choices of an experiment come to: its own, those of what it builds on, and what there is from the start."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, cast, get_args

from app.composing.stored_config import STORED
from app.json_schema.bases import Base, bases_of
from app.json_schema.choices import ALWAYS, NEVER, all_of, any_of, builds_on, negated
from app.json_schema.definitions import Definitions
from app.json_schema.own_choices import OwnChoices
from app.json_schema.types import Json
from app.schemas.annotations import alternatives, field_types
from app.schemas.module import ModuleConfig
from app.schemas.registry import Group, Option, groups, has_own_id, option_at, options
from app.schemas.run import DEFAULT_OPTIONS
from app.schemas.schema import is_schema
from app.schemas.task import TaskKind
from app.schemas.validation import NAME

_FEW: Final = 4


class Outcomes:
    """Conditions on a file's data, each defined once."""

    def __init__(self, task: str, definitions: Definitions) -> None:
        self.task = task
        self.definitions = definitions
        self.own = OwnChoices(definitions)
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
        set_before = self._those(lambda base: any(isinstance(base.values.get(key), str) for key in STORED))
        self.stored = any_of([self.own.stored(), self.builds_on(set_before)])
        """Whether a checkpoint's config takes the place of what there is from the start."""

        alone = negated(any_of([self.builds_on(self._those(lambda _: True)), self.stored]))
        self.alone = definitions.condition("if-alone", alone)
        """Whether nothing but the file itself sets anything."""

    def builds_on(self, bases: Collection[str]) -> Json:
        """Whether it builds on one of these; where they are many, they are listed once."""
        found = builds_on(bases)
        return found if len(bases) < _FEW else self.definitions.shared("if-builds-on", found)

    def inherited(self, group: Group, option: str | None) -> Json:
        """Whether the experiment itself chooses nothing for a group, and all else comes to this option, or to none."""
        choosing, same = self._choosing(group), self._choosing(group, option)
        others_do = [self.builds_on(choosing), self.stored]
        found = [
            all_of(self.builds_on(same), negated(self.builds_on(choosing - same))),
            all_of(self._from_the_start(group, option), *map(negated, others_do)),
        ]
        return all_of(any_of(found), negated(self.own.chooses(group)))

    def chosen(self, group: Group, option: str | None) -> Json:
        """Whether what is chosen comes to this option, or to none; in a group of several, to this one among others."""
        own = self.own.chooses_option(group, option)
        return self.definitions.condition(f"if-{group.name}={option}", any_of([own, self.inherited(group, option)]))

    def by_values(self, group: Group) -> bool:
        """Whether a base chooses the option by `id`, which goes over all choices."""
        return any(None in ids for ids in self.by_id[group.name].values())

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

    def tagged(self, group: Group) -> dict[str, dict[str, Json]]:
        """What other parts start with under names of its own: whether such an entry is there, by name and option."""
        as_at_first = [
            negated(self.own.chooses(group)),
            negated(self.builds_on(self._choosing(group))),
            negated(self.stored),
        ]
        found: dict[str, dict[str, list[Json]]] = {}
        for around, name, option in self._at_first(group):
            if name is not None and option is not None and name != option:
                there = all_of(self.chosen(around.group, around.name), *as_at_first)
                found.setdefault(name, {}).setdefault(option, []).append(there)
        return {name: {option: any_of(there) for option, there in named.items()} for name, named in found.items()}

    def unsure(self, group: Group, option: str | None = None) -> Json:
        """Whether it cannot be told if an entry is there: bases differ, or may have anything."""
        opaque = {name for name, ids in self.by_id[group.name].items() if None in ids}
        choosing, same = self._choosing(group), self._choosing(group, option)
        differing = all_of(negated(self.own.chooses(group)), self.builds_on(same), self.builds_on(choosing - same))
        return any_of([self.stored, self.builds_on(opaque), *([differing] if option is not None else [])])

    def has_part(self, around: Option, group: Group) -> bool:
        """Whether a part of this option is made of parts of the group."""
        schema: Any = around.schema
        for part in group.path[1:-1]:
            inner = alternatives(field_types(schema).get(part)) if schema is not None else ()
            schema = next(filter(is_schema, inner), None)
        return schema is not None and group.path[-1] in field_types(schema)

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
        return any_of(
            self.chosen(around.group, around.name)
            for around, name, found in self._at_first(group)
            if found == option and name in (None, option)
        )

    def _at_first(self, group: Group) -> Iterator[tuple[Option, str | None, str | None]]:
        """What parts start with of a group inside them: the option of the part, an entry's name, and its option."""
        if group.name in DEFAULT_OPTIONS:
            return
        if group.name == "loss":
            for module in self.definitions.choices(groups["module"]).values():
                yield from ((module, tag, option) for tag, option in self._terms_of(module))
            return
        for around in self.definitions.choices(groups[group.path[0]]).values():
            node: Any = around.tree
            for part in group.path[1:]:
                node = node.get(part) if isinstance(node, Mapping) else None
            if not group.several:
                if self.has_part(around, group):
                    yield around, None, _option_of(node)
            elif isinstance(node, Mapping):
                yield from ((around, str(name), _option_of(entry)) for name, entry in node.items())

    def _terms_of(self, module: Option) -> Iterator[tuple[str, str]]:
        """The losses that a module starts with, by tag; of every kind of task where a part of the task tells which."""
        task = options["task"].get(self.task)
        kind = task.tree.get("kind") if task is not None else None
        schema = cast(type[ModuleConfig], module.schema)
        for each in (kind,) if kind in get_args(TaskKind) else get_args(TaskKind):
            yield from ((tag, option) for tag, (option, _) in schema.default_terms(each).items())

    def _those(self, fits: Callable[[Base], bool]) -> set[str]:
        return {base.name for base in self.bases if fits(base)}


def _option_of(node: Any) -> str | None:
    """The option of a part, from what composing starts with."""
    if not isinstance(node, Mapping):
        return None
    if isinstance(name := node.get("id"), str):
        return name
    option = option_at(node.get("_target_"))
    return option.name if option is not None else None


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
