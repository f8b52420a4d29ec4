"""Batches that wait change no value, only how often a metric is called."""

import pytest
import torch
from torch import Generator, Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassF1Score

from app.metrics.gathered_batches import MOST_BATCHES, MOST_VALUES, GatheredBatches
from app.metrics.update_counts import num_updates


class Counted(MulticlassF1Score):
    calls = 0

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.calls += 1
        super().update(preds, target)


def batches(count: int, size: int = 5) -> list[dict[str, Tensor]]:
    drawn = Generator().manual_seed(0)
    return [
        {"preds": torch.randn(size, 3, generator=drawn), "target": torch.randint(3, (size,), generator=drawn)}
        for _ in range(count)
    ]


@pytest.mark.parametrize("count", [1, 2, MOST_BATCHES + 1, 2 * MOST_BATCHES + 5])
@pytest.mark.parametrize("metric", [MulticlassF1Score(3), MulticlassAccuracy(3, average="micro"), MulticlassAUROC(3)])
def test_the_value_is_that_of_every_batch_by_itself(metric: Metric, count: int) -> None:
    alone = metric.clone()
    gathered = GatheredBatches(metric.clone())
    for given in batches(count):
        alone.update(**given)
        gathered.add(given)
    gathered.take_in()

    assert torch.equal(gathered.metric.compute(), alone.compute())
    assert num_updates(gathered.metric) == num_updates(alone) == count


def test_batches_are_taken_in_several_at_a_time_but_for_the_first() -> None:
    metric = Counted(3)
    gathered = GatheredBatches(metric)
    for given in batches(1 + 2 * MOST_BATCHES):
        gathered.add(given)

    assert metric.calls == 3


def test_large_batches_and_what_does_not_count_never_wait() -> None:
    large = GatheredBatches(Counted(3))
    for given in batches(3, size=MOST_VALUES // 3 + 1):
        large.add(given)
    scores = GatheredBatches(MulticlassAUROC(3))
    for given in batches(3):
        scores.add(given)

    assert num_updates(large.metric) == num_updates(scores.metric) == 3


def test_what_waits_can_be_forgotten() -> None:
    gathered = GatheredBatches(MulticlassF1Score(3))
    for given in batches(4):
        gathered.add(given)
    gathered.forget()
    gathered.take_in()

    assert num_updates(gathered.metric) == 1
