from typing import Any

import pytest

from app.schemas.callbacks import (
    BatchSizeFinderConfig,
    CallbackConfig,
    CheckpointConfig,
    EarlyStoppingConfig,
    EMAConfig,
    FreezeConfig,
    FrozenEpochs,
    GradientAccumulationConfig,
    GradientNormConfig,
    LearningRateFinderConfig,
    LearningRateMonitorConfig,
    ModelSummaryConfig,
    PlainModelSummaryConfig,
    ProgressBarConfig,
    PruningConfig,
    StochasticWeightAveragingConfig,
    TimerConfig,
    TQDMProgressBarConfig,
    WeightAveragingConfig,
)
from app.schemas.clashes import clashes, clashes_with_several_optimizers
from app.schemas.trainer import TrainerConfig

BEST: dict[str, Any] = {"monitor": "val/loss", "mode": "min"}
STOP: CallbackConfig = EarlyStoppingConfig(**BEST)

SWA: dict[str, Any] = {"swa_lrs": 0.1}
CLASHES: list[tuple[dict[str, CallbackConfig], dict[str, Any], bool, list[tuple[str, str]]]] = [
    (
        {"progress_bar": ProgressBarConfig(), "tqdm_progress_bar": TQDMProgressBarConfig()},
        {},
        True,
        [("callbacks.tqdm_progress_bar", "is a second progress bar beside callbacks.progress_bar; keep one of them")],
    ),
    (
        {"model_summary": ModelSummaryConfig(), "plain_model_summary": PlainModelSummaryConfig()},
        {},
        True,
        [
            (
                "callbacks.plain_model_summary",
                "is a second model summary beside callbacks.model_summary; keep one of them",
            )
        ],
    ),
    (
        {"stop": STOP, "again": EarlyStoppingConfig(**BEST, patience=9)},
        {},
        True,
        [("callbacks.again", "cannot be told apart from callbacks.stop in a checkpoint; keep one of them")],
    ),
    (
        {"checkpoint": CheckpointConfig()},
        {"enable_checkpointing": False},
        True,
        [
            (
                "callbacks.checkpoint",
                "is switched off by trainer.enable_checkpointing=false; leave it out, or set that to null",
            )
        ],
    ),
    (
        {"progress_bar": ProgressBarConfig(), "summary": ModelSummaryConfig()},
        {"enable_progress_bar": False, "enable_model_summary": False},
        True,
        [
            (
                "callbacks.progress_bar",
                "is switched off by trainer.enable_progress_bar=false; leave it out, or set that to null",
            ),
            (
                "callbacks.summary",
                "is switched off by trainer.enable_model_summary=false; leave it out, or set that to null",
            ),
        ],
    ),
    (
        {"checkpoint": CheckpointConfig()},
        {"barebones": True, "log_every_n_steps": 0, "num_sanity_val_steps": 0},
        True,
        [("callbacks.checkpoint", "is not allowed with trainer.barebones=true; choose callbacks=[]")],
    ),
    (
        {"lr_monitor": LearningRateMonitorConfig()},
        {},
        False,
        [
            (
                "callbacks.lr_monitor",
                "has nowhere to log to; choose a logger, such as logger=csv, or leave this callback out",
            )
        ],
    ),
    (
        {"accumulate": GradientAccumulationConfig(scheduling={0: 2})},
        {"accumulate_grad_batches": 4},
        True,
        [("callbacks.accumulate", "sets what trainer.accumulate_grad_batches=4 sets too; keep one")],
    ),
    (
        {"swa": StochasticWeightAveragingConfig(**SWA)},
        {"strategy": "fsdp", "accelerator": "gpu"},
        True,
        [("callbacks.swa", "cannot average a model that trainer.strategy=fsdp splits over devices")],
    ),
    (
        {"ema": EMAConfig()},
        {"strategy": "fsdp", "accelerator": "gpu"},
        True,
        [("callbacks.ema", "cannot average a model that trainer.strategy=fsdp splits over devices")],
    ),
    (
        {"ema": EMAConfig(), "swa": StochasticWeightAveragingConfig(**SWA), "mean": WeightAveragingConfig()},
        {},
        True,
        [
            ("callbacks.swa", "is a second average of the same weights beside callbacks.ema; keep one of them"),
            ("callbacks.mean", "is a second average of the same weights beside callbacks.ema; keep one of them"),
        ],
    ),
    (
        {"pruning": PruningConfig(pruning_fn="l1_unstructured"), "ema": EMAConfig()},
        {},
        True,
        [("callbacks.pruning", "replaces the parameters that callbacks.ema averages; keep one of them")],
    ),
    (
        {
            "checkpoint": CheckpointConfig(),
            "pruning": PruningConfig(
                pruning_fn="l1_unstructured", make_pruning_permanent=False, use_lottery_ticket_hypothesis=False
            ),
        },
        {},
        True,
        [
            (
                "callbacks.pruning.make_pruning_permanent",
                (
                    "false leaves masks in what callbacks.checkpoint saves, which cannot be loaded again; "
                    "expected true, or leave that callback out"
                ),
            )
        ],
    ),
    (
        {"stop": EarlyStoppingConfig(monitor="train/loss", mode="min", check_on_train_epoch_end=False)},
        {},
        True,
        [
            (
                "callbacks.stop.check_on_train_epoch_end",
                "train/loss is known after the training epoch, not after validation: expected true, found false",
            )
        ],
    ),
    (
        {"stop": EarlyStoppingConfig(monitor="train/loss", mode="min")},
        {"val_check_interval": 0.5},
        True,
        [
            (
                "callbacks.stop.check_on_train_epoch_end",
                (
                    "train/loss is known after the training epoch, not after validation: "
                    "expected true, found null, which here means false"
                ),
            )
        ],
    ),
    (
        {"stop": EarlyStoppingConfig(**BEST, check_on_train_epoch_end=True)},
        {"check_val_every_n_epoch": 2},
        True,
        [
            (
                "callbacks.stop.check_on_train_epoch_end",
                "not every training epoch ends with a new val/loss: expected false or null, found true",
            )
        ],
    ),
    (
        {"swa": StochasticWeightAveragingConfig(**SWA)},
        {"max_epochs": -1, "max_steps": 10},
        True,
        [("callbacks.swa", "needs swa_epoch_start as a number of epochs, as trainer.max_epochs=-1 has no share")],
    ),
    (
        {"swa": StochasticWeightAveragingConfig(**SWA, swa_epoch_start=21)},
        {},
        True,
        [("callbacks.swa", "never starts: swa_epoch_start=21 is more than trainer.max_epochs")],
    ),
    (
        {"timer": TimerConfig(duration="00:01:00:00")},
        {"max_time": "00:02:00:00"},
        True,
        [("callbacks.timer", "sets a duration, and so does trainer.max_time; keep one")],
    ),
    (
        {"finder": BatchSizeFinderConfig()},
        {"strategy": "ddp"},
        True,
        [("callbacks.finder", "does not work with trainer.strategy=ddp; find the size on one device first")],
    ),
    (
        {"gradient_norm": GradientNormConfig()},
        {"strategy": "fsdp", "accelerator": "gpu"},
        True,
        [("callbacks.gradient_norm", "cannot see the whole gradients that trainer.strategy=fsdp splits over devices")],
    ),
    (
        {"gradient_norm": GradientNormConfig()},
        {},
        False,
        [
            (
                "callbacks.gradient_norm",
                "has nowhere to log to; choose a logger, such as logger=csv, or leave this callback out",
            )
        ],
    ),
    (
        {"freeze": FreezeConfig(parts={".backbone": FrozenEpochs(first=5)})},
        {"max_epochs": 5},
        True,
        [
            (
                "callbacks.freeze.parts",
                "'.backbone' is never frozen: first=5 is after the last of trainer.max_epochs=5",
            )
        ],
    ),
    (
        {"freeze": FreezeConfig(parts={".head": FrozenEpochs(), ".backbone": FrozenEpochs(until=1)})},
        {"devices": 2},
        True,
        [
            (
                "callbacks.freeze",
                (
                    "trainer.strategy=auto waits for the gradients of '.backbone' also while it is frozen;"
                    " expected trainer.strategy=ddp_find_unused_parameters_true"
                ),
            )
        ],
    ),
    (
        {"freeze": FreezeConfig(parts={".head": FrozenEpochs()})},
        {"strategy": "fsdp", "accelerator": "gpu"},
        True,
        [("callbacks.freeze", "cannot freeze parts of a model that trainer.strategy=fsdp splits over devices")],
    ),
]


