import math
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from app.callbacks.finite_loss import NonFiniteLossError, NonFiniteWeightsError
from app.checkpoints.storage import load_checkpoint
from app.tasks.shared.datasets import Batch
from tests.small_run import BATCHES, Data, Model, TwoOptimizers, trainer_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
]


class Diverges(Model):
    """Its loss is no number from one step on."""

    at = BATCHES + 2
    loss_there = math.nan
    steps = 0

    def loss(self, batch: Batch) -> Tensor:
        self.steps += self.training
        return super().loss(batch) * (self.loss_there if self.training and self.steps >= self.at else 1)


class DivergesWithTwoOptimizers(TwoOptimizers, Diverges):
    """The same, in manual optimization."""


class Overflows(Model):
    """Its loss is finite, its gradient is not."""

    steps = 0

    def on_after_backward(self) -> None:
        self.steps += 1
        if self.steps == BATCHES + 2:
            next(self.parameters()).grad = torch.full((8, 3), math.inf)


def _run(folder: Path, model: Model, **settings: Any) -> None:
    saves = ModelCheckpoint(folder, every_n_train_steps=1, save_top_k=-1, save_last=True)
    trainer_in(folder, [saves], **settings).fit(model, datamodule=Data())


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("cls", [Diverges, DivergesWithTwoOptimizers])
def test_a_loss_that_is_no_number_stops_the_run_at_once(cls: type[Diverges], loss: float, tmp_path: Path) -> None:
    model = cls()
    model.loss_there = loss

    with pytest.raises(NonFiniteLossError) as stopped:
        _run(tmp_path, model)

    assert (stopped.value.epoch, stopped.value.batch) == (1, 1)
    assert str(stopped.value) == (
        f"train/loss is {loss} at batch 1 of epoch 1: training has diverged; a smaller optimizer_spec.lr helps"
    )
    assert model.steps == model.at
    _assert_all_finite(tmp_path)


def test_without_a_save_in_between_the_next_step_stops(tmp_path: Path) -> None:
    model = Diverges()

    with pytest.raises(NonFiniteLossError):
        trainer_in(tmp_path, []).fit(model, datamodule=Data())

    assert model.steps == model.at


def test_the_last_loss_of_an_epoch_counts_too(tmp_path: Path) -> None:
    model = Diverges()
    model.at = BATCHES

    with pytest.raises(NonFiniteLossError):
        trainer_in(tmp_path, [], max_epochs=1, limit_val_batches=0).fit(model, datamodule=Data())


def test_weights_that_are_not_finite_are_not_saved(tmp_path: Path) -> None:
    with pytest.raises(NonFiniteWeightsError) as stopped:
        _run(tmp_path, Overflows())

    assert (stopped.value.parameter, stopped.value.epoch) == ("layers.0.weight", 1)
    _assert_all_finite(tmp_path)


@pytest.mark.parametrize("error", [NonFiniteLossError(math.inf, 1, 2), NonFiniteWeightsError("layers.0.weight", 3)])
def test_errors_survive_the_way_out_of_another_process(error: Exception) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def _assert_all_finite(folder: Path) -> None:
    files = [file for file in folder.glob("*.ckpt") if file.name != "last.ckpt"]
    assert len(files) >= 2
    for file in [*files, folder / "last.ckpt"]:
        assert all(value.isfinite().all() for value in load_checkpoint(str(file))["state_dict"].values())
