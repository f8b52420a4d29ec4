"""What can be configured about the segmentation task. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Le

from app.schemas.augmentations.augmentation import AugmentationConfig, PlacedTarget
from app.schemas.augmentations.images import HorizontalFlipConfig, RandomAffineConfig
from app.schemas.batch import BatchSpec, TensorSpec
from app.schemas.constraints import LARGEST_INT, NonEmptyText, PositiveInt
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.classification import AccuracyConfig, F1Config, JaccardIndexConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.modules import PartsModuleConfig
from app.schemas.own_folder import OwnFolderTaskConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig
from app.schemas.user_paths import UserPath

_HEAD: Final = {"id": "segmentation", "num_classes": "${task.num_classes}"}

SHAPES_FINGERPRINT: Final = "8f6bc193ef9cf158b8e69b9732c8a149aaf60aefa0f1d0c13e503cb5f9e03f5a"
"""SHA-256 of the test split of generated shapes."""

SHAPES: Final = ("background", "disc", "square", "triangle")
"""What a pixel of the drawn pictures may belong to, in the order of their indices."""

_OF_THE_SHAPES: Final[Mapping[str, object]] = {
    "input_shape": (3, 64, 64),
    "num_classes": len(SHAPES),
    "test_fingerprint": SHAPES_FINGERPRINT,
}
"""Facts of the drawn shapes, which no override may change as long as they are the data."""


@register("task", "segmentation", target="app.tasks.segmentation.config.SegmentationTaskConfig")
@schema
class SegmentationTaskConfig(OwnFolderTaskConfig):
    """The class of each pixel: background, disc, square or triangle in pictures that are drawn when they are needed.

    With a `folder` of one's own images and masks, their size, the number of classes and the test split are its own.
    """

    name: Literal["segmentation"] = "segmentation"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `segmentation/...`."""

    kind: Literal["multiclass"] = "multiclass"
    """Each pixel is of one class."""

    folder: UserPath | None = None
    """A folder of one's own images and masks, which `app.data_formats.image_folder` describes; null draws shapes.

    `train` and `test` are in it, `val` and `predict` may be, and in each the folders `images` and `masks`.
    """

    input_shape: tuple[Literal[1, 3], PositiveInt, PositiveInt] = (3, 64, 64)
    """Channels (1 is grey, 3 are colours), height and width that images are brought to; values lie between 0 and 1."""

    num_classes: Annotated[int, Ge(2), Le(LARGEST_INT)] = 4
    """How many classes a pixel may be of, the background, class 0, included."""

    test_fingerprint: NonEmptyText | None = SHAPES_FINGERPRINT
    """SHA-256 of the test split; testing on anything else is refused.

    Null for a folder that is not pinned yet; what is stored with its first results pins it.
    """

    monitor: NonEmptyText = "val/iou"
    """The logged value that picks the best checkpoint."""

    mode: Mode = "max"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    @rule("folder", "input_shape", "num_classes", "test_fingerprint")
    def facts_are_those_of_the_data(self) -> Iterator[Finding]:
        """The shapes are drawn in one way only, and a folder's test split is not theirs."""
        yield from self.facts_of_the_data(_OF_THE_SHAPES, called="the shapes")

    def class_names(self) -> tuple[str, ...]:
        """The drawn shapes; of a folder's classes only the numbers are known."""
        return SHAPES if self.folder is None else ()

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """Intersection over union and Dice over all pixels of a split, means of the classes; the share told right.

        As PASCAL VOC counts (Everingham et al., 2015): intersections and unions are added up over all images before
        one is divided by the other, the background is a class like the others, and classes that never occur do not
        count. The Dice coefficient of a class is its F1 score.
        """
        facts: dict[str, Any] = {"task": self.kind, "num_classes": self.num_classes}
        return {
            "iou": JaccardIndexConfig(average="macro", **facts),
            "class_iou": JaccardIndexConfig(average="none", **facts),
            "dice_score": F1Config(average="macro", **facts),
            "accuracy": AccuracyConfig(average="micro", **facts),
        }


@register(
    "module",
    "segmentation/default",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config={
        "backbone": {"id": "conv", "channels": (8, 16, 32, 64)},
        "neck": {"id": "unet"},
        "head": _HEAD,
    },
)
@register(
    "module",
    "segmentation/fpn",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config={
        "backbone": {"id": "small_resnet", "depth": 14},
        "neck": {"id": "fpn", "width": 32},
        "head": _HEAD,
    },
)
@schema
class SegmentationModuleConfig(PartsModuleConfig):
    """A network of exchangeable parts that scores every pixel: `default` is a U-Net (Ronneberger et al., 2015)."""

    default_losses: ClassVar[tuple[str, ...]] = ("cross_entropy", "dice")


@register("datamodule", "segmentation/default", target="app.tasks.segmentation.datamodule.SegmentationDataModule")
@schema
class SegmentationDataModuleConfig(SplitConfig):
    """Drawn shapes, or the images and masks of the task's folder, all of them held in memory."""

    placed_targets: ClassVar[Mapping[str, PlacedTarget]] = {"target": "mask"}
    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=8))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {
            "horizontal_flip": HorizontalFlipConfig(),
            "random_affine": RandomAffineConfig(max_rotation=15.0, max_shift=4.0, max_scale=0.1),
        }
    )
    """Mirrored half of the time, turned, moved and scaled a little; the masks move along."""

    def batch(self, task: TaskConfig) -> BatchSpec:
        """Images, and masks of their height and width."""
        mask = TensorSpec(shape=task.input_shape[1:], dtype="int64", low=0, high=task.num_classes - 1)
        return BatchSpec(input=TensorSpec(shape=task.input_shape), targets={"target": mask})
