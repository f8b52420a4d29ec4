"""Wrong experiments, kept as files with what the linter says of each, and right ones, of which it says nothing."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from app.checks.diagnostics import Severity
from app.checks.formats import as_text
from app.checks.lint import Subject, lint
from app.checks.selection import all_experiments
from app.composing.experiments import experiment_at
from app.schemas.codes import Code
from app.tasks import import_task_configs, task_folders
from tests.gate.conftest import Write, experiment, folder
from tests.gate.test_corpus import RIGHT

__all__ = ["experiment", "folder"]

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
WRONG = sorted((HERE / "wrong").glob("*.yaml"))

OF_OTHER_TASKS = {Code.BROADCAST, Code.TARGET_DTYPE, Code.CLASS_COUNT, Code.UNCHECKED}
"""What no experiment of the digits can have, but a model or a loss of one's own; tested beside the shape check."""


def checked(file: Path) -> str:
    """What the linter says of a file, with the words and beside the other files that its comments name."""
    text = file.read_text()
    words = re.findall(r"^# words: (.*)$", text, re.MULTILINE)
    others = re.findall(r"^# beside: (.*)$", text, re.MULTILINE)
    import_task_configs()
    subjects = [
        *(Subject(experiment=experiment_at(ROOT / other)) for other in others),
        Subject(overrides=tuple(" ".join(words).split()), experiment=experiment_at(file)),
    ]
    return as_text(lint(subjects).found)


@pytest.mark.parametrize("file", WRONG, ids=[file.stem for file in WRONG])
def test_a_wrong_experiment_is_told_what_is_wrong_and_where(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    expected = file.with_suffix(".txt").read_text()

    assert checked(file).rstrip("\n") == expected.rstrip("\n")
    assert f": {file.stem[:6].upper()} " in expected


def test_every_kind_of_finding_has_a_wrong_experiment() -> None:
    files = [file for folder in ("wrong", "wrong_types", "wrong_shapes") for file in (HERE / folder).glob("*.txt")]
    found = {code for file in files for code in re.findall(r"TLA\d{3}", file.read_text())}
    assert set(map(str, Code)) - found <= set(map(str, OF_OTHER_TASKS))


def test_nothing_is_found_in_the_experiments_of_the_project() -> None:
    import_task_configs()
    tasks = [Subject(overrides=(f"task={task}",)) for task in task_folders()]
    subjects = [Subject(experiment=each) for each in all_experiments()]
    assert len(subjects) > 4
    assert lint([*subjects, *tasks]).found == []


REMARKED = {
    "trainer: {devices: 1}": ["TLA306", "TLA307"],
    "trainer: {deterministic: true}": ["TLA306", "TLA307"],
    "trainer: {min_epochs: 1, max_epochs: 1}": ["TLA305"],
    "optimizer_spec: {lr: 1}": ["TLA309"],
    "optimizer_spec: {lr: 1.0e-08}": ["TLA309"],
    "optimizer_spec: {foreach: null}": ["TLA306", "TLA307"],
    "optimizer_spec: {params: {head: {lr: 0.1}}}": ["TLA309"],
    "optimizer_spec: {params: {head: {lr: 0.1}, body: {lr: 0.2, weight_decay: 0.0}}}": ["TLA309", "TLA309"],
    "optimizer_spec: {lr: '${optimizer_spec.eps}'}": ["TLA309"],
    "optimizer_spec: {lr: '${.eps}'}": ["TLA309"],
    "joint_loss: {losses: {cross_entropy: {label_smoothing: 0.5, weight: 2}}}": ["TLA305"],
    "joint_loss: {normalize_weights: false}": ["TLA305"],
    "datamodule: {train_fraction: 1}": ["TLA306", "TLA307"],
    "seed_params: {seed: 0, workers: false}": ["TLA305", "TLA306"],
    "checkpoint: null": ["TLA306", "TLA307"],
}
"""What the linter rightly says of lines that the gate lets pass, most of which only write a default out."""


def of_one_line(written: Sequence[str], write: Write, folder: Path) -> dict[str, list[str]]:
    """The codes that the linter finds in experiments of one line; those that find something."""
    import_task_configs()
    found: dict[str, list[str]] = {}
    for text in written:
        write(text)
        report = lint([Subject(experiment=experiment_at(folder / "x.yaml"))])
        assert not any(each.refused or each.severity is Severity.ERROR for each in report.found)
        if counted := Counter(str(each.code) for each in report.found):
            found[text] = sorted(counted.elements())
    return found


def test_little_is_found_in_what_the_gate_takes(experiment: Write, folder: Path) -> None:
    assert of_one_line(RIGHT, experiment, folder) == REMARKED
