from typing import Literal

import pytest
import torch
from torchmetrics.segmentation import HausdorffDistance as TheirHausdorffDistance

from app.metrics.hausdorff import HausdorffDistance

SQUARE = torch.zeros(1, 9, 9, dtype=torch.long)
SQUARE[0, 2:5, 2:5] = 1


@pytest.mark.parametrize("directed", [False, True])
@pytest.mark.parametrize("distance_metric", ["euclidean", "taxicab"])
def test_it_is_torchmetrics_value_where_every_class_is_there(
    directed: bool, distance_metric: Literal["euclidean", "taxicab"]
) -> None:
    masks, target = torch.arange(64).reshape(1, 8, 8) % 3, torch.arange(64).reshape(1, 8, 8) // 30
    ours, theirs = (
        cls(3, directed=directed, distance_metric=distance_metric, input_format="index")
        for cls in (HausdorffDistance, TheirHausdorffDistance)
    )

    ours.update(masks, target)
    theirs.update(masks, target)

    assert ours.compute() == theirs.compute() > 1


def test_a_class_in_neither_mask_is_left_out() -> None:
    shifted = SQUARE.roll(3, dims=1)
    metric = HausdorffDistance(num_classes=5, input_format="index")

    metric.update(torch.cat([shifted, SQUARE]), torch.cat([SQUARE, SQUARE]))

    assert metric.compute() == 3 / 2


def test_a_class_in_one_mask_only_is_infinitely_far() -> None:
    metric = HausdorffDistance(num_classes=2, input_format="index")

    metric.update(torch.zeros_like(SQUARE), SQUARE)

    assert metric.compute().isinf()
