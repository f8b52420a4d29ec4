"""The task group: the fixed test set and metrics that make runs comparable."""

from typing import Annotated, Literal

from annotated_types import MinLen

from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.registry import group
from app.schemas.schema import schema

ClassKind = Literal["binary", "multiclass", "multilabel"]
"""What a target says of a sample's class: yes or no, one of several, or any number of them."""

TaskKind = Literal[ClassKind, "regression", "detection"]
"""What a target says of a sample: its class, a number, or boxes with a class each."""


def usual_losses(kind: TaskKind) -> tuple[str, ...]:
    """The losses that suit what a task's own target says; none where it is boxes."""
    of_kind = {"multiclass": ("cross_entropy",), "regression": ("mse",), "detection": ()}
    return of_kind.get(kind, ("bce_with_logits",))


@group("task")
@schema
class TaskConfig:
    """What every run of a task has in common: a test set and the metrics on it.

    A task's own config narrows the facts of its data to the one value they have (`num_classes: Literal[10] = 10`), so
    that no override can change what the results mean. Only `monitor` and `mode` are a run's to choose.
    """

    name: NonEmptyText
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `<task>/...`."""

    kind: TaskKind
    """What a target says of a sample; metrics and losses interpolate it."""

    input_shape: Annotated[tuple[PositiveInt, ...], MinLen(1)]
    """The shape of one sample's input: channels, height and width of an image."""

    num_classes: PositiveInt
    """How many classes the targets tell apart; 1 where they are numbers."""

    test_fingerprint: NonEmptyText | None
    """SHA-256 of the test split; testing on anything else is refused. Null for a user's own data, which no task pins:
    what was found is stored with the results all the same."""

    monitor: NonEmptyText
    """The logged value by which checkpoints are ranked, training is stopped early and sweeps are judged."""

    mode: Mode
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """What every run of the task is measured by, by the name it is logged under.

        They are part of what the task is, and so no field that an override could change.
        """
        raise NotImplementedError(f"{type(self).__name__} must say which metrics are its own")

    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of their indices; none where only the data says, or nobody."""
        return ()
