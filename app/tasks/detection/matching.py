"""Which location of the maps is to find which object, as in FCOS (Tian et al., ICCV 2019, arXiv:1904.01355)."""

from typing import NamedTuple

import torch
from torch import Tensor


class Locations(NamedTuple):
    """Where a detector looks for objects: a place of the image for each pixel of its maps, from fine to coarse."""

    points: Tensor
    """Their places across and down the image, in pixels, `(locations, 2)`."""

    steps: Tensor
    """Pixels from one to the next on its map, `(locations)`."""

    smallest: Tensor
    """The objects that each looks for have a longest side above this, `(locations)`."""

    largest: Tensor
    """And up to this."""


class Matches(NamedTuple):
    """What each location is to find."""

    labels: Tensor
    """The class of the object, `(batch, locations)`; -1 for none."""

    boxes: Tensor
    """Its box, `(batch, locations, 4)`; of no meaning where there is none."""

    centerness: Tensor
    """How close to the middle of the object the location is, from 0 to 1, `(batch, locations)`; 0 where there is none.

    The root of the smaller by the larger distance to the two sides, across and down multiplied.
    """


def match(locations: Locations, boxes: Tensor, labels: Tensor, *, radius: float) -> Matches:
    """The object that each location is to find: the smallest that it is near the middle of.

    Args:
        locations: where the detector looks.
        boxes: the true boxes, `(batch, objects, 4)`: left, top, right and bottom in pixels.
        labels: the class of each, `(batch, objects)`, -1 for rows without an object.
        radius: how far from the middle a location may be, across and down, in steps of its map. It must be inside the
            box in any case.
    """
    # All below is (batch, locations, objects).
    sides = _distances(locations.points[:, None], boxes[:, None])
    inside = sides.amin(dim=-1) > 0
    middles = (boxes[..., :2] + boxes[..., 2:]) / 2
    away = (locations.points[:, None] - middles[:, None]).abs().amax(dim=-1)
    near = away < radius * locations.steps[:, None]
    extents = boxes[..., 2:] - boxes[..., :2]
    longest = extents.amax(dim=-1)[:, None]
    fits = (longest > locations.smallest[:, None]) & (longest <= locations.largest[:, None])
    possible = inside & near & fits & (labels >= 0)[:, None]
    areas = extents.prod(dim=-1)[:, None].where(possible, torch.inf)
    chosen = areas.argmin(dim=-1)

    found = possible.any(dim=-1)
    taken = boxes.gather(1, chosen[..., None].expand(-1, -1, 4))
    left, top, right, bottom = _distances(locations.points, taken).clamp(min=0).unbind(dim=-1)
    across = torch.minimum(left, right) / torch.maximum(left, right).clamp(min=1e-6)
    down = torch.minimum(top, bottom) / torch.maximum(top, bottom).clamp(min=1e-6)
    return Matches(
        labels=labels.gather(1, chosen).where(found, -1),
        boxes=taken,
        centerness=(across * down).sqrt().where(found, 0),
    )


def _distances(points: Tensor, boxes: Tensor) -> Tensor:
    """From points to the left, top, right and bottom of boxes; negative beyond them."""
    return torch.cat([points - boxes[..., :2], boxes[..., 2:] - points], dim=-1)
