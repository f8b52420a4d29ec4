"""Soft Dice: the overlap of predicted and true regions, as a loss."""

from typing import Literal

import torch
from torch import Tensor, nn

from app.losses.inputs import full_precision, require_classes, require_same_shape


class DiceLoss(nn.Module):
    """One minus the Dice coefficient of probabilities and targets, a mean over the classes.

    `2 Σ p g / (Σ p + Σ g)`, after Milletari et al., "V-Net" (3DV 2016, arXiv:1606.04797), where the terms below the
    bar are `squared`; `generalized` weighs each class by the inverse square of its size (Sudre et al., DLMIA 2017,
    arXiv:1707.03237).

    Args:
        kind: `multiclass` takes scores `(batch, classes, …)` and classes `(batch, …)`; `binary` takes scores and
            targets of 0 and 1 of one shape; so does `multilabel`, whose second dimension is the labels.
        smooth: Added above and below the fraction bar.
        squared: Square the terms below the bar.
        generalized: Weigh the classes by size, and measure all of them in one fraction.
        per_sample: Measure each sample on its own and take the mean, instead of the batch as a whole.
        include_background: Count class 0 of several.
        ignore_index: The target value of positions that count for nothing.
    """

    def __init__(
        self,
        *,
        kind: Literal["binary", "multiclass", "multilabel"] = "multiclass",
        smooth: float = 1.0,
        squared: bool = False,
        generalized: bool = False,
        per_sample: bool = False,
        include_background: bool = True,
        ignore_index: int | None = None,
    ) -> None:
        super().__init__()
        self.kind = kind
        self.smooth = smooth
        self.squared = squared
        self.generalized = generalized
        self.per_sample = per_sample
        self.include_background = include_background
        self.ignore_index = ignore_index

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of a batch of scores.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        probabilities, truth = self._regions(input, target)  # each (batch, classes, positions)
        over = (2,) if self.per_sample else (0, 2)
        overlap = (probabilities * truth).sum(over)
        terms = probabilities.square() + truth.square() if self.squared else probabilities + truth
        both = terms.sum(over)
        if self.generalized:
            # An absent class weighs as one of a single pixel; the weights add up to 1, or `smooth` would outweigh all.
            weights = truth.sum(over).clamp(min=1).square().reciprocal()
            weights = weights / weights.sum(-1, keepdim=True)
            overlap, both = (overlap * weights).sum(-1), (both * weights).sum(-1)
        return 1 - ((2 * overlap + self.smooth) / (both + self.smooth)).mean()

    def _regions(self, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:  # noqa: A002  # torch's name for it
        scores = full_precision(input)
        counted = None if self.ignore_index is None else target != self.ignore_index
        if self.kind == "multiclass":
            require_classes(input, target)
            probabilities = scores.softmax(dim=1)
            classes = target.long() if counted is None else target.long().where(counted, 0)
            truth = torch.zeros_like(probabilities).scatter_(1, classes.unsqueeze(1), 1)
            if counted is not None:
                counted = counted.unsqueeze(1)
        else:
            require_same_shape(input=input, target=target)
            probabilities = scores.sigmoid()
            truth = target.to(probabilities.dtype)
        if counted is not None:
            probabilities, truth = probabilities * counted, truth * counted
        if self.kind == "binary":
            probabilities, truth = probabilities.unsqueeze(1), truth.unsqueeze(1)
        elif not self.include_background:
            probabilities, truth = probabilities[:, 1:], truth[:, 1:]
        regions = *probabilities.shape[:2], -1
        return probabilities.reshape(regions), truth.reshape(regions)
