"""Losses of models that look for an object at each location of an image, as FCOS does (Tian et al., ICCV 2019).

`labels` holds the class of the object that a location is to find, `(batch, locations)`, -1 where there is none. Sums
are divided by the number of locations that have an object: in most images most have none.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.losses.focal import FocalLoss
from app.losses.inputs import full_precision, require_same_shape


class LocationFocalLoss(nn.Module):
    """Focal loss of each class's yes or no (Lin et al., ICCV 2017, arXiv:1708.02002).

    Args:
        gamma: How fast a location counts less as it is told right with more confidence.
        alpha: The weight of positives, that of negatives being `1 - alpha`.
    """

    def __init__(self, *, gamma: float = 2.0, alpha: float | None = 0.25) -> None:
        super().__init__()
        self.focal = FocalLoss(kind="multilabel", gamma=gamma, alpha=alpha, reduction="sum")

    def forward(self, input: Tensor, labels: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of scores before sigmoid, `(batch, locations, classes)`.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        require_same_shape(input=input[..., 0], labels=labels)
        classes = torch.arange(input.shape[-1], device=labels.device)
        total: Tensor = self.focal(input, (labels.unsqueeze(-1) == classes).to(input.dtype))
        return total / _num_objects(labels)


class LocationBoxLoss(nn.Module):
    """How far boxes `(batch, locations, 4)` are from the true ones, at the locations that have an object.

    Args:
        form: `iou`, one minus the overlap; `giou`, one minus the generalised overlap (Rezatofighi et al., CVPR 2019,
            arXiv:1902.09630); `l1`, the mean distance of the sides as a share of the true box's size.
    """

    def __init__(self, *, form: Literal["iou", "giou", "l1"] = "giou") -> None:
        super().__init__()
        self.form = form

    def forward(self, input: Tensor, target: Tensor, labels: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of boxes given as left, top, right and bottom.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        require_same_shape(input=input, target=target)
        require_same_shape(input=input[..., 0], labels=labels)
        boxes, truth = full_precision(input), full_precision(target)
        if self.form == "l1":
            sizes = (truth[..., 2:] - truth[..., :2]).clamp(min=1).repeat(1, 1, 2)
            losses = ((boxes - truth).abs() / sizes).mean(dim=-1)
        else:
            losses = 1 - _overlap(boxes, truth, generalized=self.form == "giou")
        return losses.where(labels >= 0, 0).sum() / _num_objects(labels)


class LocationCenternessLoss(nn.Module):
    """Binary cross entropy of how central a location is in its object, from 0 to 1, where it has one."""

    def forward(self, input: Tensor, target: Tensor, labels: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of scores before sigmoid, `(batch, locations)`, as target and labels are.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        require_same_shape(input=input, target=target, labels=labels)
        scores = full_precision(input)
        losses = functional.binary_cross_entropy_with_logits(scores, target.to(scores.dtype), reduction="none")
        return losses.where(labels >= 0, 0).sum() / _num_objects(labels)


def _num_objects(labels: Tensor) -> Tensor:
    """Locations that have an object; 1 in a batch without any, whose loss of boxes is 0 then and not 0/0."""
    return (labels >= 0).sum().clamp(min=1)


def _overlap(boxes: Tensor, truth: Tensor, *, generalized: bool) -> Tensor:
    """The intersection of pairs of boxes as a share of their union, less what separates them if `generalized`."""

    def area(corners: Tensor) -> Tensor:
        sides = (corners[..., 2:] - corners[..., :2]).clamp(min=0)
        return sides[..., 0] * sides[..., 1]

    def joined(begin: Tensor, end: Tensor) -> Tensor:
        return torch.cat([begin, end], dim=-1)

    upper, lower = (boxes[..., :2], truth[..., :2]), (boxes[..., 2:], truth[..., 2:])
    common = area(joined(torch.maximum(*upper), torch.minimum(*lower)))
    union = (area(boxes) + area(truth) - common).clamp(min=1e-6)
    overlap = common / union
    if not generalized:
        return overlap
    around = area(joined(torch.minimum(*upper), torch.maximum(*lower))).clamp(min=1e-6)
    return overlap - (around - union) / around
