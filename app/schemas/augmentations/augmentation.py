"""What every augmentation has, whichever it is; the options are imported once the group is looked at."""

from typing import Annotated, ClassVar, Final, Literal

from annotated_types import Gt, Le

from app.schemas.registry import group
from app.schemas.schema import schema

PlacedTarget = Literal["mask", "boxes", "labels"]
"""A target whose values lie at places of the image, and that has to move with it.

A mask has a value for each pixel, `(batch, height, width)`; boxes are `(batch, boxes, 4)`, left, top, right and bottom
in pixels, the unused ones filled up with zeros. Labels are the boxes' classes, `(batch, boxes)`, -1 in unused rows: a
box that leaves the image becomes one of those.
"""

EVERY_TARGET: Final[frozenset[PlacedTarget]] = frozenset(("mask", "boxes", "labels"))


@group(
    "augmentation",
    several=True,
    mount="datamodule.augmentations",
    families=(
        "app.schemas.augmentations.images",
        "app.schemas.augmentations.colours",
        "app.schemas.augmentations.composition",
        "app.schemas.augmentations.libraries",
    ),
)
@schema
class AugmentationConfig:
    """A random change to training images, drawn anew for each image and epoch; applied in the order of the config.

    A live class takes the fields other than `probability`. It is called with a batch of `Views` and a generator, draws
    from nothing else, and leaves the shape of the images as it is.
    """

    probability: Annotated[float, Gt(0), Le(1)] = 1.0
    """Chance that an image is changed; the others of the batch stay as they are."""

    any_shape: ClassVar[bool] = False  # whether inputs need not be images

    @property
    def moves(self) -> frozenset[PlacedTarget]:
        """The targets in the image that stay right: all, unless places change in a way that they cannot follow."""
        return EVERY_TARGET
