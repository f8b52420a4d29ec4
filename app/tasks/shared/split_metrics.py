"""The loss and metrics of one split, gathered over an epoch."""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from app.schemas.task import Split


class SplitMetrics(nn.Module):
    """Updated at every step, without waiting for the device; computed and logged once, at the epoch's end."""

    def __init__(self, split: Split, metrics: Mapping[str, Metric]) -> None:
        super().__init__()
        self.split = split
        self.losses = nn.ModuleDict()
        self.metrics = nn.ModuleDict(metrics)

    def update(self, losses: Mapping[str, Tensor], outputs: Tensor, targets: Tensor) -> None:
        """Take in one batch: its losses, each a mean over the batch, its model outputs and its targets."""
        for name, loss in losses.items():
            if name not in self.losses:
                self.losses[name] = MeanLoss().to(loss.device)
            cast(Metric, self.losses[name]).update(loss.detach(), len(targets))
        detached = outputs.detach()
        for metric in self.metrics.values():
            cast(Metric, metric).update(detached, targets)

    def compute(self) -> dict[str, Tensor]:
        """The epoch's values by the full names they are logged under; those that no batch updated are left out."""
        return {f"{self.split}/{name}": metric.compute() for name, metric in self._all() if metric.update_called}

    def reset(self) -> None:
        """Forget every batch."""
        for _, metric in self._all():
            metric.reset()

    def _all(self) -> Iterator[tuple[str, Metric]]:
        return cast(Iterator[tuple[str, Metric]], chain(self.losses.items(), self.metrics.items()))


class MeanLoss(Metric):
    """The mean over all samples of what is given as means over batches.

    Torchmetrics' own `MeanMetric` would wait for the device at every step to look for NaN, and ignores the weights
    when told not to look (1.9.0, `nan_strategy="disable"`). A NaN shows in the mean anyway.
    """

    full_state_update = False
    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, mean: Tensor, samples: int) -> None:
        """Take in the mean over a batch of so many samples."""
        self.total += mean * samples
        self.samples += samples

    def compute(self) -> Tensor:
        """The mean over every sample of every batch, on all processes."""
        return self.total / self.samples
