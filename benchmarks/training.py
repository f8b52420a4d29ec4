"""What a training step costs through `BaseModule`, its joint loss and its metrics, against a hand-written module.

Both sides train the same network on the same batches with the same optimizer, losses and metrics, in turn, so that a
busy moment of the machine meets both. The hand-written side has a plain Trainer, without the callbacks that make every
run of ours stop at a loss that is no number and resume exactly. The time is that of whole training epochs, data loading
included.

    python -m benchmarks.training --rounds 10
"""

import argparse
import platform
import statistics
import sys
import warnings
from typing import Any, Final, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from app import load_config, load_from_config
from benchmarks.epoch_times import bare_epoch, own_epoch

TARGET: Final = 1.10
"""How many times as long as the hand-written module's a training step may take."""

EPOCHS: Final = 6
"""The first of which is not counted: it warms up allocators and metrics."""

RUN: Final = [
    f"trainer.max_epochs={EPOCHS}",
    "trainer.accelerator=cpu",
    "trainer.limit_val_batches=0",
    "trainer.num_sanity_val_steps=0",
    "trainer.deterministic=false",
    "task.monitor=train/loss",
    "callbacks=[]",
    "logger=[]",
    "datamodule.dataloader.batch_size=32",
    "augmentation=[]",
]

CASES: Final = {
    "one loss": [],
    "joint loss of two": ["loss=[cross_entropy,multi_margin]", "joint_loss.losses.multi_margin.weight=0.5"],
}
MODULES: Final = ("mlp", "digits/cnn")


class HandWritten(LightningModule):
    """The same work, as one would write it for this model alone."""

    def __init__(self, model: nn.Module, *, joint: bool) -> None:
        super().__init__()
        self.model = model
        self.joint = joint
        self.losses = nn.ModuleDict({name: MeanMetric(nan_strategy="disable") for name in self._names()})
        self.metrics = MetricCollection(
            {
                "accuracy": MulticlassAccuracy(10, average="micro", validate_args=False),
                "f1": MulticlassF1Score(10, average="macro", validate_args=False),
            }
        )

    def _names(self) -> tuple[str, ...]:
        return ("loss", "cross_entropy", "multi_margin") if self.joint else ("loss",)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002  # Lightning's signature
        """The loss, its terms and metrics taken in."""
        inputs, targets = batch
        logits = self.model(inputs)
        loss = functional.cross_entropy(logits, targets)
        values = [loss]
        if self.joint:
            margin = functional.multi_margin_loss(logits, targets)
            values = [loss, margin]
            loss = (loss + 0.5 * margin) / 1.5
            values.insert(0, loss)
        for metric, value in zip(self.losses.values(), values, strict=True):
            cast(MeanMetric, metric).update(value.detach(), len(targets))
        self.metrics.update(logits.detach(), targets)
        return loss

    def on_train_epoch_end(self) -> None:
        """Log the epoch's values."""
        losses = {name: cast(MeanMetric, metric) for name, metric in self.losses.items()}
        self.log_dict({f"train/{name}": metric.compute() for name, metric in losses.items()}, prog_bar=True)
        self.log_dict({f"train/{name}": value for name, value in self.metrics.compute().items()}, prog_bar=True)
        self.metrics.reset()
        for metric in losses.values():
            metric.reset()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """As the default config has it."""
        return torch.optim.AdamW(self.model.parameters(), lr=1e-3)


def seconds_per_epoch(overrides: list[str], *, by_hand: bool, joint: bool) -> float:
    """The fastest epoch of a run."""
    trainer, module, datamodule = load_from_config(load_config(overrides))
    if by_hand:
        plain = HandWritten(cast(Any, module).model, joint=joint)
        return bare_epoch(plain, datamodule, epochs=EPOCHS, limit_val_batches=0)
    return own_epoch(trainer, module, datamodule)


def main() -> None:
    """Print a ratio for each case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    rounds = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {torch.get_num_threads()} threads")
    missed = False
    for module in MODULES:
        for name, overrides in CASES.items():
            words = [f"module={module}", *RUN, *overrides]
            ours, theirs = [], []
            for _ in range(rounds):
                ours.append(seconds_per_epoch(words, by_hand=False, joint=bool(overrides)))
                theirs.append(seconds_per_epoch(words, by_hand=True, joint=bool(overrides)))
            ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
            times = f"{statistics.median(ours):.3f} s against {statistics.median(theirs):.3f} s an epoch"
            verdict = "within" if ratio <= TARGET else "MISSES"
            missed |= ratio > TARGET
            print(f"{module}, {name}: {ratio:.3f} times ({times}; {verdict} {TARGET})")
    sys.exit(missed)


if __name__ == "__main__":
    main()
