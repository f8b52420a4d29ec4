"""What the benchmarks of training share: a watch for epochs, and a Trainer with nothing switched on."""

import time
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class Stopwatch(Callback):
    """Seconds of every epoch, from its first batch to after its validation and checkpoint."""

    def __init__(self) -> None:
        self.epochs: list[float] = []
        self._started = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Start counting."""
        self._started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Stop counting; the last of the callbacks, it comes after the checkpoint's."""
        self.epochs.append(time.perf_counter() - self._started)

    def fastest(self) -> float:
        """Of all but the first, which warms up: what else the machine does can only add to it."""
        return min(self.epochs[1:])


def bare_epoch(module: LightningModule, datamodule: Any, *, epochs: int, **settings: Any) -> float:
    """The fastest epoch of a Trainer without progress bar, logger, checkpoints and safeguards."""
    watch = Stopwatch()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[watch],
        **settings,
    )
    trainer.fit(module, datamodule=datamodule)
    return watch.fastest()


def own_epoch(trainer: Trainer, module: LightningModule, datamodule: Any) -> float:
    """The fastest epoch of a run as it was built."""
    watch = Stopwatch()
    trainer.callbacks.append(watch)  # type: ignore[attr-defined]  # set by a connector
    trainer.fit(module, datamodule=datamodule)
    return watch.fastest()
