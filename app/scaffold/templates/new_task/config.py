"""What can be configured about the task `new_task`. Nothing here imports torch."""

from dataclasses import field
from typing import Literal

from app.schemas.constraints import Fraction, NonEmptyText, PartialShare, PositiveInt
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig


@register("task", "new_task", target="app.scaffold.templates.new_task.config.NewTaskTaskConfig")
@schema
class NewTaskTaskConfig(TaskConfig):
    """Three species of iris told apart by four lengths (Fisher, 1936): 150 flowers, carried by scikit-learn."""

    name: Literal["new_task"] = "new_task"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named after it."""

    kind: Literal["multiclass"] = "multiclass"
    """Each flower is of one species."""

    input_shape: tuple[Literal[4]] = (4,)
    """Length and width of a flower's sepals and petals, in centimetres."""

    num_classes: Literal[3] = 3
    """One class for each species."""

    test_fingerprint: Literal["488cc49be85ea6c1480600bb6a48614b29b4b6aeddad982c7ec3a8833817f068"] = (
        "488cc49be85ea6c1480600bb6a48614b29b4b6aeddad982c7ec3a8833817f068"
    )
    """SHA-256 of the test split; testing on anything else is refused, with the one that was found."""

    monitor: NonEmptyText = "val/loss"
    """The logged value that picks the best checkpoint: on few samples many epochs tie in accuracy."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """The share of flowers told right, and the F1 score averaged over the species."""
        return {
            "accuracy": AccuracyConfig(task=self.kind, num_classes=self.num_classes, average="micro"),
            "f1": F1Config(task=self.kind, num_classes=self.num_classes, average="macro"),
        }


@schema
class NetworkConfig:
    """Hyperparameters of a network with one hidden layer."""

    width: PositiveInt = 64
    """Units of the hidden layer."""

    dropout: PartialShare = 0.1
    """Chance that a hidden unit is dropped in training."""


@register("module", "new_task/default", target="app.scaffold.templates.new_task.module.NetworkModule")
@register("module", "new_task/network", target="app.scaffold.templates.new_task.module.NetworkModule")
@schema
class NetworkModuleConfig(ModuleConfig):
    """The task's own network: the default."""

    model_config: NetworkConfig = field(default_factory=NetworkConfig)
    """Hyperparameters of the network."""


@register("datamodule", "new_task/default", target="app.scaffold.templates.new_task.datamodule.NewTaskDataModule")
@schema
class NewTaskDataModuleConfig(SplitConfig):
    """Every fifth flower is in the fixed test split; the others are split at random into train and val."""

    train_val_split: tuple[Fraction, Fraction] = (0.8, 0.2)
    """Shares of the samples outside the test split that become train and val; they add up to 1."""

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=8))
    """How the batches of every split are made: small ones, since there are few samples."""
