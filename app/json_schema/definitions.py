"""The definitions that documents refer to: each schema class, option and field once.

A mapping in an experiment either changes a part that is there, and may name any of its fields, or makes one anew, which
takes all that has no default: what has an `id`, an entry of a mapping, an element of a list.
"""

import json
from collections.abc import Callable, Mapping
from typing import Final

from app.choices import check_choice
from app.json_schema.choices import ALWAYS, NEVER, named
from app.json_schema.types import INTERPOLATION, Json, of_type
from app.json_schema.writing import HERE
from app.schemas.annotations import field_types
from app.schemas.descriptions import first_paragraph, sentences, summary
from app.schemas.expectations import expected
from app.schemas.registry import Group, Option, group_of, has_own_id, options
from app.schemas.schema import import_path, is_schema, known_defaults, required_fields

_PART: Final[Json] = {
    "type": ["object", "string"],
    "pattern": INTERPOLATION,
    "patternErrorMessage": "expected a mapping, or ${…}",
}
_HAS_ID: Final[Json] = {"type": "object", "required": ["id"]}


class Definitions:
    """Makes definitions as they are asked for; each method gives a reference to one."""

    def __init__(self, task: str | None, common: "Definitions | None" = None) -> None:
        """Those of a task; without one, of what is the same for every task. What `common` has is not made again."""
        self.task = task
        self.made: dict[str, Json] = {}
        self._common = common.made if common is not None else {}
        self._shared: dict[str, dict[str, int]] = {}
        if common is not None:
            self._shared |= {name: dict(known) for name, known in common._shared.items()}

    def choices(self, group: Group) -> dict[str, Option]:
        """The options of a group that an experiment of the task can choose, in an order that no import changes."""
        return {name: option for name, option in sorted(options[group.name].items()) if self._can_choose(option)}

    def names(self, group: Group) -> Json:
        """The names of a group's options, with what each is."""
        return self._once(f"{group.name}=", lambda: {"oneOf": [*map(_with_summary, self.choices(group).values())]})

    def choice(self, group: Group) -> Json:
        """What may be chosen for a group."""
        if check_choice(group.name, None) is not None:
            return self.names(group)
        several = {"type": "array", "items": self.names(group), "uniqueItems": True}
        none = [{"type": "null"}, several if group.several else {"type": "array", "maxItems": 0}]
        return self._once(f"{group.name}-choice", lambda: {"anyOf": [self.names(group), *none]})

    def chosen(self, option: Option) -> Json:
        """A part that is of this option, unless an `id` makes it another."""
        return self._once(f"{option.group.name}={option.name}", lambda: self._chosen(option))

    def by_id(self, group: Group) -> Json:
        """A part whose option is named by its `id`."""
        return self._once(f"{group.name}-by-id", lambda: self._by_id(group))

    def any_of(self, group: Group) -> Json:
        """A part whose option cannot be known, unless an `id` names it."""
        by_id = {"if": _HAS_ID, "then": self.by_id(group)}
        return self._once(f"{group.name}-any", lambda: {**_PART, **by_id})

    def part(self, cls: type, *, anew: bool) -> Json:
        """A part of a fixed schema, or an option of a group when `cls` is a group's base."""
        group = group_of(cls)
        if group is not None and not group.presets_only:
            return self.by_id(group) if anew else self.any_of(group)
        anew = anew and self._differs_anew(cls)
        return self._once(f"{'new-' if anew else ''}{import_path(cls)}", lambda: self._fixed(cls, anew=anew))

    def field(self, cls: type, name: str, preset: Mapping[str, object], *, anew: bool) -> Json:
        """One field of a schema."""
        annotation = field_types(cls)[name]
        starts = {**known_defaults(cls), **preset}
        there = not anew and (name in preset or is_schema(type(starts.get(name))))

        def part(cls: type, *, listed: bool) -> Json:
            # An entry of a mapping may be there already, of an option that cannot be told; a list is always set whole.
            return self.part(cls, anew=anew or listed or not (there or group_of(cls)))

        takes = expected(annotation)
        known: Json = {}
        default = starts.get(name)
        parts = default.values() if isinstance(default, Mapping) else (default,)
        if name in starts and not any(is_schema(type(part)) for part in parts):
            takes += f"; {json.dumps(default, ensure_ascii=False)} by default"
            known = {} if default is None else {"default": default}  # which editors fail to insert as a text
        described = {"description": f"{sentences(cls).get(name, '')}\n\nTakes {takes}.".strip(), **known}
        declared = next(base for base in cls.__mro__ if name in vars(base).get("__annotations__", {}))
        return self.shared(f"{declared.__name__}.{name}", described | inside(of_type(annotation, part)))

    def fields_of(self, option: Option, *, anew: bool) -> Json:
        """A part that has this option's fields, whatever its `id` says."""
        made = self._part(option.schema, option.preset, anew=anew)
        if not option.group.presets_only and not (has_own_id(option.schema) and not anew):
            made["properties"]["id"] = {}  # what it may be is said where it chooses
        if not option.group.several and check_choice(option.group.name, None) is None:
            made["type"] = [*made["type"], "null"]
        return self.shared(option.schema.__name__, made)

    def condition(self, name: str, found: Json) -> Json:
        """A condition, so that what it takes to tell is written once; each document has those that it needs."""
        if found in (ALWAYS, NEVER) or found.keys() == {"$ref"}:
            return found
        return self._once(name, lambda: found, everywhere=True)

    def shared(self, name: str, made: Json) -> Json:
        """A definition under this name, numbered from the second on: what has one name may differ."""
        known = self._shared.setdefault(name, {})
        number = known.setdefault(json.dumps(made), len(known) + 1)
        return self._once(name if number == 1 else f"{name}-{number}", lambda: made)

    def _can_choose(self, option: Option) -> bool:
        if self.task is None:
            return option.group.name != "task" and option.owner is None
        return option.name == self.task if option.group.name == "task" else option.serves(self.task)

    def _chosen(self, option: Option) -> Json:
        fields = self.fields_of(option, anew=False)
        if option.group.presets_only or has_own_id(option.schema):
            return fields
        return {"if": _HAS_ID, "then": self.by_id(option.group), "else": fields}

    def _by_id(self, group: Group) -> Json:
        named = self.choices(group).items()
        return {
            **_PART,
            "required": ["id"],
            "properties": {"id": self.names(group)},
            "allOf": [{"if": _id_is(name), "then": self._anew(option)} for name, option in named],
            "errorMessage": f"needs the option's name as id, or the choice in defaults: override /{group.name}: …",
        }

    def _anew(self, option: Option) -> Json:
        fields = self.fields_of(option, anew=True)
        needed = [name for name in required_fields(option.schema) if name not in option.preset]
        return {"allOf": [fields, {"required": needed}]} if needed else fields

    def _part(self, cls: type, preset: Mapping[str, object], *, anew: bool) -> Json:
        return {
            **_PART,
            "properties": {name: self.field(cls, name, preset, anew=anew) for name in field_types(cls)},
            "additionalProperties": False,
        }

    def _fixed(self, cls: type, *, anew: bool) -> Json:
        made = self._part(cls, {}, anew=anew)
        return {**made, "required": required_fields(cls)} if anew and required_fields(cls) else made

    def _differs_anew(self, cls: type) -> bool:
        annotations = field_types(cls).values()
        return bool(required_fields(cls)) or any(is_schema(member) for member in annotations)

    def _once(self, name: str, make: Callable[[], Json], *, everywhere: bool = False) -> Json:
        name = name.replace("/", ".")  # which would lead into what it names
        if name not in self.made and (everywhere or name not in self._common):
            self.made[name] = {}  # seen by what refers to itself
            self.made[name] = make()
        return {"$ref": f"{HERE}{name}"}


def inside(made: Json) -> Json:
    """What a field holds: a part at one remove, since editors would insert a part's defaults along with its name."""
    if "$ref" not in made:
        return made
    return {"type": ["object", "string"], "allOf": [made]}


def _with_summary(option: Option) -> Json:
    return {"const": option.name, "description": first_paragraph(summary(option.schema))}


def _id_is(name: str) -> Json:
    return {"type": "object", "properties": {"id": named(name)}, "required": ["id"]}
