"""A run that goes on from any of its checkpoints ends as the one that was never interrupted, to the last bit."""

import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Trainer
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EMAWeightAveraging,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    RichProgressBar,
    TQDMProgressBar,
    WeightAveraging,
)
from torch import Tensor

from app.callbacks.exact_resume import KEY
from tests.small_run import Data, Model, TwoOptimizers, trainer_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class SavesEverywhere(Checkpoint):
    """Saves in every hook that a checkpoint callback saves in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}-{trainer.fit_loop.batch_idx}-batch.ckpt")

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        if not trainer.sanity_checking:
            trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}-{trainer.fit_loop.batch_idx}-val.ckpt")

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        trainer.save_checkpoint(self.folder / f"{trainer.current_epoch}-end.ckpt")


def outcome(trainer: Trainer) -> dict[str, Any]:
    """Everything that a resumed run could differ in."""
    module = trainer.lightning_module
    return {
        "weights": dict(module.state_dict()),
        "optimizers": [optimizer.state_dict()["state"] for optimizer in trainer.optimizers],
        "rates": [[group["lr"] for group in optimizer.param_groups] for optimizer in trainer.optimizers],
        "schedulers": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "metrics": dict(trainer.callback_metrics),
        "counts": (trainer.current_epoch, trainer.global_step, trainer.fit_loop.epoch_loop._batches_that_stepped),
        "random": (random.random(), float(np.random.rand()), float(torch.rand(()))),  # where they are
    }


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flat(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            yield from flat(item, f"{path}.{place}")
    else:
        yield path, value.tolist() if isinstance(value, Tensor) else value


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    ours, theirs = dict(flat(one)), dict(flat(other))
    return [name for name in {**ours, **theirs} if ours.get(name, "none") != theirs.get(name, "none")]


VARIATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "two workers": {"workers": 2},
    "accumulation": {"trainer": {"accumulate_grad_batches": 3}, "scheduler": "cosine/step"},
    "epoch scheduler": {"scheduler": "cosine/epoch", "trainer": {"val_check_interval": 2}},
    "one cycle": {"scheduler": "one_cycle/step"},
    "plateau on val": {"scheduler": "plateau_val/epoch"},
    "plateau on train": {"scheduler": "plateau_train/epoch", "trainer": {"check_val_every_n_epoch": 2}},
    "plateau by step": {"scheduler": "plateau_val/step", "trainer": {"val_check_interval": 1}},
    "max_steps": {"trainer": {"max_steps": 12, "val_check_interval": 2, "check_val_every_n_epoch": None}},
    "accumulation within epochs": {"trainer": {"accumulate_grad_batches": 2, "val_check_interval": 3}},
    "accumulation by epoch": {"callbacks": lambda: [GradientAccumulationScheduler({0: 2, 1: 3, 2: 1})]},
    "early stopping": {"callbacks": lambda: [EarlyStopping("val/loss", patience=0, check_on_train_epoch_end=False)]},
    "early stopping within epochs": {
        "callbacks": lambda: [EarlyStopping("val/loss", patience=2, check_on_train_epoch_end=False)],
        "trainer": {"val_check_interval": 2},
    },
    "ema": {"callbacks": lambda: [EMAWeightAveraging(decay=0.5)], "trainer": {"val_check_interval": 3}},
    "average": {"callbacks": lambda: [WeightAveraging()]},
    "two optimizers": {"model": TwoOptimizers},
    "no validation": {"trainer": {"limit_val_batches": 0}},
    "few batches": {"trainer": {"limit_train_batches": 3}},
}


def run(folder: Path, variation: dict[str, Any], callbacks: list[Callback], ckpt_path: Path | None = None) -> Trainer:
    seed_everything(1 if ckpt_path is None else 999, verbose=False)
    model = variation.get("model", Model)(variation.get("scheduler", ""))
    own: Callable[[], list[Callback]] = variation.get("callbacks", list)
    trainer = trainer_in(folder, [*own(), *callbacks], **variation.get("trainer", {}))
    trainer.fit(model, datamodule=Data(variation.get("workers", 0)), ckpt_path=ckpt_path)
    return trainer


@pytest.mark.parametrize("name", VARIATIONS)
def test_every_checkpoint_of_a_run_leads_to_the_same_end(name: str, tmp_path: Path) -> None:
    variation = VARIATIONS[name]
    expected = outcome(run(tmp_path, variation, [SavesEverywhere(tmp_path)]))
    files = sorted(tmp_path.glob("*.ckpt"))
    # Every moment of one epoch within the run, of its start and of its end.
    files = [file for file in files if file.stem.startswith("1-")] + [files[0], files[-1]]
    assert len(files) >= 6

    found = {file.stem: differences(expected, outcome(run(tmp_path, variation, [], file))) for file in files}

    assert {name: paths for name, paths in found.items() if paths} == {}


def test_a_resume_of_a_resume_leads_to_the_same_end(tmp_path: Path) -> None:
    variation = {"scheduler": "cosine/step", "trainer": {"accumulate_grad_batches": 3, "val_check_interval": 2}}
    expected = outcome(run(tmp_path, variation, [SavesEverywhere(tmp_path)]))
    file = tmp_path / "0-0-batch.ckpt"

    for number, name in enumerate(("0-3-val", "1-0-batch", "1-3-batch", "1-end", "2-1-val")):
        folder = tmp_path / str(number)
        assert differences(expected, outcome(run(folder, variation, [SavesEverywhere(folder)], file))) == []
        file = folder / f"{name}.ckpt"

    assert differences(expected, outcome(run(tmp_path, variation, [], file))) == []


def test_more_steps_go_on_within_the_epoch_that_a_limit_ended(tmp_path: Path) -> None:
    expected = outcome(run(tmp_path, {"trainer": {"max_steps": 12, "limit_val_batches": 0}}, []))
    saves = partial(ModelCheckpoint, save_last=True)
    run(tmp_path, {"trainer": {"max_steps": 7, "limit_val_batches": 0}}, [saves(tmp_path)])

    variation = {"trainer": {"max_steps": 12, "limit_val_batches": 0}}
    resumed = run(tmp_path, variation, [saves(tmp_path / "resumed")], tmp_path / "last.ckpt")

    assert [path for path in differences(expected, outcome(resumed)) if path.startswith(".weights")] == []


@pytest.mark.parametrize("bar", [RichProgressBar, TQDMProgressBar])
def test_progress_bars_enter_an_epoch_in_its_middle(bar: type[Callback], tmp_path: Path) -> None:
    expected = outcome(run(tmp_path, {}, [SavesEverywhere(tmp_path)]))

    resumed = run(tmp_path, {"trainer": {"enable_progress_bar": True}}, [bar()], tmp_path / "1-2-batch.ckpt")

    assert differences(expected, outcome(resumed)) == []


def test_without_the_state_that_lightning_leaves_out_a_run_ends_elsewhere(tmp_path: Path) -> None:
    expected = outcome(run(tmp_path, {}, [SavesEverywhere(tmp_path)]))
    checkpoint = torch.load(tmp_path / "1-2-batch.ckpt")
    del checkpoint[KEY]
    torch.save(checkpoint, tmp_path / "less.ckpt")

    found = differences(expected, outcome(run(tmp_path, {}, [], tmp_path / "less.ckpt")))

    assert ".weights.layers.0.weight" in found


def test_a_run_out_of_time_goes_on_with_more(tmp_path: Path) -> None:
    expected = outcome(run(tmp_path, {}, []))
    stopping = {"callbacks": lambda: [EarlyStopping("val/loss", patience=100)]}
    short = {**stopping, "trainer": {"max_time": {"seconds": 0}, "min_steps": 7}}
    last = partial(ModelCheckpoint, save_last=True, every_n_train_steps=1)
    run(tmp_path, short, [last(tmp_path / "short")])

    more = {**stopping, "trainer": {"max_time": {"hours": 1}}}
    resumed = run(tmp_path, more, [last(tmp_path / "long")], tmp_path / "short" / "last.ckpt")

    assert [path for path in differences(expected, outcome(resumed)) if path.startswith((".weights", ".counts"))] == []
