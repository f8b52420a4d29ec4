"""The JSON Schema of a task's experiments: what stands where follows from the choices in `defaults`.

JSON Schema sees one file's data. What experiments bring along that others build on is written into the document, so it
is made anew when one of them changes. What it cannot see is left to `app check`: comments (so the `@package` header
too), rules between fields, what interpolations lead to, the order of lists, and how a number or text is spelt.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Final

from app.choices import check_choice
from app.json_schema.choices import NEVER, all_of, negated, when, within
from app.json_schema.definitions import Definitions, inside
from app.json_schema.outcomes import Outcomes
from app.json_schema.types import Json, of_type
from app.schemas.annotations import field_types
from app.schemas.descriptions import first_paragraph, sentences, summary
from app.schemas.problems import Path
from app.schemas.registry import Group, Option, groups, options
from app.schemas.run import RunConfig, groups_in_order
from app.schemas.schema import required_fields
from app.schemas.validation import NAME
from app.tasks import import_task_configs

_NO_NAME: Final = f"^(?!{NAME}$)"
_ABOUT: Final = (
    "Choices in `defaults`, and values by the part they are of. A header, if there is one, is `# @package _global_`;"
    " comments, rules between fields and what interpolations lead to are seen by `app check` only."
)


def document(task: str) -> str:
    """The text of the file; experiments of the task are read, for others may build on them."""
    import_task_configs()
    return _written(_Document(task).whole(), levels=2) + "\n"


def _written(value: Json | list[Json], *, levels: int) -> str:
    """JSON with a line for each item of the outer levels: where one definition changes, one line does."""
    if not levels or not isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    if isinstance(value, dict):
        inner = [f"{json.dumps(key)}: {_written(item, levels=levels - 1)}" for key, item in value.items()]
        return "{\n" + ",\n".join(inner) + "\n}"
    return "[\n" + ",\n".join(_written(item, levels=levels - 1) for item in value) + "\n]"


class _Document:
    def __init__(self, task: str) -> None:
        self.task = task
        self.definitions = Definitions(task)
        self.outcomes = Outcomes(task, self.definitions)
        self.groups = groups_in_order()

    def whole(self) -> Json:
        """The document."""
        fields = {name: self._field(name) for name in field_types(RunConfig)}
        conditions = [*self._groups(), *self._made_anew(), *self._of_other_modules()]
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "description": f"An experiment of {self.task}. {_ABOUT}",
            "type": "object",
            "properties": {"defaults": self._defaults(), **fields},
            "additionalProperties": False,
            "allOf": conditions,
            "definitions": dict(sorted(self.definitions.made.items())),
        }

    def _defaults(self) -> Json:
        bases = [{"const": base.name, "description": "An experiment to build on."} for base in self.outcomes.bases]
        choices = {
            f"override /{group.name}": {
                "description": first_paragraph(summary(group.base)),
                **self.definitions.choice(group),
            }
            for group in self.groups
        }
        choice = {
            "type": "object",
            "properties": choices,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }
        itself = {"const": "_self_", "description": "This file; it comes last."}
        # What is still to be written may become either, and editors shall offer both.
        either = {"anyOf": [{"oneOf": [*bases, itself]}, choice]}
        return {
            "description": "What to choose, `override /group: option`, and which experiments to build on.",
            "type": "array",
            "uniqueItems": True,
            "items": {"if": {"type": "object"}, "then": choice, "else": either},
        }

    def _field(self, name: str) -> Json:
        """What is known of a field of a run, whatever is chosen."""
        described = {"description": sentences(RunConfig)[name]}
        if name not in groups:
            made = of_type(field_types(RunConfig)[name], partial(self._inner, anew=False))
            return described | inside(made)
        several = groups[name].several
        null = not several and check_choice(name, None) is None
        example = "[<option>, …]" if several else "<option>"
        advice = f"expected a mapping; options are chosen in defaults: override /{name}: {example}"
        return {**described, "type": ["object", "null"] if null else "object", "errorMessage": advice}

    def _groups(self) -> Iterator[Json]:
        """For each group, what its part takes once an experiment has one; and what a choice cannot do without."""
        for group in self.groups:
            found = self._entries(group) if group.several else self._part(group)
            set_here = {"type": "object", "required": [group.path[0]]}
            yield {"if": set_here, "then": {"allOf": [*found]}}
            for name, option in self.definitions.choices(group).items():
                yield from self._needed(option, (*group.path, name) if group.several else group.path)

    def _part(self, group: Group) -> Iterator[Json]:
        """The fields of the option that a group with one choice comes to."""
        if check_choice(group.name, None) is None:
            none = {"anyOf": [self.definitions.by_id(group), {"type": "null"}]}
            yield from self._if(self.outcomes.option(group, None), within(group.path, none))
        for name, option in self.definitions.choices(group).items():
            found = within(group.path, self.definitions.chosen(option))
            yield from self._if(self.outcomes.option(group, name), found)

    def _entries(self, group: Group) -> Iterator[Json]:
        """The fields of each entry of a group of several: of what is chosen, or of what its `id` names."""
        by_bases = self.outcomes.entries(group)
        names = sorted({*self.definitions.choices(group), *by_bases})
        for name in names:
            yield self._entry(group, name, by_bases.get(name, {}))
        yield when(self.outcomes.unsure(group), {}, self._by_id(group, f"^(?!({'|'.join(names)})$)"))
        yield within(group.path, {"patternProperties": {_NO_NAME: False}})

    def _entry(self, group: Group, name: str, by_bases: dict[str | None, set[str]]) -> Json:
        """What an entry of this name takes; `by_bases` has the bases that make it an option by `id`."""
        path = (*group.path, name)
        option = self.definitions.choices(group).get(name)
        found = when(self.outcomes.unsure(group, name), {}, self._by_id(group, f"^{name}$"))
        if option is not None:
            described = {"description": first_paragraph(summary(option.schema)), "doNotSuggest": False}
            chosen = {**described, "allOf": [self.definitions.chosen(option)]}
            found = when(self.outcomes.chosen(group, name), within(path, chosen), found)
        made_by = {base for names in by_bases.values() for base in names}
        found = when(self.outcomes.builds_on(made_by), {}, found)
        for other, names in by_bases.items():
            alone = all_of(self.outcomes.builds_on(names), negated(self.outcomes.builds_on(made_by - names)))
            if other in options[group.name]:
                found = when(alone, within(path, self.definitions.chosen(options[group.name][other])), found)
        return found

    def _by_id(self, group: Group, names: str) -> Json:
        # A pattern, since editors would offer the name of a property.
        return within(group.path, {"patternProperties": {names: self.definitions.by_id(group)}})

    def _needed(self, option: Option, path: Path) -> Iterator[Json]:
        """What an option cannot do without, where nothing but the file itself can set it."""
        needed = [name for name in required_fields(option.schema) if name not in option.preset]
        if needed:
            found = {"if": {"not": {"required": ["id"]}}, "then": {"required": needed}}
            condition = all_of(self.outcomes.chosen(option.group, option.name), self.outcomes.alone)
            yield from self._if(condition, within(map(str, path), found, needed=True))

    def _made_anew(self) -> Iterator[Json]:
        """Parts that are no options and that only a base can have made already."""
        for name, annotation in field_types(RunConfig).items():
            if name not in groups:
                new, changed = (of_type(annotation, partial(self._inner, anew=anew)) for anew in (True, False))
                if new != changed:
                    yield when(self.outcomes.setting(name), {}, within((name,), new))

    def _inner(self, cls: type, *, listed: bool, anew: bool) -> Json:
        return self.definitions.part(cls, anew=anew or listed)

    def _of_other_modules(self) -> Iterator[Json]:
        """Groups of parts that a module is not made of cannot be chosen with it."""
        of_modules = [group for group in self.groups if group.mount.startswith("module.")]
        by_id = {"required": ["module"], "properties": {"module": {"required": ["id"]}}}
        for name, module in self.definitions.choices(groups["module"]).items():
            unfit = {
                f"override /{group.name}": False for group in of_modules if not self.outcomes.has_part(module, group)
            }
            if unfit:
                found = within(("defaults",), {"items": {"properties": unfit}})
                yield from self._if(all_of(self.outcomes.option(groups["module"], name), negated(by_id)), found)

    def _if(self, condition: Json, then: Json) -> Iterator[Json]:
        if condition != NEVER:
            yield when(condition, then, {})
