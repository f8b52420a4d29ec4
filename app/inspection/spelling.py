"""Values as overrides: what the gate reads back from the text is the value again, to the last bit."""

import re
from typing import Any, Final

from app.overrides import quoted, read_overrides
from app.schemas.problems import AppError, Path, dotted
from app.schemas.registry import Group
from app.schemas.resolution import resolve

_FIRST: Final = re.compile(r"[A-Za-z_][\w-]*", re.ASCII)
_FURTHER: Final = re.compile(r"[\w-]+", re.ASCII)
_BARE: Final = re.compile(r"[A-Za-z_.][\w./-]*", re.ASCII)
_NO_TEXT: Final = ("null", "true", "false", "inf", "nan")
"""What stands for something else than a text where it is not quoted."""


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
    return f"{group.name}={spelt(list(value) if isinstance(value, list | tuple) else value)}"


def spelt(value: object) -> str:
    """A plain value in the grammar of overrides."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) and value.casefold() not in _NO_TEXT else quoted(value)
    if isinstance(value, list | tuple):
        return f"[{','.join(map(spelt, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{spelt(item)}' for key, item in value.items())}}}"
    return repr(value)