@pytest.mark.parametrize(("callbacks", "trainer", "has_logger", "found"), CLASHES)
def test_parts_that_cannot_work_together_are_found(
    callbacks: dict[str, CallbackConfig],
    trainer: dict[str, Any],
    has_logger: bool,
    found: list[tuple[str, str]],
) -> None:
    assert list(clashes(callbacks, TrainerConfig(**trainer), has_logger=has_logger)) == found


def test_parts_that_work_together_are_left_alone() -> None:
    callbacks: dict[str, CallbackConfig] = {
        "checkpoint": CheckpointConfig(**BEST),
        "every": CheckpointConfig(every_n_train_steps=10, save_top_k=-1, filename="{step}"),
        "stop": STOP,
        "stop_on_train": EarlyStoppingConfig(monitor="train/loss", mode="min"),
        "bar": ProgressBarConfig(),
        "summary": ModelSummaryConfig(),
        "lr": LearningRateMonitorConfig(),
        "accumulate": GradientAccumulationConfig(scheduling={0: 2}),
        "swa": StochasticWeightAveragingConfig(**SWA, swa_epoch_start=10),
        "timer": TimerConfig(),
        "finder": BatchSizeFinderConfig(),
    }
    trainer = TrainerConfig(max_time="00:02:00:00")
    apart: dict[str, CallbackConfig] = {
        "checkpoint": CheckpointConfig(),
        "pruning": PruningConfig(pruning_fn="l1_unstructured"),
        "stop": EarlyStoppingConfig(**BEST, check_on_train_epoch_end=True),
        "on_train": EarlyStoppingConfig(monitor="train/loss", mode="min", check_on_train_epoch_end=True),
    }
    assert list(clashes(apart, trainer, has_logger=True)) == []
    assert list(clashes({"ema": EMAConfig()}, trainer, has_logger=True)) == []
    assert list(clashes(callbacks, trainer, has_logger=True)) == []
    del callbacks["lr"]
    assert list(clashes(callbacks, trainer, has_logger=False)) == []


