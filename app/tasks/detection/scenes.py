"""Generated scenes: ellipses, rectangles and triangles on noisy backgrounds, the same on every machine.

Everything is whole numbers, drawn from the raw output of PCG64, which NumPy promises never to change.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final, NamedTuple

import numpy as np
from numpy.random import PCG64, SeedSequence
from numpy.typing import NDArray

from app.tasks.detection.config import SHAPES

SIZE: Final = 64
"""Height and width, in pixels."""

MAX_OBJECTS: Final = 6
_SIDES: Final = (9, 27)
"""The shortest and longest side of a shape."""

_MOST_COVERED: Final = 30
"""The share of the smaller of two shapes that both may have in common, in percent."""

_NOISE: Final = 40
"""How far noise moves a value of 0 to 255 at most, up and down together."""


class Scenes(NamedTuple):
    """Images and what is in them; rows without an object are zeros, of class -1."""

    images: NDArray[np.uint8]
    """`(scenes, 3, 64, 64)`."""

    boxes: NDArray[np.int64]
    """`(scenes, 6, 4)`: left, top, right and bottom in pixels; what is covered by another shape counts too."""

    labels: NDArray[np.int64]
    """`(scenes, 6)`: places in `SHAPES`."""


@cache
def scenes(count: int, seed: int) -> Scenes:
    """So many scenes; another seed has others. They are kept, so nobody may change the arrays."""
    bits = PCG64(SeedSequence(seed))
    noise = _raw_bytes(bits, count * 3 * SIZE * SIZE).reshape(count, 3, SIZE, SIZE) % _NOISE
    images = np.empty((count, 3, SIZE, SIZE), dtype=np.uint8)
    boxes = np.zeros((count, MAX_OBJECTS, 4), dtype=np.int64)
    labels = np.full((count, MAX_OBJECTS), -1, dtype=np.int64)
    draws = _Draws(bits)
    for image, own_boxes, own_labels in zip(images, boxes, labels, strict=True):
        image[:] = _background(draws)
        for place, box in enumerate(_places(draws)):
            label = draws.below(len(SHAPES))
            left, top, right, bottom = box
            shape = _shape(label, right - left, bottom - top)
            image[:, top:bottom, left:right][:, shape] = _colour(draws)
            own_boxes[place], own_labels[place] = box, label
    made = Scenes(images + noise, boxes, labels)  # at most 215 + 39
    for array in made:
        array.setflags(write=False)
    return made


class _Draws:
    """Whole numbers, one after the other."""

    def __init__(self, bits: PCG64) -> None:
        self._bits = bits

    def below(self, bound: int) -> int:
        return int(self._bits.random_raw()) % bound

    def between(self, low: int, high: int) -> int:
        """Both ends included."""
        return low + self.below(high - low + 1)


def _raw_bytes(bits: PCG64, count: int) -> NDArray[np.uint8]:
    words = bits.random_raw(-(-count // 8))
    return words.astype("<u8").view(np.uint8)[:count]


def _background(draws: _Draws) -> NDArray[np.uint8]:
    """A colour that changes slowly across and down."""
    across, down = np.arange(SIZE), np.arange(SIZE)[:, None]
    channels = []
    for _ in range(3):
        base, right, bottom = draws.below(60), draws.below(30), draws.below(30)
        channels.append(base + (right * across + bottom * down) // SIZE)
    return np.stack(channels).astype(np.uint8)  # at most 118


def _colour(draws: _Draws) -> NDArray[np.uint8]:
    """One that stands out from the background in one channel at least."""
    channels = [draws.between(60, 215) for _ in range(3)]
    channels[draws.below(3)] = draws.between(160, 215)
    return np.array(channels, dtype=np.uint8)[:, None]


def _places(draws: _Draws) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of one to six shapes, fewer where one finds no place in ten attempts."""
    taken: list[tuple[int, int, int, int]] = []
    for _ in range(draws.between(1, MAX_OBJECTS)):
        for _ in range(10):
            width, height = draws.between(*_SIDES), draws.between(*_SIDES)
            left, top = draws.between(0, SIZE - width), draws.between(0, SIZE - height)
            box = (left, top, left + width, top + height)
            if not any(_covers(box, other) for other in taken):
                taken.append(box)
                yield box
                break


def _covers(box: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    """Whether two boxes have too much in common."""
    across = min(box[2], other[2]) - max(box[0], other[0])
    down = min(box[3], other[3]) - max(box[1], other[1])
    smaller = min((each[2] - each[0]) * (each[3] - each[1]) for each in (box, other))
    return across > 0 and down > 0 and 100 * across * down > _MOST_COVERED * smaller


def _shape(label: int, width: int, height: int) -> NDArray[np.bool_]:
    """Which pixels of its box a shape covers, `(height, width)`; it touches all four sides."""
    # Middles of pixels, in halves of a pixel from the middle of the box.
    across, down = 2 * np.arange(width) + 1 - width, (2 * np.arange(height) + 1 - height)[:, None]
    if SHAPES[label] == "ellipse":
        return (across * height) ** 2 + (down * width) ** 2 <= (width * height) ** 2
    if SHAPES[label] == "rectangle":
        return np.ones((height, width), dtype=bool)
    rows = np.arange(height)[:, None] + 1
    return np.abs(across) * height <= np.maximum(rows * width, 2 * height - 1)
