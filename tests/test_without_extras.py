"""The command line in a process that sees none of the packages which only extras bring."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from app.cli import main
from tests.tasks.contracts import runs_a_trainer

ROOT = Path(__file__).parent.parent
WITHOUT = """
import sys
from importlib.machinery import PathFinder

find, hidden = PathFinder.find_spec, sys.argv.pop(1).split(",")
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in hidden else find(name, *rest)

from app.cli import main

sys.exit(main(sys.argv[1:]))
"""
FEW_BATCHES = (
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=2",
    "trainer.limit_val_batches=1",
    "trainer.limit_predict_batches=1",
    "trainer.limit_test_batches=1",
    "trainer.accelerator=cpu",
)

Bare = Callable[..., subprocess.CompletedProcess[str]]


def extra_packages() -> set[str]:
    """What the extras for users name, as it is imported."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = {re.split("[<>=]", need)[0] for extra, needs in extras.items() if extra != "dev" for need in needs}
    return {name for name, found in packages_distributions().items() if wanted & set(found)}


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        hidden = ",".join(sorted(extra_packages()))
        command = [sys.executable, "-c", WITHOUT, hidden, *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)

    return call


def test_the_extras_packages_are_known() -> None:
    assert {"onnx", "onnxruntime", "pycocotools", "kornia", "albumentations", "pyarrow", "mlflow"} <= extra_packages()


def test_every_config_of_the_project_is_right(bare: Bare) -> None:
    done = bare("check")

    assert (done.returncode, "no problem found" in done.stdout) == (0, True), done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (("task=detection",), "detection"),
        (("logger=[csv,mlflow]",), "mlflow"),
        (("logger=tensorboard",), "tensorboard"),
        (("callbacks=[checkpoint,export]",), "onnx"),
        (("datamodule.augmentations={rain: {id: kornia, transform: RandomRain}}",), "kornia"),
        (("datamodule.augmentations={flip: {id: albumentations, transform: Flip}}",), "albumentations"),
    ],
)
def test_what_needs_an_extra_names_it_before_anything_starts(
    words: tuple[str, ...], extra: str, bare: Bare, tmp_path: Path
) -> None:
    done = bare(*words, "hydra.run.dir=run")

    assert done.returncode == 2
    assert f"pip install 'typed-lightning-app[{extra}]'" in done.stderr
    assert not (tmp_path / "run").exists()


@runs_a_trainer
@pytest.mark.slow
def test_a_detector_that_is_trained_predicts_and_is_exported(bare: Bare, tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    assert main(["task=detection", *FEW_BATCHES, "callbacks=[checkpoint]", f"hydra.run.dir={trained}"]) == 0
    checkpoint = f"checkpoint={trained / 'checkpoints' / 'last.ckpt'}"

    predicted = bare("predict", checkpoint, "hydra.run.dir=predicted")
    exported = bare("export", checkpoint, "export.format=torch_export", "hydra.run.dir=exported")
    measured = bare("test", checkpoint, "hydra.run.dir=measured")

    assert (predicted.returncode, exported.returncode) == (0, 0), predicted.stderr + exported.stderr
    assert measured.returncode == 2
    assert "pip install 'typed-lightning-app[detection]'" in measured.stderr
    assert not (tmp_path / "measured").exists()
