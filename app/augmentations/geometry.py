"""Augmentations that move, cut and scale what an image shows, by amounts of each image's own."""

import math
from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from app.augmentations.boxes import bounding, with_boxes
from app.augmentations.views import Views

Surroundings = Literal["zeros", "edge", "reflect"]
"""What lies around an image: nothing, its outermost pixels over and over, or itself in a mirror."""


class RandomAffine:
    """Turns, moves and scales each image by its own random amounts, uniform up to the limits given.

    Args:
        max_rotation: in degrees, to either side.
        max_shift: in pixels along each axis.
        max_scale: as a share of the size, up and down.
    """

    def __init__(self, *, max_rotation: float = 8.0, max_shift: float = 0.0, max_scale: float = 0.0) -> None:
        self.max_rotation, self.max_shift, self.max_scale = max_rotation, max_shift, max_scale

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed; what moves into view from outside is zero, in the mask too."""
        batch, _, height, width = views.images.shape
        turn, grow, right, down = 2 * torch.rand(4, batch, generator=generator, device=views.images.device) - 1
        angle = math.radians(self.max_rotation) * turn
        # The matrix takes each place in the result to its place in the image, so a factor above 1 shrinks.
        factor = 1 / (1 + self.max_scale * grow)
        cosine, sine = factor * angle.cos(), factor * angle.sin()
        # Places run from -1 to 1 whatever the size. A turn in them is a turn of the image only where it is square.
        aspect = height / width
        matrices = _matrices(
            (cosine, -sine * aspect, 2 * self.max_shift / width * right),
            (sine / aspect, cosine, 2 * self.max_shift / height * down),
        )
        return _sampled(views, matrices)


class RandomResizedCrop:
    """Cuts a part out of each image and enlarges it to the image's size (Szegedy et al., 2015).

    Args:
        area: the smallest and largest share of the image that the part may be.
        aspect_ratio: the smallest and largest ratio of its width to its height, beside the image's own.
    """

    def __init__(self, *, area: tuple[float, float] = (0.5, 1.0), aspect_ratio: tuple[float, float] = (0.75, 4 / 3)):
        self.area, self.aspect_ratio = area, aspect_ratio

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed."""
        batch = len(views.images)
        area, aspect, right, down = torch.rand(4, batch, generator=generator, device=views.images.device)
        widths, heights = _sides(area, aspect, self.area, self.aspect_ratio)
        none = torch.zeros_like(widths)
        # From the middle, a part can move by as much as it leaves free.
        matrices = _matrices(
            (widths, none, (1 - widths) * (2 * right - 1)),
            (none, heights, (1 - heights) * (2 * down - 1)),
        )
        return _sampled(views, matrices)


class RandomCrop:
    """Pads each image on all sides and cuts a part of its size out of that: a move by whole pixels.

    Args:
        padding: pixels on each side, and so the largest move.
        surroundings: what the padding shows; a mask's is always zero.
    """

    def __init__(self, *, padding: int = 4, surroundings: Surroundings = "zeros") -> None:
        self.padding, self.surroundings = padding, surroundings

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed."""
        batch, _, height, width = views.images.shape
        device = views.images.device
        right, down = torch.randint(2 * self.padding + 1, (2, batch), generator=generator, device=device) - self.padding
        rows = torch.arange(height, device=device) - down[:, None]
        columns = torch.arange(width, device=device) - right[:, None]
        images = _picked(views.images, rows, columns, self.surroundings)
        mask = None if views.mask is None else _picked(views.mask[:, None], rows, columns, "zeros")[:, 0]
        boxes = None
        if views.boxes is not None:
            boxes = views.boxes + torch.stack([right, down, right, down], dim=-1)[:, None]
        return with_boxes(views, boxes)._replace(images=images, mask=mask)


class RandomErasing:
    """Covers a rectangle of each image (Zhong et al., 2020); masks and boxes stay, as what is hidden is still there.

    Args:
        area: the smallest and largest share of the image that is covered.
        aspect_ratio: the smallest and largest ratio of its width to its height, beside the image's own.
        value: what covers it.
    """

    def __init__(
        self,
        *,
        area: tuple[float, float] = (0.02, 0.3),
        aspect_ratio: tuple[float, float] = (0.3, 10 / 3),
        value: float = 0.0,
    ) -> None:
        self.area, self.aspect_ratio, self.value = area, aspect_ratio, value

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, changed."""
        batch, _, height, width = views.images.shape
        area, aspect, right, down = torch.rand(4, batch, generator=generator, device=views.images.device)
        widths, heights = _sides(area, aspect, self.area, self.aspect_ratio)
        columns = _within((1 - widths) * right, widths, width)
        rows = _within((1 - heights) * down, heights, height)
        covered = (rows[:, :, None] & columns[:, None, :])[:, None]
        return views._replace(images=views.images.masked_fill(covered, self.value))