def test_freezing_suits_processes_that_expect_it() -> None:
    freeze: dict[str, CallbackConfig] = {"freeze": FreezeConfig(parts={".backbone": FrozenEpochs(until=1)})}
    for trainer in (
        TrainerConfig(strategy="ddp_find_unused_parameters_true", devices=2),
        TrainerConfig(max_epochs=-1, max_steps=5),
    ):
        assert list(clashes(freeze, trainer, has_logger=False)) == []
    throughout: dict[str, CallbackConfig] = {"freeze": FreezeConfig(parts={".backbone": FrozenEpochs()})}
    assert list(clashes(throughout, TrainerConfig(strategy="ddp", devices=2), has_logger=False)) == []


def test_what_needs_a_single_optimizer_is_found() -> None:
    callbacks: dict[str, CallbackConfig] = {
        "swa": StochasticWeightAveragingConfig(**SWA),
        "ema": EMAConfig(),
        "accumulate": GradientAccumulationConfig(scheduling={0: 2}),
        "finder": LearningRateFinderConfig(),
        "timed": CheckpointConfig(train_time_interval="00:01:00:00"),
        "often": CheckpointConfig(every_n_train_steps=10),
    }
    one_only = "works with one optimizer only; leave it out, or set optimizers={}"
    assert list(clashes_with_several_optimizers(callbacks)) == [
        ("callbacks.swa", one_only),
        ("callbacks.accumulate", one_only),
        ("callbacks.finder", one_only),
        (
            "callbacks.timed.train_time_interval",
            "is not looked at with several optimizers; set every_n_train_steps instead",
        ),
    ]
