"""What a check finds, at the place where a person has to look."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.schemas.codes import Code
from app.schemas.problems import Problem

_PLACE = re.compile(r"(?P<file>[^=]+):(?P<line>\d+):(?P<column>\d+)")


class Severity(StrEnum):
    """What follows from a finding."""

    ERROR = "error"
    """The run would be refused, would fail, or would not measure what it says."""

    WARNING = "warning"
    """The run works, and is probably not what was meant."""

    HINT = "hint"
    """Worth a look; a check that finds nothing else passes."""


@dataclass(frozen=True, kw_only=True)
class Diagnostic:
    """One finding."""

    file: str
    """As somebody in the current folder names it; empty for what was typed on the command line."""

    line: int
    """Counted from 1, as the column is; 0 where there is no file."""

    column: int
    code: Code

    path: str
    """Dotted path of the value in the config."""

    message: str
    severity: Severity

    typed: str = ""
    """The override that is to blame, where it is no file."""

    refused: bool = False
    """Whether a run refuses this too, so that silencing it would help nobody."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.file else self.typed or "default"
        about = f"{self.path}: " if self.path else ""
        return f"{where}: {self.code} {about}{self.message}"


def diagnostics(
    problems: Iterable[Problem], severity: Severity, *, file: str = "", refused: bool = False
) -> Iterator[Diagnostic]:
    """Problems as findings; `file` is to blame for what no line of any file set."""
    for problem in problems:
        source = problem.source or ""
        place = _PLACE.fullmatch(source)
        in_file = place["file"] if place else "" if source else file
        yield Diagnostic(
            file=in_file,
            line=int(place["line"]) if place else int(bool(in_file)),
            column=int(place["column"]) if place else int(bool(in_file)),
            code=problem.code,
            path=problem.path,
            message=problem.message,
            severity=severity,
            typed="" if in_file else source,
            refused=refused,
        )
