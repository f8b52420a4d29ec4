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
        limits = [words for limit in arguments[1:] if (words := _limit(limit))]
        return " ".join([expected(arguments[0]), *([" and ".join(limits)] if limits else [])])
    if origin is Literal:
        return _alternatives([show(choice) for choice in arguments])
    if origin in (Union, types.UnionType):
        return _alternatives([expected(argument) for argument in arguments])
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"a list, each {expected(arguments[0])},".removesuffix(",")
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
        case MinLen(min_length=length):
            return f"of at least {length} entries"
        case MaxLen(max_length=length):
            return f"of at most {length} entries"
    return None


def _alternatives(words: Sequence[str]) -> str:
    if len(words) == 1:
        return words[0]
    comma = "," if any(", each" in word for word in words) else ""
    return f"{', '.join(words[:-1])}{comma} or {words[-1]}"
