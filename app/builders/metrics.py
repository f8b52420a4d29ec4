"""From the names a task gives to the torchmetrics objects that measure them."""

from collections.abc import Callable, Mapping

from torchmetrics import Metric
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from app.schemas.task import MetricName, TaskConfig

# Looking for impossible targets (`validate_args`) would wait for the device at every step.
_METRICS: Mapping[MetricName, Callable[[int], Metric]] = {
    "accuracy": lambda num_classes: MulticlassAccuracy(num_classes, average="micro", validate_args=False),
    "f1": lambda num_classes: MulticlassF1Score(num_classes, average="macro", validate_args=False),
}


def build_metrics(task: TaskConfig) -> dict[str, Metric]:
    """The task's metrics by name, new ones at each call: a split's metrics must not see another split's batches."""
    return {name: _METRICS[name](task.num_classes) for name in task.metrics}