def _sides(
    area: Tensor, aspect: Tensor, areas: tuple[float, float], aspect_ratios: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Widths and heights as shares of the image's, where draws from 0 to 1 lie between the limits."""
    share = areas[0] + (areas[1] - areas[0]) * area
    # Twice as wide is as far from the image's own shape as twice as high, so the ratio's logarithm is drawn.
    low, high = map(math.log, aspect_ratios)
    ratio = (low + (high - low) * aspect).exp()
    return (share * ratio).sqrt().clamp(max=1), (share / ratio).sqrt().clamp(max=1)


def _within(start: Tensor, length: Tensor, size: int) -> Tensor:
    """Which of `size` pixels have their middle between start and start + length, which are shares: `(batch, size)`."""
    middles = (torch.arange(size, device=start.device) + 0.5) / size
    return (middles >= start[:, None]) & (middles < (start + length)[:, None])


def _picked(pixels: Tensor, rows: Tensor, columns: Tensor, surroundings: Surroundings) -> Tensor:
    """The pixels at rows `(batch, height)` and columns `(batch, width)`, some of which may lie outside."""
    height, width = pixels.shape[-2:]
    outside = ((rows < 0) | (rows >= height))[:, :, None] | ((columns < 0) | (columns >= width))[:, None, :]
    if surroundings == "reflect":
        rows, columns = _mirrored(rows, height), _mirrored(columns, width)
    rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
    images = torch.arange(len(pixels), device=pixels.device)[:, None, None]
    # Indices on both sides of a slice put what they pick first, and the channels last.
    picked = pixels[images, :, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)
    return picked.masked_fill(outside[:, None], 0) if surroundings == "zeros" else picked


def _mirrored(places: Tensor, size: int) -> Tensor:
    """Places outside by where they are in the mirror; the outermost pixel is not doubled."""
    if size == 1:
        return torch.zeros_like(places)
    period = 2 * (size - 1)
    return size - 1 - (places % period - (size - 1)).abs()


def _matrices(across: tuple[Tensor, Tensor, Tensor], down: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """Matrices `(batch, 2, 3)` of their rows."""
    return torch.stack([torch.stack(across, dim=1), torch.stack(down, dim=1)], dim=1)


def _sampled(views: Views, matrices: Tensor) -> Views:
    """The views where each place in the result shows what its matrix says; places run from -1 to 1 along each axis."""
    grid = functional.affine_grid(matrices, list(views.images.shape), align_corners=False)
    images = functional.grid_sample(views.images, grid, align_corners=False)
    mask = None
    if views.mask is not None:
        # Values of a mask are names, and the mean of two names is a third that is wrong.
        sampled = functional.grid_sample(views.mask[:, None].float(), grid, mode="nearest", align_corners=False)
        mask = sampled[:, 0].to(views.mask.dtype)
    boxes = None if views.boxes is None else bounding(views.boxes, _in_pixels(matrices, *views.images.shape[-2:]))
    return with_boxes(views, boxes)._replace(images=images, mask=mask)


def _in_pixels(matrices: Tensor, height: int, width: int) -> Tensor:
    """From the image to the result, in pixels, where `matrices` go from the result to the image, from -1 to 1."""
    half = torch.tensor([width / 2, height / 2], dtype=matrices.dtype, device=matrices.device)
    turn = torch.linalg.inv(matrices[:, :, :2])
    linear = half[:, None] * turn / half
    shift = half - linear @ half - half * (turn @ matrices[:, :, 2:]).squeeze(2)
    return torch.cat([linear, shift[:, :, None]], dim=2)
