"""`Views`: a batch of images, and what lies at places of them."""

from typing import NamedTuple, Protocol

from torch import Generator, Tensor


class Views(NamedTuple):
    """What an augmentation changes; a batch of images, with the targets that move when places in it do."""

    images: Tensor
    """`(batch, channels, height, width)`, values between 0 and 1; of any shape where the augmentation takes them."""

    mask: Tensor | None = None
    """A value for each pixel, `(batch, height, width)`."""

    boxes: Tensor | None = None
    """`(batch, boxes, 4)`: left, top, right and bottom in pixels; unused rows are zeros."""

    labels: Tensor | None = None
    """The class of each box, `(batch, boxes)`; -1 in unused rows, and so where a box has left the image."""


class ImageAugmentation(Protocol):
    """A random change to a batch of images, drawn from nothing but the generator."""

    def __call__(self, views: Views, generator: Generator, /) -> Views:
        """The batch, changed; never in place, and of the same shape."""
        ...
