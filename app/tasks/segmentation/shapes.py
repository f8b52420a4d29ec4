"""Pictures of shapes with the class of each pixel, drawn by calculation: the default data of the task.

The same on every machine and in every version of every library: all is whole numbers, and the random ones are the raw
output of PCG64 (O'Neill, 2014), of which NumPy promises that it never changes. What it makes of them may change.
"""

import math
from typing import Final

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from app.tasks.segmentation.config import SHAPES

SIZE: Final = 64
"""Height and width of a picture, in pixels."""

MOST_SHAPES: Final = 2
"""So many are in a picture at most, and one at least; later ones cover earlier ones."""

_UNIT: Final = 64
"""The length of a vector that says how a shape is turned."""

Integers = NDArray[np.int32]


def draw_pictures(number: int, *, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures `(number, 3, SIZE, SIZE)`, values from 0 to 255, and the class of each pixel, `(number, SIZE, SIZE)`.

    Shapes of any colour brighter than the background's lie turned, and partly covered, on stripes, checks or a slope
    of two similar colours. Everything is noisy. The first pictures of a seed are the same however many there are.
    """
    draws = _Draws(number, seed)
    base = draws.between(20, 110, 3)
    pictures = _background(draws, base)
    classes = np.zeros((number, SIZE, SIZE), np.uint8)
    shapes = draws.between(1, MOST_SHAPES)
    for place in range(MOST_SHAPES):
        kind = draws.between(1, len(SHAPES) - 1)
        covered = _inside(draws, kind) & (place < shapes)
        colour = base + draws.between(50, 125, 3)
        pictures = np.where(covered[:, None], colour, pictures)
        classes = np.where(covered, kind.astype(np.uint8), classes)
    two = draws.bytes(2, 3, SIZE, SIZE)
    noise = ((two[:, 0].astype(np.int32) + two[:, 1]) * 49 >> 8) - 48
    return (pictures + noise).clip(0, 255).astype(np.uint8), classes


class _Draws:
    """Random whole numbers for each picture, from a stream of its own."""

    def __init__(self, number: int, seed: int) -> None:
        self._streams = [PCG64(child) for child in SeedSequence(seed).spawn(number)]

    def between(self, low: int, high: int, *shape: int) -> Integers:
        """Numbers from `low` to `high`, both included, `(pictures, *shape, 1, 1)`."""
        raw = self._raw(math.prod(shape)) >> np.uint64(32)
        drawn = low + (raw.astype(np.int64) * (high - low + 1) >> 32)
        return drawn.astype(np.int32).reshape(-1, *shape, 1, 1)

    def bytes(self, *shape: int) -> NDArray[np.uint8]:
        """Numbers from 0 to 255, `(pictures, *shape)`; many at once, as noise needs them."""
        return self._raw(math.prod(shape) // 8).astype("<u8").view(np.uint8).reshape(-1, *shape)

    def _raw(self, size: int) -> NDArray[np.uint64]:
        return np.stack([stream.random_raw(size) for stream in self._streams])


def _background(draws: _Draws, base: Integers) -> Integers:
    """Stripes, checks or a slope, from one colour to another that is like it; `(pictures, 3, SIZE, SIZE)`."""
    other = (base + draws.between(-40, 40, 3)).clip(0, 255)
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.int32)
    right, down = _direction(draws)
    along = right * columns + down * rows
    across = right * rows - down * columns
    width = draws.between(3, 12) * _UNIT
    stripes = along // width % 2 * 256
    checks = (along // width + across // width) % 2 * 256
    slope = (along // _UNIT + 2 * SIZE) % 256
    share = np.choose(draws.between(0, 2), [stripes, checks, slope])[:, None]
    colours: Integers = base + ((other - base) * share >> 8)
    return colours


def _inside(draws: _Draws, kind: Integers) -> NDArray[np.bool_]:
    """Where a shape of each picture's kind is, `(pictures, SIZE, SIZE)`; its middle lies well inside the picture."""
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(np.int32)
    down, right = rows - draws.between(10, SIZE - 11), columns - draws.between(10, SIZE - 11)
    radius = draws.between(10, 16)
    x, y = _direction(draws)
    along, across = x * right + y * down, x * down - y * right
    disc = right**2 + down**2 <= radius**2
    square = np.maximum(abs(along), abs(across)) * 8 <= radius * _UNIT * 7
    # Three sides, at 120 degrees to each other: 111/128 is the sine of 120 degrees, and -64/128 the cosine.
    sides = [along * 128, -64 * along + 111 * across, -64 * along - 111 * across]
    triangle = np.maximum.reduce(sides) * 3 <= radius * _UNIT * 128 * 2
    return np.choose(kind - 1, [disc, square, triangle])


def _direction(draws: _Draws) -> tuple[Integers, Integers]:
    """Vectors of length `_UNIT`, but for rounding, that point anywhere to the right or down."""
    x = draws.between(-_UNIT, _UNIT)
    y = np.vectorize(math.isqrt, otypes=[np.int32])(_UNIT**2 - x**2)
    return x, y
