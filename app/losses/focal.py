"""Focal loss: cross entropy that looks at what is still told wrong."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.losses.inputs import LossInputError, full_precision, require_classes, require_same_shape


class FocalLoss(nn.Module):
    """`-w (1 - p)^gamma log p` of the probability `p` given to what is right (Lin et al., ICCV 2017, arXiv:1708.02002).

    With gamma 0 it is torch's cross entropy of the same class weights, or its binary cross entropy of scores.

    Args:
        kind: `multiclass` takes scores `(batch, classes, …)` and classes `(batch, …)`; `binary` and `multilabel` take
            scores and targets from 0 to 1 of one shape.
        gamma: How fast a sample counts less as `p` grows.
        alpha: The weight of positives, that of negatives being `1 - alpha`; not for `multiclass`.
        class_weights: The weight of each class, for `multiclass`.
        ignore_index: The target value of positions that count for nothing.
        reduction: `mean`, over the positions that count and weighted by their classes' weights, or `sum`.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        *,
        kind: Literal["binary", "multiclass", "multilabel"] = "multiclass",
        gamma: float = 2.0,
        alpha: float | None = None,
        class_weights: Sequence[float] | None = None,
        ignore_index: int = -100,
        reduction: Literal["mean", "sum"] = "mean",
    ) -> None:
        super().__init__()
        self.kind = kind
        self.gamma = gamma
        self.alpha = alpha
        weights = None if class_weights is None else torch.tensor(class_weights, dtype=torch.get_default_dtype())
        self.register_buffer("class_weights", weights, persistent=False)
        self.ignore_index = ignore_index
        self.reduction = reduction

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of a batch of scores.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        counted = target != self.ignore_index
        if self.kind == "multiclass":
            losses, weights = self._softmax(input, target, counted)
        else:
            losses, weights = self._sigmoid(input, target), counted
        total = (losses * weights).sum()
        if self.reduction == "sum":
            return total
        # A batch in which nothing counts has a loss of 0, not of 0/0.
        return total / weights.sum(dtype=total.dtype).clamp(min=torch.finfo(total.dtype).tiny)

    def _softmax(self, input: Tensor, target: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:  # noqa: A002  # torch's name for it
        require_classes(input, target)
        if self.class_weights is not None and len(self.class_weights) != input.shape[1]:
            raise LossInputError(f"has class_weights for {len(self.class_weights)} classes, found {input.shape[1]}")
        logs = functional.log_softmax(full_precision(input), dim=1)
        classes = target.long().where(counted, 0)
        right = classes.unsqueeze(1)
        log_p = logs.gather(1, right).squeeze(1)
        losses = -log_p
        if self.gamma:
            # The logarithm of 1 - p, summed up from the other classes: for p near 1 a difference has no digits left.
            others = logs.scatter(1, right, torch.finfo(logs.dtype).min)
            losses = losses * (self.gamma * others.logsumexp(dim=1)).exp()
        weights = counted if self.class_weights is None else self.class_weights.to(logs.dtype)[classes] * counted
        return losses, weights

    def _sigmoid(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        require_same_shape(input=input, target=target)
        scores = full_precision(input)
        truth = target.to(scores.dtype)
        log_yes, log_no = functional.logsigmoid(scores), functional.logsigmoid(-scores)
        positive, negative = -log_yes, -log_no
        if self.gamma:
            positive = positive * (self.gamma * log_no).exp()
            negative = negative * (self.gamma * log_yes).exp()
        if self.alpha is not None:
            positive, negative = self.alpha * positive, (1 - self.alpha) * negative
        return truth * positive + (1 - truth) * negative
