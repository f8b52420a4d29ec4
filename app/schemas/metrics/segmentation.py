"""Metrics of segmentation: how well predicted masks cover the true ones.

The output `classes` holds the predicted class of each pixel, `(batch, height, width)`, as `target` does the true one.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen

from app.schemas.constraints import PositiveFloat, PositiveInt
from app.schemas.metrics.classification import Average
from app.schemas.metrics.metric import MetricConfig, each
from app.schemas.phases import Mode
from app.schemas.registry import register
from app.schemas.schema import schema

_CLASSES = {"num_classes": "${task.num_classes}"}


@schema
class SegmentationConfig(MetricConfig):
    """A metric of masks."""

    abstract: ClassVar = True
    arguments: ClassVar[Mapping[str, str]] = {"preds": "classes", "target": "target"}
    kinds: ClassVar[tuple[str, ...] | None] = ("binary", "multiclass")
    masks: ClassVar[bool] = True

    num_classes: PositiveInt
    """How many classes a pixel may be of, the background included."""

    include_background: bool = True
    """Whether class 0 counts like the others."""

    input_format: Literal["index", "one-hot", "mixed"] = "index"
    """Masks and targets hold class indices, a dimension of zeros and ones for the classes, or one each."""

    def num_measured(self) -> int:
        """How many classes are measured."""
        return self.num_classes - (not self.include_background)


@register("metrics", "mean_iou", target="torchmetrics.segmentation.MeanIoU", **_CLASSES)
@schema
class MeanIoUConfig(SegmentationConfig):
    """What prediction and truth have in common, as a share of both together, for each sample and class in it."""

    per_class: bool = False
    """Log each class, and -1 for one that was never there, instead of the mean."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return each(name, self.num_measured(), self.better) if self.per_class else {name: self.better}


@register("metrics", "dice_score", target="torchmetrics.segmentation.DiceScore", **_CLASSES)
@schema
class DiceScoreConfig(SegmentationConfig):
    """Twice what prediction and truth have in common, as a share of the sum of their sizes."""

    average: Average = "macro"
    """All classes together (`micro`), their mean (`macro`), weighted by their sizes, or each by itself (`none`)."""

    aggregation_level: Literal["samplewise", "global"] = "samplewise"
    """The mean of the samples' scores, or one score over all pixels."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return each(name, self.num_measured(), self.better) if self.average == "none" else {name: self.better}


@register("metrics", "generalized_dice_score", target="torchmetrics.segmentation.GeneralizedDiceScore", **_CLASSES)
@schema
class GeneralizedDiceScoreConfig(SegmentationConfig):
    """The Dice score with small classes weighing more (Sudre et al., 2017)."""

    per_class: bool = False
    """Log each class instead of their weighted mean."""

    weight_type: Literal["square", "simple", "linear"] = "square"
    """Weigh a class by one over its squared size, by one over its size, or all alike."""

    def results(self, name: str) -> dict[str, Mode | None]:
        """One number, or one for each class."""
        return each(name, self.num_measured(), self.better) if self.per_class else {name: self.better}


@register("metrics", "hausdorff_distance", target="app.metrics.hausdorff.HausdorffDistance", **_CLASSES)
@schema
class HausdorffDistanceConfig(SegmentationConfig):
    """How far the outline of a predicted mask strays from the true one at worst, in pixels; slow on large masks.

    The mean over all samples and the classes in them; infinite once a class was predicted where it is not, or missed.
    """

    better: ClassVar[Mode | None] = "min"

    include_background: bool = False
    """Whether class 0 counts like the others."""

    distance_metric: Literal["euclidean", "chessboard", "taxicab"] = "euclidean"
    """How the distance of two pixels is measured."""

    spacing: Annotated[tuple[PositiveFloat, ...], MinLen(1)] | None = None
    """The size of a pixel along each dimension; null takes it as 1."""

    directed: bool = False
    """From prediction to truth only, instead of the larger of both ways."""


_INDICES = "masks and targets hold class indices here, as losses take them"

OWN_DEFAULTS: dict[type, dict[str, str]] = {
    MeanIoUConfig: {
        "input_format": _INDICES,
        "num_classes": "has none: torchmetrics cannot measure class indices without it",
    },
    DiceScoreConfig: {"input_format": _INDICES},
    GeneralizedDiceScoreConfig: {"input_format": _INDICES},
    HausdorffDistanceConfig: {"input_format": _INDICES},
}
"""The fields that start from another value than torchmetrics' argument, each with why."""
