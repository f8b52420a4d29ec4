import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROMISED = ROOT / "tests/typing/promised_types.py"
REFUSED = ROOT / "tests/typing/must_stay_errors.py"


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, int], str]:
    """What mypy, as strict as `make check` runs it, reports in the two files: the message for each file and line."""
    command = [sys.executable, "-m", "mypy", "--no-error-summary", str(PROMISED), str(REFUSED)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    report = done.stdout
    lines = [re.fullmatch(r"(.+?):(\d+): error: (.+)", line) for line in report.splitlines()]
    errors = {(Path(line[1]).name, int(line[2])): line[3] for line in lines if line}
    assert len(errors) == report.count(": error: "), "every error has a line of its own"
    return errors


def test_types_are_what_they_are_promised_to_be(found: dict[tuple[str, int], str]) -> None:
    assert PROMISED.read_text().count("assert_type(") > 30
    assert [error for error in found.items() if error[0][0] == PROMISED.name] == []


def test_wrong_configs_in_python_stay_errors(found: dict[tuple[str, int], str]) -> None:
    lines = REFUSED.read_text().splitlines()
    expected = {
        number + 1: line.removeprefix("# error: ")
        for number, line in enumerate(lines, start=1)
        if line.startswith("# error: ")
    }
    assert len(expected) > 30
    assert {line: message for (file, line), message in found.items() if file == REFUSED.name} == expected


def test_no_other_file_has_errors_that_these_files_bring_up(found: dict[tuple[str, int], str]) -> None:
    assert {file for file, _ in found} == {REFUSED.name}
