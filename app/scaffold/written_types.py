"""Types as schemas write them: narrow ones, made of what YAML and the command line can say."""

import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from app.inspection.python_code import literal
from app.scaffold.signatures import NEEDED, Argument
from app.schemas import constraints

_PLAIN: Final[Mapping[object, str]] = {bool: "bool", int: "int", float: "float", str: "str"}
_TEXTS: Final = (Path, PathLike)
_LISTS: Final = (list, Sequence, Iterable, Collection, set, frozenset, AbstractSet)
_MAPPINGS: Final = (dict, Mapping)
_WORDS: Final[Mapping[str, type]] = {
    "bool": bool, "boolean": bool, "int": int, "integer": int, "float": float, "str": str, "string": str,
}  # fmt: skip
NAMED: Final = {name: value for name, value in vars(constraints).items() if get_origin(value) is Annotated}


def written_type(argument: Argument) -> str | None:
    """The type of a field for an argument; None where no config could hold its values.

    Without an annotation, the docstring's words and the default tell.
    """
    annotation = argument.annotation
    if annotation is NEEDED:
        annotation = _in_words(argument.said_type) or type(argument.default)
        if argument.default is NEEDED and annotation is type(NEEDED):
            return None
    members = _written(annotation)
    if argument.choices and "str" in members and argument.default in (*argument.choices, None, NEEDED):
        members[members.index("str")] = f"Literal[{', '.join(map(repr, argument.choices))}]"
    if argument.default is None and members:
        members.append("None")
    named = [member for member in dict.fromkeys(members) if member != "None"]
    return " | ".join([*named, *(["None"] if "None" in members else [])]) if named else None


def constrained(written: str, base: object) -> str:
    """The name of the base's own narrower type, where that is the type with limits."""
    for name, annotation in NAMED.items():
        if annotation == base and _PLAIN.get(get_args(annotation)[0]) == written:
            return name
    return written


def written_value(value: object, *, real: bool = False) -> str | None:
    """A default as Python writes it, with a point where a `real` number is meant; None for what is no plain value."""
    if real and type(value) is int:
        return literal(float(value))
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        items = [written_value(item) for item in value]
        comma = "," if len(items) == 1 else ""
        return None if None in items else f"({', '.join(map(str, items))}{comma})"
    if isinstance(value, Path):
        return literal(str(value))
    if type(value) not in (bool, int, float, str, type(None)):
        return None
    return None if value in (float("inf"), float("-inf")) or value != value else literal(value)


def _written(annotation: object) -> list[str]:
    """The members of a type as they are written; those that no config could hold are left out."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is None or annotation is type(None):
        return ["None"]
    if annotation in _PLAIN:
        return [_PLAIN[annotation]]
    if annotation in _TEXTS or origin in _TEXTS:
        return ["str"]
    if origin is Annotated:
        return _written(arguments[0])
    if origin is Literal:
        plain = all(isinstance(choice, str | int | bool | None) for choice in arguments)
        return [f"Literal[{', '.join(str(literal(choice)) for choice in arguments)}]"] if plain else []
    if origin in (Union, types.UnionType):
        return [written for member in arguments for written in _written(member)]
    if origin is tuple:
        return _tuple(arguments)
    if origin in _LISTS and arguments and (inner := _one(arguments[0])):
        return [f"tuple[{inner}, ...]"]
    if origin in _MAPPINGS and len(arguments) == 2 and _one(arguments[0]) == "str" and (inner := _one(arguments[1])):
        return [f"dict[str, {inner}]"]
    return []


def _tuple(arguments: tuple[Any, ...]) -> list[str]:
    items = [_one(item) for item in arguments if item is not Ellipsis]
    if not items or None in items:
        return []
    more = ", ..." if Ellipsis in arguments else ""
    return [f"tuple[{', '.join(map(str, items))}{more}]"]


def _one(annotation: object) -> str | None:
    return " | ".join(dict.fromkeys(_written(annotation))) or None


def _in_words(text: str) -> object:
    """The type that a docstring means by `float, optional` or `int or None`."""
    words = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    known = [_WORDS[word.casefold()] for word in words if word.casefold() in _WORDS]
    return Union[tuple(known)] if known else None  # noqa: UP007  # made of what is found
