from typing import get_args

import pytest
import torch
from torch import Tensor

from app.builders.metrics import build_metrics
from app.schemas.task import BETTER, MetricName
from tests.schemas.test_task import PlainTaskConfig

_PREDICTED, _TARGETS = torch.tensor([0, 0, 1, 0]), torch.tensor([0, 0, 1, 2])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", 3 / 4),
        # By class: precision 2/3 with recall 1, both 1, and none found.
        ("f1", (0.8 + 1 + 0) / 3),
    ],
)
def test_each_metric_measures_what_its_name_says(name: MetricName, value: float) -> None:
    [(built, metric)] = build_metrics(PlainTaskConfig(metrics=(name,))).items()

    metric.update(_scores(), _TARGETS)

    assert built == name
    assert metric.compute().item() == pytest.approx(value)


def test_every_name_can_be_built_and_its_better_direction_is_known() -> None:
    names = get_args(MetricName)
    metrics = build_metrics(PlainTaskConfig(metrics=names))

    assert tuple(metrics) == names
    assert {name: metric.higher_is_better for name, metric in metrics.items()} == {
        name: BETTER[name] == "max" for name in names
    }


def test_each_call_makes_metrics_of_its_own() -> None:
    task = PlainTaskConfig()
    one, other = build_metrics(task)["accuracy"], build_metrics(task)["accuracy"]

    one.update(_scores(), _TARGETS)

    assert (one.update_count, other.update_count) == (1, 0)


def _scores() -> Tensor:
    return torch.eye(3)[_PREDICTED]
