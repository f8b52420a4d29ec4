"""The trainer of a trial, which takes two batches of each kind, and what tells it which one it is at."""

# ruff: noqa: ARG002  # the signatures are Lightning's

from typing import Any, Final, Protocol

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers.logger import DummyLogger
from torch import Tensor, nn

from app.builders.run import DONE_BY_THE_MODULE
from app.schemas.run import RunConfig

_STEPS: Final = 1000
"""How many steps an epoch is taken to have, which the length of the data decides: enough for any cycle."""


class Observer(Protocol):
    """Who wants to know of the steps."""

    def begin(self, phase: str, batch_idx: int) -> None:
        """A batch of `training`, `validation` or `test` begins."""

    def begin_training(self, trained: dict[str, nn.Parameter]) -> None:
        """The first training batch begins; these parameters may change."""

    def end_training(self) -> None:
        """A training batch has ended."""


class Steps(Callback):
    """Tells an observer of every batch."""

    def __init__(self, observer: Observer) -> None:
        self.observer = observer

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Let no scheduler wait for a metric that a trial does not log."""
        for config in trainer.lr_scheduler_configs:
            config.strict = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Begin a batch."""
        self.observer.begin("training", batch_idx)
        if batch_idx == 0:
            self.observer.begin_training({name: own for name, own in pl_module.named_parameters() if own.requires_grad})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """End it; two are enough."""
        self.observer.end_training()
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
    """What a module has logged, which a trial does not keep: anything it asks for is there."""

    def __missing__(self, name: str) -> Tensor:
        return torch.zeros(())


class _Trainer(Trainer):
    """A trainer of a run whose data is not looked at."""

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


def trial_trainer(config: RunConfig, callbacks: list[Callback]) -> Trainer:
    """The run's trainer as far as it changes what a step does, on the CPU and silent."""
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
        use_distributed_sampler=False,
        callbacks=callbacks,
        **steps,
    )
    made.loggers = [DummyLogger()]  # for modules that write to theirs
    return made
