"""From the metrics' configs to the torchmetrics objects that measure them."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any, cast

from torchmetrics import Metric

from app.builders.targets import keyword_arguments, live_class
from app.metrics.named_metric import NamedMetric
from app.schemas.metrics.metric import MetricConfig

_NOT_ARGUMENTS = frozenset({"mapping", "phases"})
_LISTS = frozenset({"thresholds", "spacing"})
"""Arguments that torchmetrics takes as a list; in a config every sequence is a tuple."""


def build_metrics(configs: Mapping[str, MetricConfig]) -> dict[str, NamedMetric]:
    """The metrics by name, new ones at each call: a split's metrics must not see another split's batches."""
    return {
        name: NamedMetric(
            metric=_build(config),
            inputs=config.output_of(),
            results=tuple(config.results(name)),
            table=config.table,
        )
        for name, config in configs.items()
    }


def _build(config: MetricConfig) -> Metric:
    arguments = keyword_arguments(config, without=_NOT_ARGUMENTS)
    for name in _LISTS & arguments.keys():
        if isinstance(arguments[name], tuple):
            arguments[name] = list(arguments[name])
    cls = live_class(config)
    if _takes_validate_args(cls):
        # Looking for impossible targets would wait for the device at every step.
        arguments["validate_args"] = False
    with warnings.catch_warnings():
        # Told at each start: that a metric keeps its inputs, which its docstring says, and of a default long changed.
        warnings.filterwarnings("ignore", "Metric `.*` will save all targets and predictions")
        warnings.filterwarnings("ignore", "DiceScore metric currently defaults to")
        return cast(Metric, cls(**arguments))


def _takes_validate_args(cls: Any) -> bool:
    return "validate_args" in inspect.signature(cls).parameters
