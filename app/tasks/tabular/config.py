"""What can be configured about the tabular task. Nothing here imports torch."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from inspect import Parameter, Signature
from typing import Annotated, Any, ClassVar, Final, Literal, cast

from annotated_types import MinLen
from pydantic import BeforeValidator, ValidationInfo

from app.schemas.constraints import LARGEST_INT, Fraction, NonEmptyText, PositiveInt
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.modules import MLPModuleConfig
from app.schemas.phases import Mode
from app.schemas.problems import AppError, show
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import MISSING, schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig
from app.schemas.user_paths import UserPath
from app.tasks.tabular.tables import BreastCancerTableConfig, TableConfig, TableKind, unreadable

UNKNOWN_SHAPE: Final = (LARGEST_INT,)
"""The input shape for a table whose columns cannot be counted; a rule says why."""


def _shape_of(table: object) -> tuple[int, ...]:
    try:
        return (table.num_features(),) if isinstance(table, TableConfig) else UNKNOWN_SHAPE
    except AppError:
        return UNKNOWN_SHAPE


def _given_or_counted(value: object, info: ValidationInfo) -> object:
    return _shape_of(info.data.get("table")) if value is None else value


class _OfTable:
    """Makes the default of a field from the table, which comes before it."""

    __signature__ = Signature([Parameter("fields", Parameter.POSITIONAL_ONLY)])

    def __init__(self, tell: Callable[[TableConfig], object]) -> None:
        self._tell = tell

    def __call__(self, fields: Mapping[str, Any] | None = None) -> object:
        # hydra-zen asks without fields, and then takes what the option is registered with.
        return MISSING if fields is None else self._tell(fields["table"])


def _of_table(tell: Callable[[TableConfig], object]) -> Any:
    return field(default_factory=cast(Any, _OfTable(tell)))


@schema
class _AboutATable:
    """Comes before the facts that follow from it, since a field can only be made from those before it."""

    table: TableConfig = field(default_factory=BreastCancerTableConfig)
    """The table, and what is to be told of its rows: `table=wine` puts in another."""


# Said twice: an override may change the table, which interpolations follow; a task made in Python has none, and takes
# what it starts from out of its table.
@register(
    "task",
    "tabular",
    target="app.tasks.tabular.config.TabularTaskConfig",
    kind="${task.table.kind}",
    num_classes="${task.table.num_classes}",
    test_fingerprint="${task.table.test_fingerprint}",
    monitor="${task.table.monitor}",
    input_shape=None,
)
@schema
class TabularTaskConfig(TaskConfig, _AboutATable):
    """Tell a column of a table from the others: yes or no, one of several classes, or a number.

    Every fifth row of each class, or of all rows where the target is a number, is the test split.
    """

    name: Literal["tabular"] = "tabular"
    """The task's folder in `app/tasks`."""

    kind: TableKind = _of_table(lambda table: table.kind)
    """What the table's target says of a row."""

    input_shape: Annotated[tuple[PositiveInt, ...], MinLen(1), BeforeValidator(_given_or_counted)] = _of_table(
        lambda table: _shape_of(table)
    )
    """How many columns a model looks at: the table's, unless it is given."""

    num_classes: PositiveInt = _of_table(lambda table: table.num_classes)
    """How many classes the table has."""

    test_fingerprint: NonEmptyText | None = _of_table(lambda table: table.test_fingerprint)
    """The table's: SHA-256 of the test split."""

    monitor: NonEmptyText = _of_table(lambda table: table.monitor)
    """The logged value that picks the best checkpoint: at first what suits the table."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    @rule("table", "kind", "num_classes", "test_fingerprint", "input_shape")
    def facts_are_the_tables(self) -> Iterator[Finding]:
        """Results would mean something else."""
        for name in ("kind", "num_classes", "test_fingerprint"):
            of_table, found = getattr(self.table, name), getattr(self, name)
            if found != of_table:
                yield name, f"follows from the table, which has {show(of_table)}, found {show(found)}"
        if self.input_shape == UNKNOWN_SHAPE:
            where, message = unreadable(self.table) or ("file", "has too many columns")
            yield ("table", *((where,) if isinstance(where, str) else where)), message
        elif len(self.input_shape) != 1 or (self.table.carried and self.input_shape != _shape_of(self.table)):
            right = show(_shape_of(self.table)) if self.table.carried else "a list of one number, the columns"
            yield "input_shape", f"follows from the table: expected {right}, found {show(self.input_shape)}"

    def class_names(self) -> tuple[str, ...]:
        """The table's, as far as the config knows them."""
        return self.table.class_names()

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """For classes the share told right, the F1 score and the area under the ROC curve; errors for numbers."""
        # Imported for who needs them: each is a large family, and this file is read at every start.
        if self.kind == "regression":
            from app.schemas.metrics.regression import MeanAbsoluteErrorConfig, MeanSquaredErrorConfig, R2ScoreConfig

            return {
                "mean_squared_error": MeanSquaredErrorConfig(),
                "mean_absolute_error": MeanAbsoluteErrorConfig(),
                "r2": R2ScoreConfig(),
            }
        from app.schemas.metrics.ranking import AUROCConfig

        if self.kind == "binary":
            return {
                "accuracy": AccuracyConfig(task=self.kind),
                "f1": F1Config(task=self.kind),
                "auroc": AUROCConfig(task=self.kind),
            }
        several: Mapping[str, Any] = {"task": self.kind, "num_classes": self.num_classes}
        return {
            "accuracy": AccuracyConfig(**several, average="micro"),
            "f1": F1Config(**several, average="macro"),
            "auroc": AUROCConfig(**several),
        }


register(
    "module",
    "tabular/default",
    target="app.tasks.shared.mlp_module.MLPModule",
    # Tables have fewer rows than there are images, and columns that say more than a pixel.
    model_config={"hidden_dims": [64], "dropout": 0.2, "batch_norm": False},
)(MLPModuleConfig)


@register("datamodule", "tabular/default", target="app.tasks.tabular.datamodule.TabularDataModule")
@schema
class TabularDataModuleConfig(SplitConfig):
    """The rows outside the test split are split at random into train and val.

    Each column is scaled to mean 0 and deviation 1 over the rows outside the test split: over train alone, the fixed
    test split would depend on how train is chosen. Then asinh, which leaves small values as they are and takes the
    logarithm of large ones, draws in the long tails that areas, prices and counts have.
    """

    data_dir: UserPath | None = None
    """Where tables that scikit-learn carries are written; null is the user's cache folder."""

    train_val_split: tuple[Fraction, Fraction] = (0.8, 0.2)
    """Shares of the rows outside the test split that become train and val, of each class; they add up to 1."""

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=16))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""

    input_endings: ClassVar = (".csv",)
