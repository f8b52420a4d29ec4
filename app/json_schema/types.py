"""A field's type as JSON Schema: its kinds of value, their limits, and `${…}`, which may stand for any value."""

import sys
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Final, Literal, Protocol, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr

from app.schemas.constraints import DEVICE, DURATION, FILE_NAME, DeviceName, Duration, FileName
from app.schemas.expectations import expected
from app.schemas.schema import MISSING, is_schema

Json = dict[str, Any]
"""A JSON Schema, or a part of one."""

INTERPOLATION: Final = r"\$\{"
"""What a text has in it that stands for another value, or is made with one."""

_PATTERNS: Final[Mapping[object, tuple[str, str]]] = {
    get_args(Duration)[1]: (f"^{DURATION}$", "a length of time as 'DD:HH:MM:SS'"),
    get_args(DeviceName)[1]: (f"^{DEVICE}$", "a device such as 'cpu' or 'cuda:1'"),
    get_args(FileName)[-1]: (f"^{FILE_NAME}$", "a file's name without folders"),
}
"""What the validators of texts look for; what other ones look for, only the gate knows."""

_KINDS: Final[Mapping[object, str]] = {bool: "boolean", int: "integer", float: "number", type(None): "null"}
_FEW: Final[Mapping[str, tuple[object, ...]]] = {"boolean": (True, False), "null": (None,)}
"""Kinds of so few values that they stand beside a literal's choices."""

_LIMITS: Final = (
    (Ge, "ge", "minimum"),
    (Gt, "gt", "exclusiveMinimum"),
    (Le, "le", "maximum"),
    (Lt, "lt", "exclusiveMaximum"),
    (MinLen, "min_length", "minItems"),
    (MaxLen, "max_length", "maxItems"),
)


class Part(Protocol):
    """Gives the JSON Schema of a schema that stands inside a field; `listed` says that it is an element of a list."""

    def __call__(self, cls: type, *, listed: bool) -> Json: ...  # noqa: D102


def of_type(annotation: Any, part: Part, *, listed: bool = False) -> Json:
    """The JSON Schema of a field's type; `part` gives those of the schemas inside it."""
    found = [_member(member, limits, part, listed) for member, limits in _members(annotation)]
    if {} in found:
        return {}
    choices = [choice for member in found for choice in member.get("enum", ())]
    plain = [member for member in found if "enum" not in member and "$ref" not in member]
    for kind, values in _FEW.items():
        if choices and {"type": kind} in plain:
            plain.remove({"type": kind})
            choices += values
    kinds = [member["type"] for member in plain]
    if "string" not in kinds and not any("$ref" in member for member in found):
        plain.append({"type": "string", "pattern": INTERPOLATION})
    apart = [plain] if not {"integer", "number"} <= {*kinds} else [[member] for member in plain]
    alternatives: list[Json] = [
        *([{"enum": choices}] if choices else []),
        *(member for member in found if "$ref" in member),
        *(_together(members) for members in apart if members),
    ]
    if len(alternatives) > 1:
        return {"anyOf": alternatives}
    (only,) = alternatives
    return only if "$ref" in only else {**only, "errorMessage": f"expected {expected(annotation)}, or ${{…}}"}


def _members(annotation: Any) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The plain types of a union, each with its limits."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from ((member, (*limits, *arguments[1:])) for member, limits in _members(arguments[0]))
    elif origin in (Union, UnionType):
        for argument in arguments:
            yield from _members(argument)
    else:
        yield annotation, ()


def _member(member: Any, limits: tuple[Any, ...], part: Part, listed: bool) -> Json:
    origin, arguments = get_origin(member), get_args(member)
    if is_schema(member):
        return part(member, listed=listed)
    if member is Any:
        return {}
    if origin is Literal:
        return {"enum": list(arguments)}
    if member in (str, SecretStr):
        return _text(limits)
    found: Json = {}
    for limit in limits:
        found |= {keyword: getattr(limit, name) for kind, name, keyword in _LIMITS if isinstance(limit, kind)}
    if origin is tuple:
        return {"type": "array", **_items(arguments, part), **found}
    if origin in (dict, Mapping):
        keys = {"propertyNames": {"pattern": "^[-+]?[0-9]+$"}} if arguments[0] is int else {}
        return {"type": "object", "additionalProperties": of_type(arguments[1], part, listed=listed), **keys}
    if member is float:
        found |= _finite(found)
    return {"type": _KINDS[member], **found}


def _text(limits: tuple[Any, ...]) -> Json:
    shortest = [limit.min_length for limit in limits if isinstance(limit, MinLen)]
    form: Json = {"not": {"const": MISSING}}
    for pattern, meaning in (_PATTERNS[limit] for limit in limits if limit in _PATTERNS):
        form |= {"pattern": f"{pattern}|{INTERPOLATION}", "patternErrorMessage": f"expected {meaning}, or ${{…}}"}
    return {"type": "string", **form, **({"minLength": max(shortest)} if shortest else {})}


def _items(arguments: tuple[Any, ...], part: Part) -> Json:
    if arguments[-1] is Ellipsis:
        return {"items": of_type(arguments[0], part, listed=True)}
    items = [of_type(argument, part, listed=True) for argument in arguments]
    each: Any = items[0] if all(item == items[0] for item in items) else items
    return {"items": each, "minItems": len(items), "maxItems": len(items)}


def _finite(limits: Json) -> Json:
    """Bounds that infinity is beyond, where a number has none of its own."""
    largest = sys.float_info.max
    low = {} if {"minimum", "exclusiveMinimum"} & limits.keys() else {"minimum": -largest}
    return low | ({} if {"maximum", "exclusiveMaximum"} & limits.keys() else {"maximum": largest})


def _together(members: list[Json]) -> Json:
    """One JSON Schema of several whose values are of different kinds: a keyword only judges the kinds it is for."""
    merged: Json = {}
    for member in members:
        merged |= member
    kinds = [member["type"] for member in members]
    return {**merged, "type": kinds if len(kinds) > 1 else kinds[0]}
