"""A live metric with what a module needs to feed it and to log it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torchmetrics import Metric


@dataclass(frozen=True, kw_only=True)
class NamedMetric:
    """A metric that is updated with named outputs, and whose value is logged under one name or several."""

    metric: Metric

    inputs: Mapping[str, str] = field(default_factory=lambda: {"preds": "logits", "target": "target"})
    """The output that goes into each argument of the metric's update."""

    results: tuple[str, ...]
    """The names of the numbers in its value, in their order; none for a table."""

    table: tuple[str, ...] = ()
    """What the parts of a table are called."""
