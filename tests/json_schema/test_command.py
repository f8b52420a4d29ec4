"""`app schema` writes the file, says what it did, and can say that the file is out of date."""

from pathlib import Path

import pytest

from app.json_schema import command
from app.json_schema.command import HEADER, answer
from app.schemas.problems import AppError, ConfigError

SHOWN = "digits/experiments.schema.json"


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of task digits, without any files of ours."""
    (tmp_path / "digits" / "experiments").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    for module in ("app.experiments", "app.json_schema.command"):
        monkeypatch.setattr(f"{module}.task_folders", lambda: {"digits": tmp_path / "digits"})
    return tmp_path / "digits"


def test_it_writes_the_file_and_names_what_lacks_the_header(task: Path) -> None:
    (task / "experiments" / "with.yaml").write_text(f"# @package _global_\n{HEADER}\ntrainer: {{}}\n")
    (task / "experiments" / "without.yaml").write_text("trainer: {}\n")

    assert answer([]) == f"wrote {SHOWN}\ndigits/experiments/without.yaml has no line '{HEADER}'"
    assert answer(["digits"]).startswith(f"{SHOWN} is up to date\n")
    assert answer(["--check"]) == f"{SHOWN} is up to date"


def test_a_new_experiment_makes_the_file_stale(task: Path) -> None:
    answer([])
    (task / "experiments" / "new.yaml").write_text("trainer: {}\n")

    with pytest.raises(ConfigError) as caught:
        answer(["--check"])
    assert str(caught.value) == (
        f"{SHOWN}: is not what the schemas and experiments give now; to write it anew: app schema digits"
    )
    assert not command.schema_file("digits").read_text().count('"new"')


def test_a_file_that_cannot_be_written_is_said_to_be_so(task: Path) -> None:
    file = task / "experiments.schema.json"
    file.mkdir()

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
