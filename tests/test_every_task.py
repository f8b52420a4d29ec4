"""Every task from its default experiment, on a few batches: trained, tested, predicted with, exported, tested again.

What is typed is what a user types, in one process. Scores are measured by `benchmarks/scores.py`, on all of the data.
"""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app import load_config
from app.cli import main
from app.schemas.registry import options
from app.tasks import task_folders
from tests.tasks.contracts import runs_a_trainer
from tests.tasks.small_downloads import TASKS as DOWNLOADED
from tests.tasks.small_downloads import SmallDownloads, small_downloads

__all__ = ["small_downloads"]

FEW_BATCHES = (
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_test_batches=2",
    "trainer.limit_predict_batches=1",
    "trainer.num_sanity_val_steps=0",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "callbacks=[checkpoint]",
)
EACH = pytest.mark.parametrize("task", list(task_folders()))


@runs_a_trainer
@pytest.mark.slow
@EACH
def test_a_task_trains_tests_predicts_and_exports(
    task: str, tmp_path: Path, small_downloads: SmallDownloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    chosen = small_downloads.overrides(task) if task in DOWNLOADED else [f"task={task}"]

    trained = run("train", *chosen, *FEW_BATCHES, folder=tmp_path / "train")
    checkpoint = f"checkpoint={trained['checkpoint']}"
    tested = run("test", checkpoint, folder=tmp_path / "test")
    predicted = run("predict", checkpoint, folder=tmp_path / "predict")
    exported = run("export", checkpoint, folder=tmp_path / "export")
    again = run("test", f"model={exported['export']['file']}", folder=tmp_path / "again")

    fixed = load_config([f"task={task}"]).task.fixed_metrics()
    measured = {f"test/{result}" for name, metric in fixed.items() for result in metric.results(name)}
    assert measured <= trained["test"].keys()
    assert trained["test_fingerprint"] is not None
    assert tested["test"] == pytest.approx(trained["test"])
    assert again["test"] == pytest.approx(tested["test"], abs=0.02)
    table = next((Path(file) for file in predicted["predictions"] if file.endswith(".csv")), None)
    if table is not None:
        with table.open(encoding="utf-8", newline="") as opened:
            assert len(list(csv.DictReader(opened))) == predicted["samples"] > 0


@EACH
def test_a_task_has_modules_and_experiments_to_start_from(task: str) -> None:
    modules = [option for option in options["module"].values() if option.serves(task)]
    experiments = [*(task_folders()[task] / "experiments").glob("*.yaml")]

    assert len(modules) >= 2
    assert len(experiments) >= 3


def run(command: str, *words: str, folder: Path) -> dict[str, Any]:
    """A command's result, as it stands in the run's folder."""
    assert main([command, *words, f"hydra.run.dir={folder}"]) == 0
    result: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    assert result["status"] == "completed"
    return result
