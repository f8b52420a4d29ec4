"""A field's type in words: what would have been right, for the gate's messages."""

import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Interval, Le, Lt, MaxLen, MinLen
from pydantic import SecretStr

from app.schemas.constraints import LARGEST_INT
from app.schemas.problems import show

_WORDS: Mapping[object, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    SecretStr: "a text",
    type(None): "null",
    Any: "any value",
}


def expected(annotation: Any) -> str:
    """What a field of this type takes, in words.

    >>> expected(tuple[Annotated[float, Gt(0)], ...] | None)
    'a list, each a number above 0, or null'
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation in _WORDS:
        return _WORDS[annotation]
    if origin is Annotated:
        if get_origin(arguments[0]) is tuple:
            shortest = next((limit.min_length for limit in arguments[1:] if isinstance(limit, MinLen)), 0)
            longest = next((limit.max_length for limit in arguments[1:] if isinstance(limit, MaxLen)), None)
            return _list(arguments[0], shortest, longest)
        limits = [words for limit in arguments[1:] if (words := _limit(limit))]
        return " ".join([expected(arguments[0]), *([" and ".join(limits)] if limits else [])])
    if origin is Literal:
        return _alternatives([show(choice) for choice in arguments])
    if origin in (Union, types.UnionType):
        return _alternatives([words for argument in arguments for words in _choices(argument)])
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each {expected(arguments[0])}"
    if origin is tuple:
        each = f", each {expected(arguments[0])}" if len(set(arguments)) == 1 else ""
        return f"a list of {len(arguments)} values{each}"
    if origin in (dict, Mapping):
        return f"a mapping, each value {expected(arguments[1])}"
    if isinstance(annotation, type):
        return f"a mapping ({annotation.__name__})"
    return str(annotation)


def _limit(limit: object) -> str | None:
    match limit:
        case Gt(gt=bound):
            return f"above {bound}"
        case Ge(ge=bound):
            return f"of at least {bound}"
        case Lt(lt=bound):
            return f"below {bound}"
        case Le(le=bound):
            return None if bound == LARGEST_INT else f"of at most {bound}"
        case Interval():
            return None
        case MinLen(min_length=1):
            return "that is not empty"
    return None


def _list(annotation: Any, shortest: int, longest: int | None) -> str:
    """A list whose length is limited: `a list of 1 to 3 entries, each a number`."""
    each = expected(annotation).removeprefix("a list")
    if longest is not None:
        return f"a list of {shortest} to {longest} entries{each}"
    return f"a list that is not empty{each}" if shortest == 1 else f"a list of at least {shortest} entries{each}"


def _choices(annotation: Any) -> list[str]:
    """One member of a union; a literal's choices and a boolean's stand beside the union's other members."""
    if get_origin(annotation) is Literal:
        return [show(choice) for choice in get_args(annotation)]
    return ["true", "false"] if annotation is bool else [expected(annotation)]


def _alternatives(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    comma = "," if any(", each" in word for word in words) else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"
