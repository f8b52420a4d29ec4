"""`# noqa: TLA306 <reason>` at the end of a line: its findings of that kind are meant.

What a run refuses cannot be silenced, and a comment without a reason, or without anything to silence, is itself one.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import yaml

from app.checks.diagnostics import Diagnostic, Severity
from app.schemas.codes import Code
from app.schemas.problems import did_you_mean

_COMMENT = re.compile(
    r"(?:^|\s)(?P<comment>#\s*noqa\b)(?P<codes>\s*:\s*[A-Za-z]+\d+(?:\s*,\s*[A-Za-z]+\d+)*)?(?P<reason>.*)",
    re.IGNORECASE,
)
_CODE = re.compile(r"[A-Za-z]+\d+")


@dataclass(frozen=True, kw_only=True)
class Comment:
    """One `# noqa` of a file."""

    file: str
    line: int
    column: int
    codes: tuple[str, ...]
    reason: str


def silenced(
    found: Iterable[Diagnostic], texts: Mapping[str, str], looked_for: Mapping[str, Collection[Code]]
) -> list[Diagnostic]:
    """The findings that no comment silences, and those about the comments.

    Args:
        found: What was found.
        texts: The text of every file that was checked.
        looked_for: The kinds that were looked for in each: no other comment can be called unneeded.
    """
    comments = [comment for file, text in texts.items() for comment in _comments(file, text)]
    silencing = {
        (comment.file, comment.line, code): comment for comment in comments if comment.reason for code in comment.codes
    }
    used: set[tuple[str, int, str]] = set()
    left: list[Diagnostic] = []
    for diagnostic in found:
        key = (diagnostic.file, diagnostic.line, str(diagnostic.code))
        if key in silencing and not diagnostic.refused:
            used.add(key)
        else:
            left.append(diagnostic)
    refused = {(each.file, each.line, str(each.code)) for each in left if each.refused}
    for comment in comments:
        left += _about(comment, used, refused, looked_for.get(comment.file, ()))
    return left


def _comments(file: str, text: str) -> Iterable[Comment]:
    start = 0
    values: list[tuple[int, int]] | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        found = _COMMENT.search(line) if "noqa" in line.casefold() else None
        if found is not None:
            values = _values(text) if values is None else values
            place = start + found.start("comment")
            if not any(first <= place < last for first, last in values):
                yield Comment(
                    file=file,
                    line=number,
                    column=found.start("comment") + 1,
                    codes=tuple(code.upper() for code in _CODE.findall(found["codes"] or "")),
                    reason=found["reason"].strip(" \t\r:,-()"),
                )
        start += len(line) + 1


def _values(text: str) -> list[tuple[int, int]]:
    """Where the values and keys of a text are: a sign in them begins no comment."""
    tokens: list[Any] = []
    with suppress(yaml.YAMLError):  # what is no YAML is reported elsewhere; up to there its values are known
        tokens.extend(yaml.scan(text, Loader=yaml.SafeLoader))
    return [(token.start_mark.index, token.end_mark.index) for token in tokens if isinstance(token, yaml.ScalarToken)]


def _about(
    comment: Comment,
    used: Collection[tuple[str, int, str]],
    refused: Collection[tuple[str, int, str]],
    looked_for: Collection[Code],
) -> Iterable[Diagnostic]:
    if not comment.codes:
        yield _finding(comment, Code.UNEXPLAINED, "names no code; expected # noqa: <code> <reason>")
        return
    if not comment.reason:
        wanted = f"# noqa: {', '.join(comment.codes)} <reason>"
        yield _finding(
            comment, Code.UNEXPLAINED, f"says no reason, and silences nothing without one; expected {wanted}"
        )
        return
    for code in comment.codes:
        what = "the comment" if len(comment.codes) == 1 else "it from the comment"
        key = (comment.file, comment.line, code)
        if code not in list(Code):
            yield _finding(comment, Code.UNNEEDED, f"there is no code {code}{did_you_mean(code, list(Code))}")
        elif key in refused:
            yield _finding(comment, Code.UNNEEDED, f"{code} cannot be silenced here: a run refuses it too")
        elif key not in used and Code(code) in looked_for:
            yield _finding(comment, Code.UNNEEDED, f"nothing in this line is {code}; remove {what}")


def _finding(comment: Comment, code: Code, message: str) -> Diagnostic:
    return Diagnostic(
        file=comment.file,
        line=comment.line,
        column=comment.column,
        code=code,
        path="noqa",
        message=message,
        severity=Severity.WARNING,
    )
