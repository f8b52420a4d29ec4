"""Which metrics count the same, so that one update in a step serves all of them.

Accuracy, precision and F1 differ only in what they make of the same counts. Torchmetrics' `MetricCollection` finds that
out by comparing states after a first batch, which waits for the device and takes two metrics for one when their first
batch happens to look alike. Here it follows from what an update reads, before there is any batch.
"""

from collections.abc import Hashable, Iterator, Mapping
from types import CodeType, FunctionType

from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import MulticlassStatScores

from app.metrics.named_metric import NamedMetric
from app.metrics.update_counts import num_updates, set_num_updates


def shared_updates(metrics: Mapping[str, NamedMetric]) -> list[tuple[str, ...]]:
    """The names of the metrics in groups that have the same state after the same batches, or can be told from it.

    The first of each group is the one to update. What is counted over all classes together is the sum of what is
    counted for each, so that one which counts them apart serves both.
    """
    apart: dict[Hashable, list[str]] = {}
    together: dict[Hashable, list[str]] = {}
    for name, named in metrics.items():
        kind = together if _sums_classes(named.metric) else apart
        kind.setdefault(_what_is_counted(name, named), []).append(name)
    groups = {key: [*names, *together.pop(key, [])] for key, names in apart.items()}
    return [tuple(names) for names in (*groups.values(), *together.values())]


def share_state(source: Metric, target: Metric) -> None:
    """Make `target` what it would be after all updates of `source`; both then hold the same tensors."""
    for name, value in source.metric_state.items():
        setattr(target, name, value)
    set_num_updates(target, num_updates(source))


def counts_classes(metric: Metric) -> bool:
    """Whether it counts right and wrong ones of several classes; the sums of these say all that `micro` counts."""
    return isinstance(metric, MulticlassStatScores) and metric.top_k == 1 and str(metric.multidim_average) == "global"


def _what_is_counted(name: str, named: NamedMetric) -> Hashable:
    """Equal for metrics that count the same: of the same inputs, by the same functions, under the same settings.

    Only of torchmetrics' own updates is it known that they read their settings from `self` by name.
    """
    metric = named.metric
    if not type(metric).update.__module__.startswith("torchmetrics."):
        return name
    functions: dict[str, FunctionType] = {}
    settings: dict[str, Hashable] = {}
    waiting = ["update"]
    while waiting:
        function = getattr(type(metric), waiting.pop())
        functions[function.__name__] = function
        for read in _names(function.__code__):
            if isinstance(getattr(type(metric), read, None), FunctionType):
                if read not in functions:
                    waiting.append(read)
            elif hasattr(metric, read) and read not in metric.metric_state:
                settings[read] = _comparable(_as_counted(read, metric))
    layout = tuple(
        (state, isinstance(value, Tensor) and (counts_classes(metric) or tuple(value.shape)))
        for state, value in _defaults(metric)
    )
    return (
        frozenset(named.inputs.items()),
        frozenset(functions.items()),
        frozenset(settings.items()),
        layout,
    )


def _as_counted(setting: str, metric: Metric) -> object:
    """Averages are taken at the end, except that `micro` may have counted the classes together."""
    value = getattr(metric, setting)
    if setting != "average":
        return value
    return value == "micro" and not counts_classes(metric)


def _sums_classes(metric: Metric) -> bool:
    """Whether it counts them together."""
    return counts_classes(metric) and getattr(metric, "average", None) == "micro"


def _names(code: CodeType) -> Iterator[str]:
    """Every name that a function reads of something else, the functions inside it included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _defaults(metric: Metric) -> Iterator[tuple[str, object]]:
    yield from sorted(metric._defaults.items())


def _comparable(value: object) -> Hashable:
    if isinstance(value, Tensor):
        return (tuple(value.shape), tuple(value.flatten().tolist()))
    if isinstance(value, list | tuple):
        return tuple(_comparable(item) for item in value)
    # A thing that cannot be compared is taken to be like no other.
    return (type(value), value) if isinstance(value, str | int | float | None) else id(value)
