"""Conditions on an experiment's `defaults`: which option it has, by its own choice, its bases' or from the start."""

from collections.abc import Collection, Iterable
from typing import Final

from app.json_schema.types import Json

ALWAYS: Final[Json] = {}
NEVER: Final[Json] = {"not": {}}


def all_of(*conditions: Json) -> Json:
    """Whether each holds."""
    if NEVER in conditions:
        return NEVER
    left = [condition for condition in conditions if condition != ALWAYS]
    return left[0] if len(left) == 1 else {"allOf": left} if left else ALWAYS


def any_of(conditions: Iterable[Json]) -> Json:
    """Whether one holds."""
    left = [condition for condition in conditions if condition != NEVER]
    if ALWAYS in left:
        return ALWAYS
    return left[0] if len(left) == 1 else {"anyOf": left} if left else NEVER


def negated(condition: Json) -> Json:
    """Whether it does not hold."""
    if condition == ALWAYS:
        return NEVER
    return condition["not"] if condition.keys() == {"not"} else {"not": condition}


def chooses(group: str, option: str | None = None, *, none: bool = False) -> Json:
    """Whether the experiment itself chooses for a group: at all, this option, or none."""
    key = f"override /{group}"
    value: Json = {}
    if none:
        value = {"enum": [None, []]}
    elif option is not None:
        value = {"anyOf": [named(option), {"type": "array", "contains": named(option)}]}
    return _lists({"type": "object", "required": [key], "properties": {key: value}})


def named(option: str) -> Json:
    """Whether a text is this name; editors take a constant for what begins like it, too."""
    return {"type": "string", "pattern": f"^{option.replace('.', '[.]')}$"}


def builds_on(bases: Collection[str]) -> Json:
    """Whether it builds on one of these."""
    return _lists({"enum": sorted(bases)}) if bases else NEVER


def _lists(entry: Json) -> Json:
    return {
        "type": "object",
        "required": ["defaults"],
        "properties": {"defaults": {"type": "array", "contains": entry}},
    }


def within(path: Iterable[str], found: Json, *, needed: bool = False) -> Json:
    """The JSON Schema of a config that has this one at a path; `needed` when something has to be there.

    Editors shall not offer the names on the way once more, with nothing to say about them.
    """
    found = {"allOf": [found]} if "$ref" in found else found  # beside which nothing is looked at
    for part in reversed([*path]):
        found = {"properties": {part: {"doNotSuggest": True, **found}}, **({"required": [part]} if needed else {})}
    return found


def when(condition: Json, then: Json, otherwise: Json) -> Json:
    """One JSON Schema where a condition holds, another elsewhere."""
    if condition in (ALWAYS, NEVER):
        return then if condition == ALWAYS else otherwise
    return {"if": condition, **({"then": then} if then else {}), **({"else": otherwise} if otherwise else {})}
