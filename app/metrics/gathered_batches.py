"""Small batches of a metric taken in together: counting right and wrong ones costs as much for one as for sixteen."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor
from torchmetrics import Metric

from app.metrics.sharing import counts_classes
from app.metrics.update_counts import num_updates, set_num_updates

MOST_BATCHES: Final = 16
"""How many are taken in at once."""

MOST_VALUES: Final = 65_536
"""Values of a tensor up to which its batch waits; what is larger costs more than the call, and would fill memory."""


class GatheredBatches:
    """The batches of a metric that wait to be taken in.

    Only counts wait, whose sum over several batches is the same to the last digit as that over one after the other. The
    first batch never does, so that what is wrong with it is told at its step.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        self._may_wait = counts_classes(metric)
        self._seen_one = False
        self._waiting: list[Mapping[str, Tensor]] = []

    def add(self, given: Mapping[str, Tensor]) -> None:
        """Take in a batch, the metric's arguments by name, now or with some that follow."""
        small = all(tensor.numel() <= MOST_VALUES for tensor in given.values())
        if not (self._may_wait and self._seen_one and small):
            self.take_in()
            self.metric.update(**given)
            self._seen_one = True
            return
        self._waiting.append(given)
        if len(self._waiting) == MOST_BATCHES:
            self.take_in()

    def take_in(self) -> None:
        """Let nothing wait any longer."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            before = num_updates(self.metric)
            self.metric.update(**{name: torch.cat([given[name] for given in waiting]) for name in waiting[0]})
            set_num_updates(self.metric, before + len(waiting))

    def forget(self) -> None:
        """Leave out what waits, with an epoch that is not to be measured."""
        self._waiting = []
