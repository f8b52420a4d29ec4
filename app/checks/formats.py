"""Findings as text for people, as JSON, as GitHub's annotations, and as SARIF for code scanning."""

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final
from urllib.parse import quote

from app.checks.diagnostics import Diagnostic, Format, Severity
from app.checks.rules import RULES
from app.schemas.codes import Code

_GITHUB: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "notice"}
_SARIF: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.HINT: "note"}


def as_text(found: Sequence[Diagnostic]) -> str:
    """A line for each: `file:line:column: code path: message`."""
    return "\n".join(map(str, found))


def as_json(found: Sequence[Diagnostic]) -> str:
    """A list with an object for each; `file` is null for what was typed, which stands under `typed`."""
    return json.dumps(
        [
            {
                "file": each.file or None,
                "line": each.line or None,
                "column": each.column or None,
                "typed": each.typed or None,
                "code": each.code,
                "name": RULES[each.code].name,
                "severity": each.severity,
                "path": each.path,
                "message": each.message,
            }
            for each in found
        ],
        indent=2,
        ensure_ascii=False,
    )


def as_github(found: Sequence[Diagnostic]) -> str:
    """A workflow command for each, which GitHub shows beside the line.

    https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
    """
    return "\n".join(map(_annotation, found))


def _annotation(each: Diagnostic) -> str:
    properties = {"title": f"{each.code} {RULES[each.code].name}"}
    if each.file:
        properties = {"file": each.file, "line": str(each.line), "col": str(each.column), **properties}
    listed = ",".join(f"{name}={_escaped(value, ',:')}" for name, value in properties.items())
    about = f"{each.path}: " if each.path else ""
    typed = f"   {each.typed}" if each.typed else ""
    return f"::{_GITHUB[each.severity]} {listed}::{_escaped(f'{about}{each.message}{typed}')}"


def _escaped(text: str, further: str = "") -> str:
    return "".join(f"%{ord(sign):02X}" if sign in f"%\r\n{further}" else sign for sign in text)


def as_sarif(found: Sequence[Diagnostic]) -> str:
    """One run of SARIF 2.1.0 (OASIS, 2020), which code scanners and editors read."""
    codes = sorted({each.code for each in found})
    driver = {
        "name": "app check",
        "semanticVersion": version("typed-lightning-app"),
        "rules": [_rule(code) for code in codes],
    }
    log = {
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, codes.index(each.code)) for each in found],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


def _rule(code: Code) -> dict[str, Any]:
    rule = RULES[code]
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "defaultConfiguration": {"level": _SARIF[rule.severity]},
    }


def _result(each: Diagnostic, rule: int) -> dict[str, Any]:
    about = f"{each.path}: " if each.path else ""
    result: dict[str, Any] = {
        "ruleId": each.code,
        "ruleIndex": rule,
        "level": _SARIF[each.severity],
        "message": {"text": about + each.message + (f" ({each.typed})" if each.typed else "")},
    }
    if each.file:
        region = {"startLine": each.line, "startColumn": each.column}
        artifact = {"uri": quote(each.file.replace("\\", "/"))}
        result["locations"] = [{"physicalLocation": {"artifactLocation": artifact, "region": region}}]
    return result


WRITERS: Final[Mapping[Format, Callable[[Sequence[Diagnostic]], str]]] = {
    Format.TEXT: as_text,
    Format.JSON: as_json,
    Format.GITHUB: as_github,
    Format.SARIF: as_sarif,
}
