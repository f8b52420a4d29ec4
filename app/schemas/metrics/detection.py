"""Metrics of detection: how well predicted boxes agree with the true ones.

Boxes are `(batch, boxes, 4)`, left, top, right and bottom in pixels, each with a class, `(batch, boxes)`; unused rows
have the class -1.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import ClassVar

from app.schemas.constraints import PositiveInt
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.problems import missing_extra
from app.schemas.registry import register
from app.schemas.schema import schema


@register("metrics", "mean_average_precision", target="app.metrics.mean_average_precision.MeanAveragePrecision")
@schema
class MeanAveragePrecisionConfig(MetricConfig):
    """COCO's mean average precision (Lin et al., 2014), as `<name>`, and its value at an overlap of 0.5: `<name>_50`.

    Precision is averaged over recall and the classes, and for `<name>` over the overlaps 0.5, 0.55, … 0.95 from which
    on a box counts as found. An epoch without any true box has the value -1.
    """

    arguments: ClassVar[Mapping[str, str]] = {
        "boxes": "detected_boxes",
        "scores": "detected_scores",
        "labels": "detected_labels",
        "target_boxes": "boxes",
        "target_labels": "labels",
    }

    max_detections: PositiveInt = 100
    """How many boxes of an image and class are looked at, the surest first; COCO's own number is 100."""

    def missing_package(self) -> str | None:
        """COCO's own evaluation measures."""
        return missing_evaluation()

    def results(self, name: str) -> dict[str, Mode | None]:
        """The mean over all overlaps, and the value at 0.5."""
        return {name: self.better, f"{name}_50": self.better}


def missing_evaluation() -> str | None:
    """What to install where COCO's evaluation is missing; None when it is there."""
    return missing_extra("COCO's evaluation (pycocotools)", "detection") if find_spec("pycocotools") is None else None
