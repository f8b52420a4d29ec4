"""From a detector's candidates to the boxes it has found: the surest ones, each object once."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional


class Detections(NamedTuple):
    """The boxes found in each image, the surest first, filled up to one number for all images."""

    boxes: Tensor
    """Left, top, right and bottom in pixels, `(batch, detections, 4)`; zeros in unused rows."""

    scores: Tensor
    """How sure each is, from 0 to 1, `(batch, detections)`; 0 in unused rows."""

    labels: Tensor
    """The class of each, `(batch, detections)`; -1 in unused rows."""


def detections(
    candidates: Tensor,
    scores: Tensor,
    *,
    image_size: tuple[int, int],
    min_score: float,
    max_overlap: float,
    max_candidates: int,
    max_detections: int,
) -> Detections:
    """The best candidates, without those that overlap a better one of the same class (non-maximum suppression).

    Everything is a tensor operation of a size known beforehand, so that it runs on any device without waiting for it.

    Args:
        candidates: boxes `(batch, candidates, 4)`.
        scores: how sure each is of each class, `(batch, candidates, classes)`.
        image_size: height and width, to which boxes are cut.
        min_score: candidates with less are dropped.
        max_overlap: the intersection, as a share of the union, above which the less sure of two is dropped.
        max_candidates: how many of an image's are looked at.
        max_detections: how many are kept.
    """
    num_classes = scores.shape[-1]
    best, places = scores.flatten(1).topk(min(max_candidates, scores[0].numel()), dim=1)
    labels = places % num_classes
    height, width = image_size
    sides = torch.tensor([width, height, width, height], dtype=candidates.dtype, device=candidates.device)
    boxes = candidates.gather(1, (places // num_classes)[..., None].expand(-1, -1, 4))
    boxes = torch.minimum(boxes.clamp(min=0), sides)
    kept = unsuppressed(boxes, labels, max_overlap) & (best >= min_score)
    # The dropped ones go to the end; the order of the others stays.
    best, order = best.where(kept, 0).topk(min(max_detections, best.shape[1]), dim=1)
    used = kept.gather(1, order)
    unused_rows = max_detections - best.shape[1]
    return Detections(
        boxes=functional.pad(
            boxes.gather(1, order[..., None].expand(-1, -1, 4)).where(used[..., None], 0), (0, 0, 0, unused_rows)
        ),
        scores=functional.pad(best, (0, unused_rows)),
        labels=functional.pad(labels.gather(1, order).where(used, -1), (0, unused_rows), value=-1),
    )


def unsuppressed(boxes: Tensor, labels: Tensor, max_overlap: float) -> Tensor:
    """Which boxes `(batch, boxes, 4)`, the best first, overlap no better one of their class that is itself kept."""
    alike = labels[:, :, None] == labels[:, None, :]
    # [batch, one, other]: whether `one`, if it is kept, drops `other`.
    drops = ((overlaps(boxes, boxes) > max_overlap) & alike).triu(diagonal=1)
    kept = torch.ones_like(labels, dtype=torch.bool)
    for place, others in enumerate((~drops).unbind(dim=1)):
        kept = torch.where(kept.narrow(1, place, 1), kept & others, kept)
    return kept


def overlaps(boxes: Tensor, others: Tensor) -> Tensor:
    """The intersection of each box with each other, as a share of their union: `(batch, boxes, others)`."""

    def area(corners: Tensor) -> Tensor:
        return (corners[..., 2:] - corners[..., :2]).clamp(min=0).prod(dim=-1)

    one, other = boxes[:, :, None], others[:, None]
    common = area(
        torch.cat([torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])], dim=-1)
    )
    union = area(one) + area(other) - common
    return common / union.clamp(min=1e-6)
