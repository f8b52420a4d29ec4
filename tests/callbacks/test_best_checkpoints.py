import shutil
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from tests.small_run import Data, Model, trainer_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Scores(Callback):
    """Logs a score that is best in the second epoch."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("score", [0.5, 0.9, 0.7, 0.6, 0.8][trainer.current_epoch])


def _fit(folder: Path, epochs: int, ckpt_path: Path | None = None, **settings: Any) -> ModelCheckpoint:
    saves = ModelCheckpoint(
        folder, "{epoch}", monitor="score", mode="max", save_last=True, save_on_train_epoch_end=True, **settings
    )
    trainer_in(folder, [Scores(), saves], max_epochs=epochs).fit(Model(), datamodule=Data(), ckpt_path=ckpt_path)
    return saves


def test_the_best_of_the_interrupted_run_stays_the_best(tmp_path: Path) -> None:
    _fit(tmp_path / "first", 2)

    saves = _fit(tmp_path / "second", 4, tmp_path / "first" / "last.ckpt")

    assert saves.best_model_path == str(tmp_path / "first" / "epoch=1.ckpt")
    assert saves.best_model_score is not None
    assert float(saves.best_model_score) == pytest.approx(0.9)
    assert [file.name for file in (tmp_path / "second").glob("*.ckpt")] == ["last.ckpt"]


def test_files_of_the_interrupted_run_are_never_removed(tmp_path: Path) -> None:
    _fit(tmp_path / "first", 2, save_top_k=2)
    before = sorted(tmp_path.glob("first/*"))

    saves = _fit(tmp_path / "second", 5, tmp_path / "first" / "last.ckpt", save_top_k=2)

    assert sorted(tmp_path.glob("first/*")) == before
    assert {Path(path).name for path in saves.best_k_models} == {"epoch=1.ckpt", "epoch=4.ckpt"}


def test_the_best_is_found_in_a_folder_that_was_moved(tmp_path: Path) -> None:
    _fit(tmp_path / "first", 2)
    shutil.move(tmp_path / "first", tmp_path / "moved")

    saves = _fit(tmp_path / "second", 3, tmp_path / "moved" / "last.ckpt")

    assert saves.best_model_path == str(tmp_path / "moved" / "epoch=1.ckpt")


def test_a_best_that_is_gone_is_not_named(tmp_path: Path) -> None:
    _fit(tmp_path / "first", 2)
    (tmp_path / "first" / "epoch=1.ckpt").unlink()

    saves = _fit(tmp_path / "second", 3, tmp_path / "first" / "last.ckpt")

    assert saves.best_model_path == str(tmp_path / "second" / "epoch=2.ckpt")
    assert saves.best_model_score is not None
    assert float(saves.best_model_score) == pytest.approx(0.7)
