"""What the annotations of fields say: the types of a schema's fields, and what such a type is made of."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import SecretStr


@cache
def field_types(cls: type) -> Mapping[str, Any]:
    """The fields of a schema with their types, `Annotated` limits included, in the order they are written."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


@cache
def nesting_fields(cls: type) -> frozenset[str]:
    """The fields of a schema that may hold parts, lists or mappings; all others hold single values."""
    return frozenset(
        name
        for name, annotation in field_types(cls).items()
        for member in alternatives(annotation)
        if get_origin(member) in (tuple, dict) or dataclasses.is_dataclass(member)
    )


def alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, nested ones and `Annotated` unwrapped; a plain type is its own only member."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(found for member in get_args(annotation) for found in alternatives(member))
    return (annotation,)


def element_type(annotation: Any, part: str | int) -> Any:
    """The type of one element of a tuple or mapping field, looking through unions; None for other types."""
    for alternative in alternatives(annotation):
        origin, arguments = get_origin(alternative), get_args(alternative)
        if origin is tuple and isinstance(part, int):
            if arguments[-1] is Ellipsis:
                return arguments[0]
            return arguments[part] if part < len(arguments) else None
        if origin in (dict, Mapping):
            return arguments[1]
    return None


def literals(annotation: Any) -> list[object]:
    """The choices of every literal in a type."""
    return [
        choice for member in alternatives(annotation) if get_origin(member) is Literal for choice in get_args(member)
    ]


def admits(annotation: Any, *types: type) -> bool:
    """Whether a type is one of these, or a union with one of them."""
    return any(member in types for member in alternatives(annotation))


def is_secret(annotation: Any) -> bool:
    """Whether values of this type must never be written anywhere."""
    return SecretStr in alternatives(annotation)
