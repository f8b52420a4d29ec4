"""`app schema` writes the file, says what it did, and can say that the file is out of date."""

from pathlib import Path

import pytest

from app.json_schema import command
from app.json_schema.command import HEADER, answer
from app.schemas.problems import AppError, ConfigError

SHOWN = "digits/experiments.schema.json"
SHARED = "options/metrics.schema.json"


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of task digits, without any files of ours."""
    (tmp_path / "digits" / "experiments").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for module in ("app.composing.experiments", "app.json_schema.command"):
        monkeypatch.setattr(f"{module}.task_folders", lambda: {"digits": tmp_path / "digits"})
    return tmp_path / "digits"


def test_it_writes_the_file_and_names_what_lacks_the_header(task: Path) -> None:
    (task / "experiments" / "with.yaml").write_text(f"# @package _global_\n{HEADER}\ntrainer: {{}}\n")
    (task / "experiments" / "without.yaml").write_text("trainer: {}\n")

    lines = answer([]).splitlines()
    assert f"wrote {SHARED}" in lines
    assert lines[-2:] == [f"wrote {SHOWN}", f"digits/experiments/without.yaml has no line '{HEADER}'"]
    assert answer(["digits"]).startswith(f"{SHOWN} is up to date\n")
    assert answer(["--check"]) == f"options is up to date\n{SHOWN} is up to date"


def test_a_new_experiment_makes_the_file_stale(task: Path) -> None:
    answer([])
    shared = {file: file.read_text() for file in command.options_folder().iterdir()}
    (task / "experiments" / "new.yaml").write_text("defaults: [override /metrics: [accuracy]]\n")

    with pytest.raises(ConfigError) as caught:
        answer(["--check"])
    assert str(caught.value) == (
        f"{SHOWN}: is not what the schemas and experiments give now; to write it anew: app schema digits"
    )
    assert not command.schema_file("digits").read_text().count('"new"')
    assert answer(["digits"]).startswith(f"wrote {SHOWN}\n")
    assert command.schema_file("digits").read_text().count('"new"')
    assert {file: file.read_text() for file in command.options_folder().iterdir()} == shared


@pytest.mark.usefixtures("task")
def test_what_tasks_share_is_checked_and_written_along() -> None:
    answer([])
    (command.options_folder() / "metrics.schema.json").write_text("{}\n")

    with pytest.raises(ConfigError) as caught:
        answer(["--check", "digits"])
    assert str(caught.value) == (
        f"{SHARED}: is not what the schemas and experiments give now; to write it anew: app schema"
    )
    assert answer(["digits"]) == f"wrote {SHARED}\n{SHOWN} is up to date"


def test_a_file_that_cannot_be_written_is_said_to_be_so(task: Path) -> None:
    (task / "experiments.schema.json").mkdir()

    with pytest.raises(AppError) as caught:
        answer([])
    assert str(caught.value) == f"cannot write {SHOWN}: Is a directory"


def test_words_that_are_no_tasks_are_refused_at_once(task: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        answer(["digit", "trainer.max_epochs=3", "--chek"])

    assert [problem.message for problem in caught.value.problems] == [
        "no flag --chek; did you mean '--check'?",
        "no task 'trainer.max_epochs=3'; tasks: digits",
        "no task 'digit'; did you mean 'digits'?",
    ]
    assert not (task / "experiments.schema.json").exists()
