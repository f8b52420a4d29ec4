"""Random changes to batches of images: tensor operations that draw from a generator of their own."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional


def random_affine(
    images: Tensor, generator: Generator, *, max_rotation: float, max_shift: float, max_scale: float
) -> Tensor:
    """Turn, move and scale each image by its own random amounts, uniform up to the limits given.

    Args:
        images: `(batch, channels, height, width)`; what moves into view from outside is zero.
        generator: where the amounts are drawn from, on the device of the images.
        max_rotation: in degrees, to either side.
        max_shift: in pixels along each axis.
        max_scale: as a share of the size, up and down.
    """
    batch, _, height, width = images.shape
    turn, grow, right, down = 2 * torch.rand(4, batch, generator=generator, device=images.device) - 1
    angle = math.radians(max_rotation) * turn
    # The matrix takes each place in the result to its place in the image, so a factor above 1 shrinks.
    factor = 1 / (1 + max_scale * grow)
    cosine, sine = factor * angle.cos(), factor * angle.sin()
    # Places run from -1 to 1 whatever the image's size. A turn in them is a turn of the image only where it is square.
    aspect = height / width
    matrices = torch.stack(
        [
            torch.stack([cosine, -sine * aspect, 2 * max_shift / width * right], dim=1),
            torch.stack([sine / aspect, cosine, 2 * max_shift / height * down], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(matrices, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, align_corners=False)


def add_noise(images: Tensor, generator: Generator, *, deviation: float) -> Tensor:
    """Add Gaussian noise of this standard deviation to every pixel."""
    return images + deviation * torch.randn(images.shape, generator=generator, device=images.device)
