"""Values as they are typed: what the gate reads back from an override is the value again, to the last bit."""

import re
from collections.abc import Callable
from typing import Any, Final

from app.composing.overrides import quoted, read_overrides
from app.schemas.problems import AppError, Path, dotted
from app.schemas.registry import Group
from app.schemas.resolution import resolve

_FIRST: Final = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_FURTHER: Final = re.compile(r"[\w-]+", re.ASCII)
_BARE: Final = re.compile(r"[A-Za-z_.][\w./-]*", re.ASCII)
_NO_TEXT: Final = ("null", "true", "false", "inf", "nan")
"""What stands for something else than a text where it is not quoted."""

_LONGEST: Final = 60


class UnwritableError(AppError):
    """A value that the grammar of overrides has no words for: a key of a mapping with odd characters."""


def override(path: Path, value: object) -> str:
    """What to type to set the value at a path; it goes around keys that a path cannot name.

    Raises:
        UnwritableError: when there is no such text.
    """
    named = 1
    while named < len(path) and _FURTHER.fullmatch(str(path[named])):
        named += 1
    nested: Any = value
    for key in reversed(path[named:]):
        nested = {key: nested}
    text = f"{'.'.join(map(str, path[:named]))}={spelt(nested)}"
    read, _ = read_overrides([text]) if _FIRST.fullmatch(str(path[0])) else ([], [])
    if not read or resolve({"read": read[0].value})[0]["read"] != nested:
        raise UnwritableError(f"{dotted(path)} cannot be written as an override")
    return text


def choice(group: Group, value: object) -> str:
    """What to type to choose an option, or several, or none."""
    several = list(value) if isinstance(value, list | tuple) else [] if group.several and value is None else value
    return f"{group.name}={spelt(several)}"


def spelt(value: object) -> str:
    """A plain value in the grammar of overrides."""
    return as_typed(value, _quoted_where_needed)


def as_typed(value: object, text: Callable[[str], str] = lambda text: text if text.strip() else repr(text)) -> str:
    """A plain value for a person to read, as one would type it but for quotes; or with its texts as `text` has them."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return text(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(as_typed(item, text) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {as_typed(item, text)}' for key, item in value.items())}}}"
    return repr(value)


def shortened(text: str) -> str:
    """A text that may stand in one line with others."""
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _quoted_where_needed(text: str) -> str:
    return text if _BARE.fullmatch(text) and text.casefold() not in _NO_TEXT else quoted(text)
