"""Augmentations that change the values of pixels, and leave everything in its place."""

import math

import torch
from torch import Generator, Tensor

from app.augmentations.views import Views

_LUMA = (0.299, 0.587, 0.114)
"""How bright red, green and blue look (ITU-R BT.601)."""


class GaussianNoise:
    """Adds Gaussian noise of this standard deviation to every value, also of inputs that are no images."""

    def __init__(self, *, deviation: float = 0.1) -> None:
        self.deviation = deviation

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, with noise of its own on each image."""
        noise = torch.randn(views.images.shape, generator=generator, device=views.images.device)
        return views._replace(images=views.images + self.deviation * noise)


class ColorJitter:
    """Changes the brightness, the contrast and the colours of each image by factors of its own.

    All of it is linear: no value is cut off, so that it suits values around 0 as it does those from 0 to 1.

    Args:
        brightness: how far the factor of all values may lie from 1.
        contrast: how far the factor of their distance from the image's mean may lie from 1.
        saturation: how far the factor of their distance from grey may lie from 1; without effect but on three channels.
        hue: how far the colours may be turned about grey, 0.5 is half a circle; without effect but on three channels.
    """

    def __init__(
        self, *, brightness: float = 0.2, contrast: float = 0.2, saturation: float = 0.2, hue: float = 0.0
    ) -> None:
        self.brightness, self.contrast, self.saturation, self.hue = brightness, contrast, saturation, hue

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed."""
        images = views.images
        bright, contrast, colour, turn = 2 * torch.rand(4, len(images), generator=generator, device=images.device) - 1
        images = images * _each(1 + self.brightness * bright)
        mean = images.mean(dim=(1, 2, 3), keepdim=True)
        images = mean + (images - mean) * _each(1 + self.contrast * contrast)
        if images.shape[1] == 3 and (self.saturation or self.hue):
            matrices = _turns(2 * math.pi * self.hue * turn) @ _saturations(1 + self.saturation * colour)
            images = torch.einsum("bij,bjhw->bihw", matrices, images)
        return views._replace(images=images)


class GaussianBlur:
    """Blurs each image by a Gaussian of its own width; the margin counts what is inside alone.

    Args:
        sigma: the smallest and largest standard deviation, in pixels.
    """

    def __init__(self, *, sigma: tuple[float, float] = (0.1, 2.0)) -> None:
        self.sigma = sigma

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed."""
        batch, _, height, width = views.images.shape
        low, high = self.sigma
        sigma = low + (high - low) * torch.rand(batch, generator=generator, device=views.images.device)
        # One axis after the other: as matrices, images of every width are done at once.
        rows, columns = _blurring(sigma, height), _blurring(sigma, width)
        return views._replace(images=rows @ views.images @ columns.transpose(2, 3))


class Grayscale:
    """Takes the colours out of images of three channels, which stay three; others are left as they are."""

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it changed."""
        if views.images.shape[1] != 3:
            return views
        luma = torch.tensor(_LUMA, device=views.images.device).view(3, 1, 1)
        grey = (views.images * luma).sum(dim=1, keepdim=True)
        return views._replace(images=grey.expand_as(views.images).clone())


class Invert:
    """Makes a negative: what was 0 is 1."""

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it changed."""
        return views._replace(images=1 - views.images)


class Solarize:
    """Makes a negative of all values from a threshold up."""

    def __init__(self, *, threshold: float = 0.5) -> None:
        self.threshold = threshold

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it changed."""
        images = views.images
        return views._replace(images=torch.where(images >= self.threshold, 1 - images, images))


class Posterize:
    """Leaves so many bits of each value: 2 ** bits levels from 0 to 1."""

    def __init__(self, *, bits: int = 4) -> None:
        self.bits = bits

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it changed."""
        levels = 2**self.bits - 1
        return views._replace(images=(views.images * levels).round() / levels)


def _each(factors: Tensor) -> Tensor:
    """Numbers, one for each image, as they multiply images."""
    return factors.view(-1, 1, 1, 1)


def _saturations(factors: Tensor) -> Tensor:
    """Matrices `(batch, 3, 3)` that move colours away from the grey of their brightness, or towards it."""
    grey = torch.tensor(_LUMA, device=factors.device).expand(3, 3)
    factor = factors.view(-1, 1, 1)
    return factor * torch.eye(3, device=factors.device) + (1 - factor) * grey


def _turns(angles: Tensor) -> Tensor:
    """Matrices `(batch, 3, 3)` that turn colours about the axis of the greys (Rodrigues' formula)."""
    angle = angles.view(-1, 1, 1)
    across = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], device=angles.device) / math.sqrt(3)
    ones = torch.ones(3, 3, device=angles.device) / 3
    return angle.cos() * torch.eye(3, device=angles.device) + angle.sin() * across + (1 - angle.cos()) * ones


def _blurring(sigma: Tensor, size: int) -> Tensor:
    """Matrices `(batch, 1, size, size)` whose rows are Gaussians around each place, adding up to 1."""
    places = torch.arange(size, device=sigma.device)
    squared = (places[:, None] - places).square()
    weights = (-squared / (2 * sigma.square().view(-1, 1, 1))).exp()
    return (weights / weights.sum(dim=2, keepdim=True))[:, None]
