"""Losses of detection, from a model that looks for an object at each of many locations of an image.

`location_labels` holds the class of the object that a location is to find, `(batch, locations)`, -1 where there is
none; `location_boxes` and `location_centerness` say where the object lies. Each loss is a sum over the locations,
divided by the number of those that have an object.
"""

from typing import ClassVar, Literal

from app.schemas.constraints import NonNegativeFloat, OpenShare
from app.schemas.losses.loss import LossConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@register("loss", "location_focal", target="app.losses.detection.LocationFocalLoss")
@schema
class LocationFocalConfig(LossConfig):
    """Focal loss of the classes (Lin et al., 2017): the many locations without an object count for little."""

    arguments: ClassVar = {"input": "class_logits", "labels": "location_labels"}
    takes: ClassVar = {"input": ("class_logits", "logits")}

    gamma: NonNegativeFloat = 2.0
    """How fast a location counts less as it is told right with more confidence; 0 is cross entropy."""

    alpha: OpenShare | None = 0.25
    """The weight of positives, that of negatives being the rest; null weighs both with 1."""


@register("loss", "location_box", target="app.losses.detection.LocationBoxLoss")
@schema
class LocationBoxConfig(LossConfig):
    """How far boxes are from the true ones, at the locations that have an object."""

    arguments: ClassVar = {"input": "candidate_boxes", "target": "location_boxes", "labels": "location_labels"}

    form: Literal["iou", "giou", "l1"] = "giou"
    """One minus the overlap, one minus the generalised overlap (Rezatofighi et al., 2019), which also tells apart boxes
    that do not meet, or the mean distance of the sides as a share of the true box's size."""


@register("loss", "location_centerness", target="app.losses.detection.LocationCenternessLoss")
@schema
class LocationCenternessConfig(LossConfig):
    """Cross entropy of how central a location is in its object (Tian et al., 2019), where there is one."""

    arguments: ClassVar = {
        "input": "centerness_logits",
        "target": "location_centerness",
        "labels": "location_labels",
    }
    takes: ClassVar = {"input": ("centerness_logits", "logits")}
