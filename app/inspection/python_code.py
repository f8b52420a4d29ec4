"""Python expressions as text: calls, mappings and tuples, laid out as `ruff format` leaves them.

What fits into 88 columns stands on one line; anything longer has one entry a line, with a comma behind the last one. So
the text is stable under any wider setting too.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_WIDTH: Final = 88

_INDENT: Final = "    "


@dataclass(frozen=True)
class Entry:
    """One argument of a call, one entry of a mapping or tuple."""

    prefix: str
    """What stands before the value: `lr=`, `"focal": `, or nothing."""

    value: "Expression"

    comment: str = ""


@dataclass(frozen=True)
class Expression:
    """A value as it is written: `text` alone, or `text`, the entries and the bracket that closes them."""

    text: str
    entries: Sequence[Entry] = ()
    close: str = ""

    def flat(self) -> str:
        """On one line, without comments."""
        inner = ", ".join(entry.prefix + entry.value.flat() for entry in self.entries)
        comma = "," if self.text == "(" and len(self.entries) == 1 else ""
        return f"{self.text}{inner}{comma}{self.close}"

    def commented(self) -> bool:
        """Whether there is a comment in it, which needs a line of its own."""
        return any(entry.comment or entry.value.commented() for entry in self.entries)


def literal(value: object) -> str | None:
    """A text, number, boolean or None as Python writes it; None for what is none of these."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value) if value is None or isinstance(value, bool | int | float) else None


def quoted(text: str) -> str:
    """A text in double quotes, or in single ones when that spares escapes."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    body = repr('"' + text)[2:-1]  # with a double quote in it, single ones are around it

    def respelt(match: re.Match[str]) -> str:
        character = match[0].removeprefix("\\") if match[0] in ("\\'", '"') else match[0]
        return f"\\{character}" if character == quote else character

    return quote + re.sub(r"\\.|\"", respelt, body, flags=re.DOTALL) + quote


def laid_out(statement: str, value: Expression) -> str:
    """`statement`, as in `config = `, and the value behind it, over as many lines as it needs."""
    return "\n".join(_lines(statement, value, "", indent=0))


def imports(names: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    """Import statements, one for each module: its names, each with the name that it has here."""
    lines: list[str] = []
    for module, found in sorted(names.items()):
        texts = [name if name == here else f"{name} as {here}" for name, here in sorted(found)]
        line = f"from {module} import {', '.join(texts)}"
        if len(line) > _WIDTH:
            line = "\n".join([f"from {module} import (", *(f"{_INDENT}{text}," for text in texts), ")"])
        lines.append(line)
    return "\n".join(lines)


def _lines(prefix: str, value: Expression, end: str, *, indent: int, comment: str = "") -> Iterator[str]:
    start = _INDENT * indent
    line = f"{start}{prefix}{value.flat()}{end}"
    behind = f"  # {comment}" if comment else ""
    if not value.entries or (not value.commented() and len(line) <= _WIDTH):
        yield line + behind
        return
    yield f"{start}{prefix}{value.text}"
    for entry in value.entries:
        yield from _lines(entry.prefix, entry.value, ",", indent=indent + 1, comment=entry.comment)
    yield f"{start}{value.close}{end}{behind}"
