"""What can be configured about the detection task. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import ClassVar, Final, Literal

from app.schemas.augmentations.augmentation import AugmentationConfig, PlacedTarget
from app.schemas.augmentations.images import HorizontalFlipConfig
from app.schemas.batch import BatchSpec, TensorSpec
from app.schemas.constraints import (
    Fraction,
    NonEmptyText,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
)
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.detection import MeanAveragePrecisionConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.own_folder import OwnFolderTaskConfig
from app.schemas.parts.kinds import BackboneConfig, NeckConfig
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig, TaskKind
from app.schemas.user_paths import UserPath

SCENES_FINGERPRINT: Final = "a286a123e214113899aab7056a7c22c2edaf8fe4c04bc2fd2e59f09bde6c7dc2"

SHAPES: Final = ("ellipse", "rectangle", "triangle")
"""What the generated scenes show, in the order of their indices."""

_OF_THE_SCENES: Final[Mapping[str, object]] = {
    "input_shape": (3, 64, 64),
    "num_classes": len(SHAPES),
    "max_objects": 6,
    "test_fingerprint": SCENES_FINGERPRINT,
}
"""Facts of the generated scenes, which no override may change as long as they are the data."""


@register("task", "detection", target="app.tasks.detection.config.DetectionTaskConfig")
@schema
class DetectionTaskConfig(OwnFolderTaskConfig):
    """Boxes around objects: generated scenes of one to six ellipses, rectangles and triangles, or a folder of yours."""

    name: Literal["detection"] = "detection"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `detection/...`."""

    kind: Literal["detection"] = "detection"
    """Each image shows any number of objects."""

    folder: UserPath | None = None
    """A folder of your own data: `train` and `test` in it, each with its images and COCO's `annotations.json`. Null for
    the generated scenes, to which `num_classes`, `input_shape`, `max_objects` and `test_fingerprint` then belong."""

    input_shape: tuple[Literal[1, 3], PositiveInt, PositiveInt] = (3, 64, 64)
    """Channels, height and width of an image; images of other sizes are stretched, and their boxes with them."""

    num_classes: PositiveInt = 3
    """How many kinds of object there are; those of a folder are its categories, in the order of their ids."""

    max_objects: PositiveInt = 6
    """The most objects that an image may have."""

    test_fingerprint: NonEmptyText | None = SCENES_FINGERPRINT
    """SHA-256 of the test split; testing on anything else is refused. For a folder null, or what a test found."""

    monitor: NonEmptyText = "val/map"
    """The logged value that picks the best checkpoint; over all overlaps, as at 0.5 many epochs look alike."""

    mode: Mode = "max"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    @rule("folder", "num_classes", "input_shape", "max_objects", "test_fingerprint")
    def facts_are_those_of_the_data(self) -> Iterator[Finding]:
        """Results on the generated scenes are compared, so nobody may change them."""
        yield from self.facts_of_the_data(_OF_THE_SCENES, called="the generated scenes")

    def class_names(self) -> tuple[str, ...]:
        """The shapes of the scenes; a folder's annotations name their categories themselves."""
        return SHAPES if self.folder is None else ()

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """Mean average precision over overlaps from 0.5 to 0.95, and at 0.5: `map` and `map_50`."""
        return {"map": MeanAveragePrecisionConfig(phases=("val", "test"))}


