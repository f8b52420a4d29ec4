"""Augmentations that turn images over, or by quarters: every pixel keeps its value."""

import torch
from torch import Generator, Tensor

from app.augmentations.boxes import with_boxes
from app.augmentations.views import Views


class HorizontalFlip:
    """Swaps left and right."""

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it mirrored, with masks and boxes."""
        mask = None if views.mask is None else views.mask.flip(-1)
        return _with_boxes(views, across=True)._replace(images=views.images.flip(-1), mask=mask)


class VerticalFlip:
    """Swaps top and bottom."""

    def __call__(self, views: Views, _: Generator) -> Views:
        """The batch, all of it mirrored, with masks and boxes."""
        mask = None if views.mask is None else views.mask.flip(-2)
        return _with_boxes(views, across=False)._replace(images=views.images.flip(-2), mask=mask)


class RandomRotate90:
    """Turns each image by none, one, two or three quarters, all alike probable.

    Images that are not square are turned by none or two, since their shape must stay.
    """

    def __call__(self, views: Views, generator: Generator) -> Views:
        """The batch, with masks and boxes."""
        batch, _, height, width = views.images.shape
        step = 1 if height == width else 2
        turns = step * torch.randint(4 // step, (batch,), generator=generator, device=views.images.device)
        mask = None if views.mask is None else _turned(views.mask, turns)
        boxes = None if views.boxes is None else _turned_boxes(views.boxes, turns, height, width)
        return with_boxes(views, boxes)._replace(images=_turned(views.images, turns), mask=mask)


def _with_boxes(views: Views, *, across: bool) -> Views:
    if views.boxes is None:
        return views
    lefts, tops, rights, bottoms = views.boxes.unbind(dim=-1)
    height, width = views.images.shape[-2:]
    mirrored = (
        (width - rights, tops, width - lefts, bottoms) if across else (lefts, height - bottoms, rights, height - tops)
    )
    return with_boxes(views, torch.stack(mirrored, dim=-1))


def _turned(pixels: Tensor, turns: Tensor) -> Tensor:
    """Each image turned counter-clockwise by its own number of quarters."""
    result = pixels
    for quarters in (1, 2, 3):
        chosen = (turns == quarters).nonzero().squeeze(1)
        if len(chosen) > 0:
            result = result.index_copy(0, chosen, torch.rot90(pixels[chosen], quarters, dims=(-2, -1)))
    return result


def _turned_boxes(boxes: Tensor, turns: Tensor, height: int, width: int) -> Tensor:
    lefts, tops, rights, bottoms = boxes.unbind(dim=-1)
    by_quarters = [
        (lefts, tops, rights, bottoms),
        (tops, width - rights, bottoms, width - lefts),
        (width - rights, height - bottoms, width - lefts, height - tops),
        (height - bottoms, lefts, height - tops, rights),
    ]
    every = torch.stack([torch.stack(ends, dim=-1) for ends in by_quarters])
    return every[turns, torch.arange(len(turns), device=turns.device)]
