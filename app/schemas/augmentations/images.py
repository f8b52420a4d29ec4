"""Augmentations that move what an image shows, with masks and boxes: a batch at a time, drawn from the run's seed."""

from collections.abc import Iterator
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.constraints import Fraction, NonNegativeFloat, PositiveFloat, PositiveInt
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@register("augmentation", "random_affine", target="app.augmentations.geometry.RandomAffine")
@schema
class RandomAffineConfig(AugmentationConfig):
    """Turns, moves and scales each image by amounts of its own, uniform up to the limits; what moves in is zero.

    Boxes become the upright ones around what they were, and so grow when they are turned.
    """

    max_rotation: Annotated[float, Ge(0), Le(180)] = 8.0
    """Largest turn to either side, in degrees."""

    max_shift: NonNegativeFloat = 0.0
    """Largest move along each axis, in pixels."""

    max_scale: Annotated[float, Ge(0), Lt(1)] = 0.0
    """Largest growth or shrinking, as a share of the image's size."""


@register("augmentation", "horizontal_flip", target="app.augmentations.flips.HorizontalFlip")
@schema
class HorizontalFlipConfig(AugmentationConfig):
    """Swaps left and right, which most things survive that are no writing."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    """Chance that an image is changed; 1 would show all of them mirrored, and none as it is."""


@register("augmentation", "vertical_flip", target="app.augmentations.flips.VerticalFlip")
@schema
class VerticalFlipConfig(AugmentationConfig):
    """Swaps top and bottom, for what has neither: images taken from above, or through a microscope."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    """Chance that an image is changed; 1 would show all of them upside down, and none as it is."""


@register("augmentation", "rotate90", target="app.augmentations.flips.RandomRotate90")
@schema
class RandomRotate90Config(AugmentationConfig):
    """Turns each image by none, one, two or three quarters; by none or two where it is not square."""


@register("augmentation", "random_crop", target="app.augmentations.geometry.RandomCrop")
@schema
class RandomCropConfig(AugmentationConfig):
    """Pads each image on all sides and cuts one of its own size out of that: a move by whole pixels.

    A box of which less than a pixel is left in the image is dropped.
    """

    padding: PositiveInt = 4
    """Pixels on each side, and so the largest move; 4 is usual for images of 32 by 32."""

    surroundings: Literal["zeros", "edge", "reflect"] = "zeros"
    """What the padding shows: nothing, the outermost pixel, or the image in a mirror; a mask's is always zero."""


@register("augmentation", "random_resized_crop", target="app.augmentations.geometry.RandomResizedCrop")
@schema
class RandomResizedCropConfig(AugmentationConfig):
    """Cuts a part out of each image and enlarges it to the image's size (Szegedy et al., 2015).

    A box of which less than a pixel is left in the image is dropped.
    """

    area: tuple[Fraction, Fraction] = (0.5, 1.0)
    """Smallest and largest share of the image that the part may be; ImageNet's recipe begins at 0.08."""

    aspect_ratio: tuple[PositiveFloat, PositiveFloat] = (0.75, 4 / 3)
    """Smallest and largest ratio of the part's width to its height, beside the image's own."""

    @rule("area")
    def area_is_a_range(self) -> Iterator[Finding]:
        """The first of the two is the smaller."""
        yield from _range("area", self.area)

    @rule("aspect_ratio")
    def aspect_ratio_is_a_range(self) -> Iterator[Finding]:
        """The first of the two is the smaller."""
        yield from _range("aspect_ratio", self.aspect_ratio)


@register("augmentation", "random_erasing", target="app.augmentations.geometry.RandomErasing")
@schema
class RandomErasingConfig(AugmentationConfig):
    """Covers a rectangle of each image (Zhong et al., 2020); masks and boxes stay: what is hidden is still there."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    """Chance that an image is changed; the others of the batch stay as they are."""

    area: tuple[Fraction, Fraction] = (0.02, 0.3)
    """Smallest and largest share of the image that is covered."""

    aspect_ratio: tuple[PositiveFloat, PositiveFloat] = (0.3, 10 / 3)
    """Smallest and largest ratio of the rectangle's width to its height, beside the image's own."""

    value: float = 0.0
    """What every covered pixel becomes, in each channel."""

    @rule("area")
    def area_is_a_range(self) -> Iterator[Finding]:
        """The first of the two is the smaller."""
        yield from _range("area", self.area)

    @rule("aspect_ratio")
    def aspect_ratio_is_a_range(self) -> Iterator[Finding]:
        """The first of the two is the smaller."""
        yield from _range("aspect_ratio", self.aspect_ratio)


def _range(name: str, limits: tuple[float, float]) -> Iterator[Finding]:
    if limits[0] > limits[1]:
        yield name, f"expected the smaller limit first, found {limits[0]:g} before {limits[1]:g}"