@schema
class DetectorConfig:
    """Hyperparameters of a single-stage detector without anchors, FCOS (Tian et al., 2019)."""

    backbone: BackboneConfig
    """Turns images into feature maps, of which the coarser ones are used."""

    neck: NeckConfig
    """Joins those maps."""

    finest_step: PositiveInt = 4
    """Pixels of the image, along each side, that a pixel of the finest map used stands for, at least."""

    head_depth: NonNegativeInt = 1
    """Convolutions before the last, for classes and boxes each; the paper has 4."""

    object_size: PositiveFloat = 6.0
    """The longest side, in pixels of a map, of the objects that the map looks for; larger ones are the next one's."""

    center_radius: PositiveFloat = 1.5
    """How far from the middle of an object, in pixels of a map, a location still learns to find it."""

    min_score: Probability = 0.05
    """Boxes less sure than this are dropped."""

    max_overlap: Probability = 0.6
    """Of two boxes of a class that overlap more, as a share of their union, the less sure one is dropped."""

    max_candidates: PositiveInt = 100
    """How many boxes of an image are looked at, the surest first."""

    max_detections: PositiveInt = 20
    """How many boxes an image has in the end, at most; results have this many rows for each image."""

    @rule("backbone")
    def backbone_makes_maps(self) -> Iterator[Finding]:
        """Where an object is can only be told from what knows places."""
        if self.backbone.any_shape:
            yield "backbone", "makes one vector of an image, in which nothing has a place; expected conv, for example"


@register(
    "module",
    "detection/default",
    target="app.tasks.detection.module.DetectorModule",
    model_config={
        "backbone": {"id": "conv", "channels": [16, 32, 64, 96], "num_convolutions": 1},
        "neck": {"id": "fpn", "width": 48},
    },
)
@register(
    "module",
    "detection/resnet",
    target="app.tasks.detection.module.DetectorModule",
    model_config={
        "backbone": {"id": "small_resnet", "depth": 14, "width": 16},
        "neck": {"id": "fpn", "width": 64},
    },
)
@schema
class DetectorModuleConfig(ModuleConfig):
    """The detector: `default` over plain convolutions, `resnet` over a residual network, which is slower."""

    default_losses: ClassVar[tuple[str, ...]] = ("location_focal", "location_box", "location_centerness")

    model_config: DetectorConfig
    """Hyperparameters of the network, and of what is made of its outputs."""

    def model_outputs(self) -> tuple[str, ...]:
        """What the network says of each location."""
        return ("class_logits", "centerness_logits", "candidate_boxes")

    def model_targets(self) -> tuple[str, ...]:
        """What locations are matched with."""
        return ("boxes", "labels")

    def output_keys(self, kind: TaskKind) -> tuple[str, ...]:
        """Those, what each location is to find, and the boxes found: `(batch, max_detections, …)`."""
        matches = ("location_labels", "location_boxes", "location_centerness")
        return (*super().output_keys(kind), *matches, *self.predicted_keys())

    def predicted_keys(self) -> tuple[str, ...]:
        """What is found in an image: boxes, how sure each is, and its class, -1 for unused rows."""
        return ("detected_boxes", "detected_scores", "detected_labels")


@register("datamodule", "detection/default", target="app.tasks.detection.datamodule.DetectionDataModule")
@schema
class DetectionDataModuleConfig(SplitConfig):
    """The task's training images, split at random into train and val."""

    placed_targets: ClassVar[Mapping[str, PlacedTarget]] = {"boxes": "boxes", "labels": "labels"}
    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=16))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""

    train_val_split: tuple[Fraction, Fraction] = (0.85, 0.15)
    """Shares of the images outside the test split that become train and val; they add up to 1.

    Of a folder with a split `val`, that is val, and all of `train` is train.
    """

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {"horizontal_flip": HorizontalFlipConfig(probability=0.5)}
    )
    """Random changes to the training images and their boxes."""

    def target_keys(self) -> tuple[str, ...]:
        """Boxes around the objects of an image, and the class of each."""
        return ("boxes", "labels")

    def batch(self, task: TaskConfig) -> BatchSpec:
        """Images, boxes in pixels and classes; rows without an object are zeros, of class -1."""
        assert isinstance(task, DetectionTaskConfig), "a datamodule is of its task, as the gate makes sure"
        _, height, width = task.input_shape
        return BatchSpec(
            input=TensorSpec(shape=task.input_shape, low=0, high=1),
            targets={
                "boxes": TensorSpec(shape=(task.max_objects, 4), low=0, high=max(height, width)),
                "labels": TensorSpec(shape=(task.max_objects,), dtype="int64", low=-1, high=task.num_classes - 1),
            },
        )
