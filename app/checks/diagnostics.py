"""What a check finds, at the place where a person has to look."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.schemas.codes import Code
from app.schemas.problems import FileSource, Problem


class Severity(StrEnum):
    """What follows from a finding."""

    ERROR = "error"
    """The run would be refused, would fail, or would not measure what it says."""

    WARNING = "warning"
    """The run works, and is probably not what was meant."""

    HINT = "hint"
    """Worth a look; a check that finds nothing else passes."""


class Format(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"
    SARIF = "sarif"


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
        where = f"{self.file}:{self.line}:{self.column}" if self.file else self.typed
        about = f"{self.path}: " if self.path else ""
        return f"{where}: {self.code} {about}{self.message}"


def diagnostics(
    problems: Iterable[Problem], severity: Severity, *, otherwise: str = "", refused: bool = False
) -> Iterator[Diagnostic]:
    """Problems as findings; what nobody set is blamed on `otherwise`, a place or words that were typed."""
    for problem in problems:
        source = problem.source or otherwise
        place = source if isinstance(source, FileSource) else FileSource("")
        in_file = bool(place.file)
        yield Diagnostic(
            file=place.file,
            line=place.line or int(in_file),
            column=place.column or int(in_file),
            code=problem.code,
            path=problem.path,
            message=problem.message,
            severity=severity,
            typed="" if in_file else source,
            refused=refused,
        )
