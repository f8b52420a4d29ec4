"""Aggregates of anything that a step puts out: its mean, sum, extremes, or all of it.

They read the output `value` unless `mapping` says otherwise. Torchmetrics looks for NaN at each step, and waits for the
device to do so, unless `nan_strategy` is `disable`.
"""

from collections.abc import Mapping
from typing import ClassVar, Literal

from app.schemas.constraints import PositiveInt
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.schema import schema


@schema
class AggregationConfig(MetricConfig):
    """An aggregate over all numbers of an output."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"value": "value"}
    better: ClassVar[Mode | None] = None

    nan_strategy: Literal["disable", "error", "warn", "ignore"] | float = "disable"
    """Let NaN through (`disable`), stop at it, leave it out with a warning or without one, or put a number for it."""


@register("metrics", "mean", target="torchmetrics.aggregation.MeanMetric")
@schema
class MeanConfig(AggregationConfig):
    """The mean of all numbers."""


@register("metrics", "sum", target="torchmetrics.aggregation.SumMetric")
@schema
class SumConfig(AggregationConfig):
    """The sum of all numbers."""


@register("metrics", "max", target="torchmetrics.aggregation.MaxMetric")
@schema
class MaxConfig(AggregationConfig):
    """The largest number."""


@register("metrics", "min", target="torchmetrics.aggregation.MinMetric")
@schema
class MinConfig(AggregationConfig):
    """The smallest number."""


@register("metrics", "cat", target="torchmetrics.aggregation.CatMetric")
@schema
class CatConfig(AggregationConfig):
    """All numbers, as a table."""

    table: ClassVar[tuple[str, ...]] = ("values",)


@register("metrics", "running_mean", target="torchmetrics.aggregation.RunningMean")
@schema
class RunningMeanConfig(AggregationConfig):
    """The mean of the numbers of the last few batches."""

    window: PositiveInt = 5
    """How many batches it looks back."""


@register("metrics", "running_sum", target="torchmetrics.aggregation.RunningSum")
@schema
class RunningSumConfig(AggregationConfig):
    """The sum of the numbers of the last few batches."""

    window: PositiveInt = 5
    """How many batches it looks back."""


OWN_DEFAULTS: dict[type, dict[str, str]] = {
    cls: {"nan_strategy": "looking for NaN waits for the device at each step, and a NaN in the value shows anyway"}
    for cls in (MeanConfig, SumConfig, MaxConfig, MinConfig, CatConfig, RunningMeanConfig, RunningSumConfig)
}
"""The fields that start from another value than torchmetrics' argument, each with why."""

LEFT_OUT: dict[type, dict[str, str]] = {
    cls: {"state_name": "the name of what is kept, which torchmetrics' own base of these takes"}
    for cls in (MeanConfig, SumConfig, MaxConfig, MinConfig, CatConfig)
}
"""The arguments of torchmetrics' classes that no config can set, each with why."""
