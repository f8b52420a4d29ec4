"""The JSON Schema of a task's experiments: what stands where follows from the choices in `defaults`.

JSON Schema sees one file's data. What experiments bring along that others build on is written into the document, so it
is made anew when one of them changes. What it cannot see is left to `app check`: comments (so the `@package` header
too), rules between fields, what interpolations lead to, the order of lists, and how a number or text is spelt.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from app.choices import check_choice
from app.json_schema.choices import NEVER, all_of, negated, when, within
from app.json_schema.common import Common, common_definitions
from app.json_schema.definitions import Definitions, inside
from app.json_schema.outcomes import Outcomes
from app.json_schema.types import Json, of_type
from app.json_schema.writing import written
from app.schemas.annotations import field_types
from app.schemas.descriptions import first_paragraph, sentences, summary
from app.schemas.problems import Path
from app.schemas.registry import Group, Option, groups, options
from app.schemas.run import RunConfig, groups_in_order
from app.schemas.schema import required_fields
from app.schemas.validation import NAME
from app.tasks import import_task_configs

_NO_NAME: Final = f"^(?!{NAME}$)"
OPTIONS: Final = "../options"
"""The folder of what all tasks share, beside those of the tasks."""

_ABOUT: Final = (
    "Choices in `defaults`, and values by the part they are of. A header, if there is one, is `# @package _global_`;"
    " comments, rules between fields and what interpolations lead to are seen by `app check` only."
)


def document(task: str, common: Common | None = None) -> str:
    """The text of the file; experiments of the task are read, for others may build on them.

    `common` is what all tasks share, made anew without it.
    """
    import_task_configs()
    common = common or common_definitions()
    made = _Document(task, common.definitions)
    return written(
        made.root(), made.definitions.made, {name: f"{OPTIONS}/{file}" for name, file in common.files.items()}
    )


class _Document:
    def __init__(self, task: str, common: Definitions) -> None:
        self.task = task
        self.definitions = Definitions(task, common)
        self.outcomes = Outcomes(task, self.definitions)
        self.own = self.outcomes.own
        self.groups = [group for group in groups_in_order() if self._has_place(group)]

    def root(self) -> Json:
        """The document without its definitions."""
        fields = {name: self._field(name) for name in field_types(RunConfig)}
        conditions = [*self._groups(), *self._made_anew(), *self._of_other_modules()]
        return {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "description": f"An experiment of {self.task}. {_ABOUT}",
            "type": "object",
            "properties": {"defaults": self._defaults(), **fields},
            "additionalProperties": False,
            "allOf": conditions,
        }

    def _has_place(self, group: Group) -> bool:
        """Whether some part that experiments of the task can choose is made of parts of the group."""
        around = groups.get(group.path[0])
        if around is None or around is group:
            return True
        return any(self.outcomes.has_part(option, group) for option in self.definitions.choices(around).values())

    def _defaults(self) -> Json:
        bases = [{"const": base.name, "description": "An experiment to build on."} for base in self.outcomes.bases]
        choices = {
            f"override /{group.name}": {
                "description": first_paragraph(summary(group.base)),
                **self.definitions.choice(group),
            }
            for group in self.groups
        }
        choice = self.definitions.shared(
            "choice",
            {
                "type": "object",
                "properties": choices,
                "additionalProperties": False,
                "minProperties": 1,
                "maxProperties": 1,
            },
        )
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
        comes_to = self.outcomes.option
        if not self.outcomes.by_values(group):
            yield self.own.part(group)
            comes_to = self.outcomes.inherited
        for name, found in self.own.parts(group).items():
            yield from self._if(comes_to(group, name), found)

    def _entries(self, group: Group) -> Iterator[Json]:
        """The fields of each entry of a group of several: of what is chosen, or of what its `id` names."""
        by_bases, tagged = self.outcomes.entries(group), self.outcomes.tagged(group)
        choices = self.definitions.choices(group)
        names = sorted({*choices, *by_bases, *tagged})
        plain = [
            name
            for name in choices
            if name not in {*by_bases, *tagged} and self.outcomes.inherited(group, name) == NEVER
        ]
        others_make = {name for name, made in by_bases.items() if {*made} != {name}}
        yield self.own.entries(group, [name for name in choices if name not in others_make])
        yield when(self.outcomes.unsure(group), {}, self.own.entries_anew(group, plain))
        for name in names:
            if name not in plain:
                yield self._entry(group, name, by_bases.get(name, {}), tagged.get(name, {}))
        others = self.own.by_id(group, f"^(?!({'|'.join(names)})$)")
        yield when(self.outcomes.unsure(group), {}, others)
        yield within(group.path, {"patternProperties": {_NO_NAME: False}})

    def _entry(
        self, group: Group, name: str, by_bases: dict[str | None, set[str]], by_modules: dict[str, Json]
    ) -> Json:
        """What an entry of this name takes, when not only the experiment's own choice may make it.

        `by_bases` has the bases that make it an option by `id`, `by_modules` whether a module starts with it.
        """
        path = (*group.path, name)
        option = self.definitions.choices(group).get(name)
        found = when(self.outcomes.unsure(group, name), {}, self.own.by_id(group, f"^{name}$"))
        if option is not None:
            found = when(self.outcomes.chosen(group, name), self.own.entry(option), found)
        for started, there in by_modules.items():
            found = when(there, within(path, self.definitions.chosen(options[group.name][started])), found)
        made_by = {base for names in by_bases.values() for base in names}
        found = when(self.outcomes.builds_on(made_by), {}, found)
        for other, names in by_bases.items():
            alone = all_of(self.outcomes.builds_on(names), negated(self.outcomes.builds_on(made_by - names)))
            if other in options[group.name]:
                found = when(alone, within(path, self.definitions.chosen(options[group.name][other])), found)
        return found

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
