"""Boxes that move with the images they are in."""

import torch
from torch import Tensor

from app.augmentations.views import Views

SMALLEST = 1.0
"""Pixels of a box's width and height that must be left of it; a thinner rest shows nothing to be found."""


def with_boxes(views: Views, moved: Tensor | None) -> Views:
    """The views with these boxes in the place of theirs, cut to the image.

    What is left of a box may be nothing: its row becomes zeros and its label -1, as unused ones are.
    """
    if views.boxes is None or moved is None:
        return views
    height, width = views.images.shape[-2:]
    lefts, tops, rights, bottoms = moved.unbind(dim=-1)
    horizontal, vertical = (torch.stack(ends, dim=-1) for ends in ((lefts, rights), (tops, bottoms)))
    (lefts, rights), (tops, bottoms) = (
        ends.clamp(0, size).unbind(dim=-1) for ends, size in ((horizontal, width), (vertical, height))
    )
    # Small boxes of the data itself are not dropped, only what is left of larger ones.
    whole = (moved[..., 2:] - moved[..., :2]).clamp(max=SMALLEST)
    seen = (rights - lefts >= whole[..., 0]) & (bottoms - tops >= whole[..., 1]) & is_used(views.boxes)
    cut = torch.stack([lefts, tops, rights, bottoms], dim=-1)
    boxes = torch.where(seen[..., None], cut, torch.zeros_like(cut)).to(views.boxes.dtype)
    labels = None if views.labels is None else torch.where(seen, views.labels, torch.full_like(views.labels, -1))
    return views._replace(boxes=boxes, labels=labels)


def is_used(boxes: Tensor) -> Tensor:
    """Which rows `(batch, boxes)` hold a box; the others are zeros, which only fill up."""
    return (boxes != 0).any(dim=-1)


def bounding(boxes: Tensor, matrices: Tensor) -> Tensor:
    """The upright boxes around boxes that were moved by matrices `(batch, 2, 3)`, in pixels.

    Boxes that are turned grow by that: what is inside them is not known.
    """
    lefts, tops, rights, bottoms = boxes.to(matrices.dtype).unbind(dim=-1)
    across = torch.stack([lefts, rights, lefts, rights], dim=-1)
    down = torch.stack([tops, tops, bottoms, bottoms], dim=-1)
    corners = torch.stack([across, down, torch.ones_like(across)], dim=-2)
    moved = matrices[:, None] @ corners
    return torch.cat([moved.amin(dim=-1), moved.amax(dim=-1)], dim=-1)
