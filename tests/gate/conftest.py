"""Experiments in a folder of their own, so that tests can write them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import app.composing.experiments
from app.composing.experiments import _read
from app.tasks import task_folders

settings.register_profile(
    "gate",
    deadline=None,  # composing takes 70 ms, and a busy machine many times that
    derandomize=True,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("long", settings.get_profile("gate"), derandomize=False, max_examples=5000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "gate"))

Write = Callable[..., str]
"""Writes an experiment and returns what to type to choose it."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The experiments of task digits: a folder below the current one, empty at first, as are those of other tasks."""
    folders = {task: tmp_path / task for task in task_folders()}
    made = tmp_path / "digits" / "experiments"
    made.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(app.composing.experiments, "task_folders", lambda: folders)
    return made


@pytest.fixture
def experiment(folder: Path) -> Write:
    """Write text or bytes as an experiment: `experiment("trainer: 3")` returns `experiment=digits/x`."""

    def write(content: str | bytes, name: str = "x", task: str = "digits") -> str:
        file = folder.parents[1] / task / "experiments" / f"{name}.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        _read.cache_clear()  # two texts written within one tick of the clock may be of one size
        return f"experiment={task}/{name}"

    return write
