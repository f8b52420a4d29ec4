"""What can be configured about the digits task. Nothing here imports torch."""

from dataclasses import field
from typing import Annotated, ClassVar, Literal

from annotated_types import MaxLen, MinLen

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.images import RandomAffineConfig
from app.schemas.constraints import NonEmptyText, PartialShare, PositiveInt
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig


@register("task", "digits", target="app.tasks.digits.config.DigitsTaskConfig")
@schema
class DigitsTaskConfig(TaskConfig):
    """UCI's handwritten digits (Alpaydin and Kaynak, 1998): 1,797 grey images, carried by scikit-learn."""

    name: Literal["digits"] = "digits"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `digits/...`."""

    kind: Literal["multiclass"] = "multiclass"
    """Each image shows one digit."""

    input_shape: tuple[Literal[1], Literal[8], Literal[8]] = (1, 8, 8)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    num_classes: Literal[10] = 10
    """One class for each digit."""

    test_fingerprint: Literal["07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"] = (
        "07f9a19c42615ce75fe8bfc79a9e88ba6a71b258b5bcbb649949c8183539cbee"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    monitor: NonEmptyText = "val/loss"
    """The logged value that picks the best checkpoint: the loss, since on few images many epochs tie in accuracy."""

    mode: Mode = "min"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """The share of images told right, and the F1 score averaged over the ten digits."""
        return {
            "accuracy": AccuracyConfig(task=self.kind, num_classes=self.num_classes, average="micro"),
            "f1": F1Config(task=self.kind, num_classes=self.num_classes, average="macro"),
        }


@schema
class CNNConfig:
    """Hyperparameters of a small convolutional network in the manner of VGG (Simonyan and Zisserman, 2015)."""

    channels: Annotated[tuple[PositiveInt, ...], MinLen(1), MaxLen(3)] = (32, 64)
    """Channels of each block; a block halves the image, so that three leave a single pixel of it."""

    dropout: PartialShare = 0.4
    """Chance that a feature is dropped in training, before the last layer."""


@register("module", "digits/default", target="app.tasks.digits.module.CNNModule")
@register("module", "digits/cnn", target="app.tasks.digits.module.CNNModule")
@schema
class CNNModuleConfig(ModuleConfig):
    """The convolutional network: the more accurate module, and the default."""

    model_config: CNNConfig = field(default_factory=CNNConfig)
    """Hyperparameters of the network."""


@register("datamodule", "digits/default", target="app.tasks.digits.datamodule.DigitsDataModule")
@schema
class DigitsDataModuleConfig(SplitConfig):
    """Every fifth image of each digit is the fixed test split; the others are split at random into train and val."""

    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=16))
    """Small batches: on few images, the steps count more than how smooth each is."""

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {"random_affine": RandomAffineConfig(max_rotation=8.0, max_shift=0.3, max_scale=0.08)}
    )
    """Small turns, moves and changes of size: beyond 30 degrees some digits turn into others."""
