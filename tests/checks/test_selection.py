from pathlib import Path

import pytest

import app.composing.experiments
from app.checks.selection import all_experiments, experiments_named, misplaced
from app.composing.experiments import experiment_names
from app.schemas.problems import ConfigError
from app.tasks import import_task_configs, task_folders

import_task_configs()
DIGITS = task_folders()["digits"] / "experiments"


def names(*words: str) -> list[str]:
    return [experiment.name for experiment in experiments_named(words)]


def test_without_a_name_all_experiments_of_all_tasks_are_checked() -> None:
    assert [experiment.name for experiment in all_experiments()] == experiment_names()


def test_experiments_are_named_by_name_task_file_and_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DIGITS.parents[2])
    of_digits = [name for name in experiment_names() if name.startswith("digits/")]
    assert names("digits/robust") == ["digits/robust"]
    assert names("digits") == of_digits
    assert names(str(DIGITS / "mlp.yaml")) == ["digits/mlp"]
    assert names("tasks/digits/experiments/mlp.yaml") == ["digits/mlp"]
    assert names(".") == experiment_names()


def test_an_experiment_named_twice_is_checked_once() -> None:
    assert names("digits/robust", str(DIGITS / "robust.yaml"), "digits").count("digits/robust") == 1


def test_a_file_elsewhere_is_an_experiment_of_the_task_that_it_chooses(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("defaults:\n  - override /task: digits\n  - sgd_cosine\n")
    (experiment,) = experiments_named([str(file)])
    assert (experiment.task, experiment.problems) == ("digits", [])
    assert list(experiment.bases) == ["digits/sgd_cosine"]


def test_of_a_folder_with_experiments_nothing_else_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a" / "experiments").mkdir(parents=True)
    (tmp_path / "a" / "experiments" / "x.yaml").write_text("trainer: {max_epochs: 3}\n")
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    assert names(str(tmp_path)) == [str(tmp_path / "a" / "experiments" / "x.yaml")]


def test_every_word_that_names_nothing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        experiments_named(["digits/robst", "no/such.yaml", str(tmp_path), "digits/mlp"])
    listed = "cifar10/parts"
    messages = [problem.message for problem in error.value.problems]
    assert messages == [
        "expected an experiment, a task, a file or key=value; did you mean 'digits/robust'?",
        "no such file",
        "no YAML file in this folder",
    ]
    with pytest.raises(ConfigError, match=f"there is {listed}"):
        experiments_named(["qqqqq"])


def test_a_link_is_the_experiment_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "alias.yaml").symlink_to(DIGITS / "mlp.yaml")
    assert names(str(tmp_path / "alias.yaml")) == names(str(tmp_path)) == ["digits/mlp"]


def test_a_file_elsewhere_may_build_on_the_experiment_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "robust.yaml"
    file.write_text("defaults: [robust]\n")
    (experiment,) = experiments_named([str(file)])
    assert (experiment.problems, list(experiment.bases)) == ([], ["digits/robust"])


@pytest.mark.parametrize("word", ["", "x" * 300])
def test_a_word_that_can_name_no_file_is_refused(word: str) -> None:
    with pytest.raises(ConfigError, match="expected an experiment, a task, a file or key=value"):
        experiments_named([word])


def test_what_lies_among_experiments_and_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "digits" / "experiments"
    for name in ("right.yaml", "other.yml", "two words.yaml", "inner/deep.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("trainer: {max_epochs: 3}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app.composing.experiments, "task_folders", lambda: {"digits": folder.parent})
    assert {problem.source: problem.message for problem in misplaced()} == {
        "digits/experiments/inner/deep.yaml:1:1": (
            "is in a folder of its own; experiments lie in digits/experiments itself"
        ),
        "digits/experiments/other.yml:1:1": "is not looked at; the names of experiments end in .yaml",
        "digits/experiments/two words.yaml:1:1": (
            "has a name that cannot be chosen; expected letters, digits, '_', '-' and '.'"
        ),
    }
