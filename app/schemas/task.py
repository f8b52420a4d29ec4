"""The task group: the fixed test set and metrics that make runs comparable, and the names that a run logs.

Which names those are follows from the config alone, so the gate can refuse a monitor that nothing logs.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.registry import group
from app.schemas.schema import Finding, rule, schema

Split = Literal["train", "val", "test", "predict"]
"""A part of a task's data; also the prefix of what is logged about it: `val/accuracy`."""

Mode = Literal["min", "max"]
"""Which of a metric's values are the better ones: the small or the large."""

MetricName = Literal["accuracy", "f1"]
"""A metric by the name it is logged under; `f1` is the mean over the classes (macro)."""

LOGGED_SPLITS: tuple[Split, ...] = ("train", "val", "test")
"""The splits that have targets, so that a loss and metrics can be logged."""

BETTER: Mapping[str, Mode] = {"loss": "min", "accuracy": "max", "f1": "max"}
"""Which way each logged value improves."""


@group("task")
@schema
class TaskConfig:
    """What every run of a task has in common: a test set and the metrics on it.

    A task's own config narrows the facts of its data to the one value they have (`num_classes: Literal[10] = 10`), so
    that no override can change what the results mean. Only `monitor` and `mode` are a run's to choose.
    """

    name: NonEmptyText
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `<task>/...`."""

    num_classes: PositiveInt
    """How many classes the targets tell apart."""

    metrics: tuple[MetricName, ...]
    """What is measured on every split, beside the loss."""

    test_fingerprint: NonEmptyText
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText
    """The logged value by which checkpoints are ranked, training is stopped early and sweeps are judged."""

    mode: Mode
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    @rule("monitor", "mode", "metrics")
    def mode_suits_monitor(self) -> Iterator[Finding]:
        """The opposite mode would keep the worst checkpoint and call it the best."""
        right = self.logged_metrics().get(self.monitor)
        if right is not None and right != self.mode:
            better = "smaller" if right == "min" else "larger"
            yield "mode", f"{self.monitor} is better the {better} it is: expected '{right}', found '{self.mode}'"

    def logged_metrics(self) -> dict[str, Mode]:
        """Everything that every run of the task logs, `<split>/<name>`, with the mode that suits it."""
        return {f"{split}/{name}": BETTER[name] for split in LOGGED_SPLITS for name in ("loss", *self.metrics)}
