"""Augmentations that change the values of pixels and leave them in their places: a batch at a time."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from annotated_types import Ge, Gt, Le

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.codes import Code
from app.schemas.constraints import NonNegativeFloat, PositiveFloat, Probability
from app.schemas.registry import register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema


@register("augmentation", "gaussian_noise", target="app.augmentations.colours.GaussianNoise")
@schema
class GaussianNoiseConfig(AugmentationConfig):
    """Adds noise to every value, of inputs that are no images too; those of pixels may leave the range from 0 to 1."""

    any_shape: ClassVar = True

    deviation: NonNegativeFloat = 0.1
    """Standard deviation of the noise, where pixels have values between 0 and 1."""


@register("augmentation", "color_jitter", target="app.augmentations.colours.ColorJitter")
@schema
class ColorJitterConfig(AugmentationConfig):
    """Changes brightness, contrast and colours of each image by factors of its own; values may leave 0 to 1."""

    brightness: Probability = 0.2
    """How far the factor of all values may lie from 1, to either side."""

    contrast: Probability = 0.2
    """How far the factor of their distance from the image's mean may lie from 1."""

    saturation: Probability = 0.2
    """How far the factor of their distance from grey may lie from 1; no effect but on images of three channels."""

    hue: Annotated[float, Ge(0), Le(0.5)] = 0.0
    """How far colours may be turned about grey, 0.5 is half a circle; no effect but on images of three channels."""

    @remark(Code.UNUSED)
    def something_changes(self) -> Iterator[Finding]:
        """All limits at 0 leave images as they are."""
        if not any((self.brightness, self.contrast, self.saturation, self.hue)):
            yield (), "changes nothing: brightness, contrast, saturation and hue are all 0"


@register("augmentation", "gaussian_blur", target="app.augmentations.colours.GaussianBlur")
@schema
class GaussianBlurConfig(AugmentationConfig):
    """Blurs each image by a Gaussian of its own width."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.5
    """Chance that an image is changed; the others of the batch stay as they are."""

    sigma: tuple[PositiveFloat, PositiveFloat] = (0.1, 2.0)
    """Smallest and largest standard deviation, in pixels; below 0.3 nothing is seen of it."""

    @rule("sigma")
    def sigma_is_a_range(self) -> Iterator[Finding]:
        """The first of the two is the smaller."""
        low, high = self.sigma
        if low > high:
            yield "sigma", f"expected the smaller limit first, found {low:g} before {high:g}"


@register("augmentation", "grayscale", target="app.augmentations.colours.Grayscale")
@schema
class GrayscaleConfig(AugmentationConfig):
    """Takes the colours out of images of three channels, which stay three."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.1
    """Chance that an image is changed; at 1 the model would never see a colour."""


@register("augmentation", "invert", target="app.augmentations.colours.Invert")
@schema
class InvertConfig(AugmentationConfig):
    """Makes a negative, where pixels have values between 0 and 1."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.1
    """Chance that an image is changed; 1 would show negatives alone."""


@register("augmentation", "solarize", target="app.augmentations.colours.Solarize")
@schema
class SolarizeConfig(AugmentationConfig):
    """Makes a negative of the bright values alone, where pixels have values between 0 and 1."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.1
    """Chance that an image is changed; the others of the batch stay as they are."""

    threshold: Probability = 0.5
    """The smallest value that is turned over."""


@register("augmentation", "posterize", target="app.augmentations.colours.Posterize")
@schema
class PosterizeConfig(AugmentationConfig):
    """Leaves few levels of brightness, where pixels have values between 0 and 1."""

    probability: Annotated[float, Gt(0), Le(1)] = 0.1
    """Chance that an image is changed; the others of the batch stay as they are."""

    bits: Annotated[int, Ge(1), Le(8)] = 4
    """How many bits are left of a value: 2 to their power are the levels."""
