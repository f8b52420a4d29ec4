"""The trainer of a trial, which takes two batches of each kind, and what tells it which one it is at."""

# ruff: noqa: ARG002  # the signatures are Lightning's

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, EarlyStopping
from lightning.pytorch.loggers import Logger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn

from app.builders.callbacks import build_callbacks
from app.builders.loggers import RunCSVLogger
from app.builders.run import DONE_BY_THE_MODULE
from app.schemas.callbacks import CheckpointConfig, EarlyStoppingConfig
from app.schemas.loggers import CSVLoggerConfig, LoggerConfig
from app.schemas.run import RunConfig

_STEPS: Final = 1000
"""How many steps an epoch is taken to have, which the length of the data decides: enough for any cycle."""


class Observer(Protocol):
    """Who wants to know of the steps."""

    def begin(self, phase: str, batch_idx: int) -> None:
        """A batch of `training`, `validation` or `test` begins."""

    def begin_training(self, trained: dict[str, nn.Parameter]) -> None:
        """The first training batch begins; these parameters may change."""

    def end_training(self, *, with_loss: bool) -> None:
        """A training batch has ended, for which `training_step` gave a loss or needed to give none."""


class Steps(Callback):
    """Tells an observer of every batch."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin a batch."""
        self.observer.begin("training", batch_idx)
        if batch_idx == 0:
            self.observer.begin_training({name: own for name, own in pl_module.named_parameters() if own.requires_grad})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End it; two are enough."""
        self.observer.end_training(with_loss=bool(outputs) or not pl_module.automatic_optimization)
        trainer.should_stop = batch_idx > 0

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begin a batch."""
        self.observer.begin("validation", batch_idx)

    def on_test_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Begin a batch."""
        self.observer.begin("test", batch_idx)


class _Logged(dict[str, Tensor]):
    """What a module has logged, which a trial does not keep: anything that it or a scheduler asks for is there."""

    def __missing__(self, name: str) -> Tensor:
        return torch.tensor(0.0)  # unlike one of torch.zeros, its value is known among fake tensors

    def get(self, name: str, default: Any = None) -> Tensor:
        """Lightning's schedulers ask in this way."""
        return self[name]


class _Trainer(Trainer):
    """A trainer of a run whose data is not looked at."""

    shown: Sequence[Callback] = ()
    """Callbacks that modules look up, and that nothing calls."""

    @property
    def checkpoint_callbacks(self) -> list[Checkpoint]:
        """Those that would save checkpoints."""
        return [callback for callback in self.shown if isinstance(callback, Checkpoint)]

    @property
    def early_stopping_callbacks(self) -> list[EarlyStopping]:
        """Those that would stop the run."""
        return [callback for callback in self.shown if isinstance(callback, EarlyStopping)]

    @property
    def callback_metrics(self) -> dict[str, Tensor]:
        """Whatever was logged."""
        return _Logged()

    @property
    def estimated_stepping_batches(self) -> float:
        """The steps of the whole run, as many as there might be."""
        if self.max_steps > 0:
            return self.max_steps
        return float("inf") if self.max_epochs in (None, -1) else self.max_epochs * _STEPS


def trial_trainer(config: RunConfig, callbacks: list[Callback], folder: Path) -> Trainer:
    """The run's trainer as far as it changes what a step does, on the CPU and silent; `folder` is its to write in."""
    trainer = config.trainer
    steps = {} if config.optimizers else {name: getattr(trainer, name) for name in DONE_BY_THE_MODULE}
    engine = trainer.precision.startswith("transformer-engine")
    made = _Trainer(
        accelerator="cpu",
        devices=1,
        barebones=True,
        max_epochs=trainer.max_epochs,
        max_steps=trainer.max_steps,
        limit_train_batches=2,
        limit_val_batches=0,
        limit_test_batches=2,
        precision="bf16-mixed" if engine else trainer.precision,
        inference_mode=False,
        default_root_dir=str(folder),
        use_distributed_sampler=False,
        callbacks=callbacks,
        **steps,
    )
    looked_up = {
        name: callback
        for name, callback in config.callbacks.items()
        if isinstance(callback, CheckpointConfig | EarlyStoppingConfig)
    }
    made.shown = build_callbacks(looked_up, run_directory=folder)
    made.loggers = [
        DummyLogger() if trainer.fast_dev_run else _silent(logger, folder) for logger in config.logger.values()
    ]
    return made


def _silent(config: LoggerConfig, folder: Path) -> Logger:
    """A logger that writes nothing; one whose package is slow to import takes whatever it is told to do."""
    if not isinstance(config, CSVLoggerConfig):
        return DummyLogger()
    logger = RunCSVLogger(save_dir=str(folder), name="", version="")
    logger._experiment = _Writer(str(folder))
    return logger


class _Writer(ExperimentWriter):
    """The CSV logger's writer, without a file."""

    def __init__(self, log_dir: str) -> None:  # that of the base would make the folder
        self.log_dir = log_dir
        self.metrics_file_path = str(Path(log_dir, self.NAME_METRICS_FILE))
        self.metrics, self.metrics_keys, self.hparams = [], [], {}

    def log_metrics(self, metrics_dict: dict[str, float], step: int | None = None) -> None:
        """Forget them."""

    def log_hparams(self, params: dict[str, Any]) -> None:
        """Forget them."""

    def save(self) -> None:
        """Nothing waits to be written."""


STAND_INS: Final = {_Trainer: Trainer, _Writer: ExperimentWriter}
"""The classes here that modules meet, and what they would meet in a run."""
