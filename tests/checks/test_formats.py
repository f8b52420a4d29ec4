import json
from typing import Any

import pytest
from pydantic import BaseModel
from sarif_pydantic import Sarif

from app.checks.diagnostics import Diagnostic, Format, Severity
from app.checks.formats import WRITERS
from app.checks.rules import RULES
from app.schemas.codes import Code

IN_A_FILE = Diagnostic(
    file="app/tasks/digits/experiments/ro bust.yaml",
    line=7,
    column=3,
    code=Code.UNKNOWN_FIELD,
    path="optimizer_spec.lerning_rate",
    message="100 % wrong; did you mean 'lr'?",
    severity=Severity.ERROR,
    refused=True,
)
TYPED = Diagnostic(
    file="",
    line=0,
    column=0,
    code=Code.LEARNING_RATE,
    path="optimizer_spec.lr",
    message="is large",
    severity=Severity.HINT,
    typed="optimizer_spec.lr=3.0",
)


def test_a_line_says_the_place_the_code_and_the_message() -> None:
    assert WRITERS[Format.TEXT]([IN_A_FILE, TYPED]).splitlines() == [
        f"{IN_A_FILE.file}:7:3: TLA201 optimizer_spec.lerning_rate: 100 % wrong; did you mean 'lr'?",
        "optimizer_spec.lr=3.0: TLA309 optimizer_spec.lr: is large",
    ]


def test_json_has_everything_by_name() -> None:
    in_a_file, typed = json.loads(WRITERS[Format.JSON]([IN_A_FILE, TYPED]))
    assert in_a_file == {
        "file": IN_A_FILE.file,
        "line": 7,
        "column": 3,
        "typed": None,
        "code": "TLA201",
        "name": RULES[Code.UNKNOWN_FIELD].name,
        "severity": "error",
        "path": IN_A_FILE.path,
        "message": IN_A_FILE.message,
    }
    assert (typed["file"], typed["line"], typed["typed"]) == (None, None, "optimizer_spec.lr=3.0")


def test_github_shows_it_beside_the_line() -> None:
    first, second = WRITERS[Format.GITHUB]([IN_A_FILE, TYPED]).splitlines()
    assert first.startswith("::error file=app/tasks/digits/experiments/ro bust.yaml,line=7,col=3,title=TLA201 unknown-")
    assert first.endswith("-field::optimizer_spec.lerning_rate: 100 %25 wrong; did you mean 'lr'?")
    assert second == "::notice title=TLA309 learning-rate::optimizer_spec.lr: is large   optimizer_spec.lr=3.0"


def test_what_would_end_a_github_command_early_is_escaped() -> None:
    found = Diagnostic(
        file="a:b,c.yaml", line=1, column=1, code=Code.TYPE, path="", message="two\nlines", severity=Severity.ERROR
    )
    assert WRITERS[Format.GITHUB]([found]).startswith("::error file=a%3Ab%2Cc.yaml,line=1,")
    assert WRITERS[Format.GITHUB]([found]).endswith("::two%0Alines")


def test_sarif_is_read_by_another_implementation() -> None:
    log = Sarif.model_validate_json(WRITERS[Format.SARIF]([IN_A_FILE, TYPED]))
    assert unknown(log) == ["columnKind"]  # of the standard (3.14.17), and not of that implementation
    (run,) = log.runs
    assert [rule.id for rule in run.tool.driver.rules or []] == ["TLA201", "TLA309"]
    assert run.results is not None
    first, second = run.results
    assert (first.rule_id, first.level and first.level.value) == ("TLA201", "error")
    assert (second.rule_id, second.level and second.level.value) == ("TLA309", "note")
    assert first.locations is not None
    place: Any = first.locations[0].physical_location
    assert place.artifact_location.uri == "app/tasks/digits/experiments/ro%20bust.yaml"
    assert (place.region.start_line, place.region.start_column) == (7, 3)
    assert not second.locations


@pytest.mark.parametrize("form", Format)
def test_finding_nothing_is_well_formed_too(form: Format) -> None:
    text = WRITERS[form]([])
    assert text == "" or json.loads(text) in ([], json.loads(WRITERS[Format.SARIF]([])))


def unknown(model: object) -> list[str]:
    """The properties that SARIF does not have."""
    if isinstance(model, BaseModel):
        inner = [name for value in vars(model).values() for name in unknown(value)]
        return [*(model.model_extra or {}), *inner]
    if isinstance(model, list):
        return [name for value in model for name in unknown(value)]
    return []
