"""Every kind of finding has a name, a severity and a page, whose examples are what the page says they are."""

import re
from pathlib import Path

import pytest

from app.checks.diagnostics import Severity
from app.checks.lint import Subject, lint
from app.checks.rules import RULES, page
from app.composing.experiments import experiment_at
from app.schemas.codes import Code
from app.schemas.problems import ConfigError
from app.tasks import import_task_configs
from tests.gate.conftest import Write, experiment, folder

__all__ = ["experiment", "folder"]

_EXAMPLES = re.compile(r"^## (Wrong|Right)\n\n```(\w+)\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
OF_CONFIGS = [code for code in Code if code[3] in "1239" and code is not Code.OVERRIDE]


def examples(code: Code) -> dict[str, tuple[str, str]]:
    """The wrong and the right example of a page, each with its language."""
    return {title: (language, text) for title, language, text in _EXAMPLES.findall(page(code))}


def test_every_code_has_a_rule_with_a_name_of_its_own() -> None:
    assert list(RULES) == list(Code)
    assert all(rule.code is code for code, rule in RULES.items())
    names = [rule.name for rule in RULES.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z]+(-[a-z]+)*", name) for name in names)


def test_what_a_run_refuses_is_an_error_and_what_may_be_right_a_hint() -> None:
    severities = {code: rule.severity for code, rule in RULES.items()}
    assert {severities[code] for code in Code if code[3] in "12"} == {Severity.ERROR}
    assert severities[Code.MONITOR] is Severity.ERROR
    assert severities[Code.UNUSED] is Severity.WARNING
    assert [code for code in Code if severities[code] is Severity.HINT] == [Code.LEARNING_RATE, Code.UNCHECKED]


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_page(code: Code) -> None:
    text = page(code)
    rule = RULES[code]
    assert text.startswith(f"# {code} {rule.name}\n\n")
    assert rule.summary in " ".join(text.split())
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles == ["What it finds", "Why it matters", "Wrong", "Right", "How to silence it"]
    assert examples(code).keys() == {"Wrong", "Right"}
    assert text.endswith("\n")


def test_no_page_is_of_a_code_that_there_is_not() -> None:
    pages = Path(__file__).parents[2] / "app" / "checks" / "pages"
    assert {file.stem for file in pages.iterdir()} == set(map(str, Code))


def test_a_page_is_found_by_code_and_by_name_in_any_case() -> None:
    assert page("tla306") == page("TLA306") == page("same-as-before") == page(Code.SAME_AS_BEFORE)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("TLA310", "no code 'TLA310'; did you mean 'TLA301'?"),
        ("unknown-feild", "no code 'unknown-feild'; did you mean 'unknown-field'?"),
        ("xyz", "no code 'xyz'; there is TLA101, TLA102, "),
    ],
)
def test_a_misspelt_code_is_told_which_was_meant(word: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        page(word)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("code", OF_CONFIGS)
def test_the_wrong_example_of_a_page_has_what_the_page_is_about_and_the_right_one_has_not(
    code: Code, experiment: Write, folder: Path
) -> None:
    import_task_configs()
    for title, (language, text) in examples(code).items():
        assert language == "yaml"
        experiment(text)
        found = {each.code for each in lint([Subject(experiment=experiment_at(folder / "x.yaml"))]).found}
        if title == "Wrong":
            assert code in found
        else:
            assert code not in found
            assert found == set()
