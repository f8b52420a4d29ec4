"""What every metric has, whichever it is."""

from collections.abc import Mapping
from typing import ClassVar

from app.schemas.outputs import OutputMapping
from app.schemas.phases import Mode
from app.schemas.registry import group
from app.schemas.schema import schema


@group(
    "metrics",
    several=True,
    families=(
        "app.schemas.metrics.classification",
        "app.schemas.metrics.ranking",
        "app.schemas.metrics.regression",
        "app.schemas.metrics.segmentation",
        "app.schemas.metrics.detection",
        "app.schemas.metrics.retrieval",
        "app.schemas.metrics.gallery",
        "app.schemas.metrics.aggregation",
    ),
)
@schema
class MetricConfig(OutputMapping):
    """A metric; its key in `metrics` is the name it is logged under.

    A live class is a torchmetrics `Metric` that takes the fields below these as keyword arguments, and whose update
    takes the mapped outputs. It is updated on every batch, computed and reset at the end of every epoch.

    A metric of one's own is a class and a schema, registered where a task's config is:

        @register("metrics", "share_above", target="app.tasks.mine.metrics.ShareAbove")
        @schema
        class ShareAboveConfig(MetricConfig):
            arguments = {"preds": "probabilities"}
            bound: Probability = 0.9

    Here `ShareAbove(bound=0.9)` is a `Metric` whose `update` takes `preds`, and whose value is one number that should
    be large. `better` and `results` say so of other metrics. A metric whose update counts the same as another's is
    updated once for both only if it inherits that update from torchmetrics.
    """

    arguments: ClassVar[Mapping[str, str]] = {"preds": "logits", "target": "target"}

    better: ClassVar[Mode | None] = "max"
    """Which values are the better ones; None where neither is."""

    table: ClassVar[tuple[str, ...]] = ()
    """The names of a value's parts, where it is a curve or a matrix: a table, kept as a file and not logged."""

    kinds: ClassVar[tuple[str, ...] | None] = None
    """The kinds of task whose own `target` it can be computed from; null takes any, none a mapped target only."""

    masks: ClassVar[bool] = False
    """Whether it compares a class for each pixel, which only a model with a dense head gives."""

    def missing_package(self) -> str | None:
        """What to install before it can be computed; None when all is there."""
        return None

    def results(self, name: str) -> dict[str, Mode | None]:
        """What is logged for a metric of this name, below the split: `{"accuracy": "max"}`.

        The order is that of the value's numbers, when it has several. Nothing is logged of a table.
        """
        return {} if self.table else {name: self.better}


def each(name: str, count: int | None, better: Mode | None) -> dict[str, Mode | None]:
    """The results of a metric that has a number for each of `count` classes, labels or outputs: `f1/0`, `f1/1`."""
    return {f"{name}/{index}": better for index in range(count or 0)}
