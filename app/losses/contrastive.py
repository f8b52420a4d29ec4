"""Losses of embeddings: what is alike shall lie close together, what is not apart."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.losses.inputs import LossInputError, full_precision, require_embeddings, shown


class ContrastiveLoss(nn.Module):
    """Half the squared distance of like pairs, and half the square of what unlike ones lack to a margin.

    Hadsell, Chopra and LeCun, "Dimensionality reduction by learning an invariant mapping" (CVPR 2006); there, 0 marks
    a like pair, here 1 does.
    """

    def __init__(self, *, margin: float = 1.0, reduction: Literal["mean", "sum"] = "mean") -> None:
        super().__init__()
        self.margin = margin
        self.reduction = reduction

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        """The loss of pairs of embeddings `(batch, features)`; target is `(batch)`, 1 for like pairs and 0 for others.

        Raises:
            LossInputError: when the shapes do not fit each other.
        """
        require_embeddings(input1=input1, input2=input2)
        _require_one_each(input1, target)
        difference = full_precision(input1) - full_precision(input2)
        like = target.to(difference.dtype)
        # Squared from the start, and the norm only where torch gives it a slope of 0 at 0: its true one is infinite.
        squared = difference.square().sum(dim=1)
        lacking = (self.margin - torch.linalg.vector_norm(difference, dim=1)).clamp(min=0)
        losses: Tensor = (like * squared + (1 - like) * lacking.square()) / 2
        return losses.mean() if self.reduction == "mean" else losses.sum()


class NTXentLoss(nn.Module):
    """The normalized, temperature-scaled cross entropy of SimCLR (Chen et al., ICML 2020, arXiv:2002.05709).

    Each of the 2N embeddings is to tell its own sample's other view from the 2N - 2 of other samples, by the cosine.
    Under several processes, the other samples are those of the same process.
    """

    def __init__(self, *, temperature: float = 0.5) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        """The loss of two views' embeddings, each `(batch, features)`, in the same order.

        Raises:
            LossInputError: when the shapes differ, or with one pair only: there is nothing to tell it from.
        """
        require_embeddings(input1=input1, input2=input2)
        pairs = len(input1)
        if pairs < 2:
            raise LossInputError(f"needs 2 pairs to tell apart, found {pairs}; {_NO_SMALL_BATCH}")
        similarity = _cosines(torch.cat([input1, input2]), self.temperature)
        other_view = torch.arange(2 * pairs, device=similarity.device).roll(pairs)
        return functional.cross_entropy(similarity, other_view)


class SupervisedContrastiveLoss(nn.Module):
    """The supervised contrastive loss, `L_out` of Khosla et al. (NeurIPS 2020, arXiv:2004.11362).

    Each embedding is to tell the others of its class from the rest of the batch, by the cosine. One that is the only
    one of its class counts for nothing; a batch of such has a loss of 0.
    """

    def __init__(self, *, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # torch's name for it
        """The loss of embeddings `(batch, features)`; target is `(batch)`, the class of each.

        Raises:
            LossInputError: when the shapes do not fit each other, or with one sample only.
        """
        require_embeddings(input=input)
        _require_one_each(input, target)
        if len(input) < 2:
            raise LossInputError(f"needs 2 samples to compare, found {len(input)}; {_NO_SMALL_BATCH}")
        logs = functional.log_softmax(_cosines(input, self.temperature), dim=1)
        itself = torch.eye(len(input), dtype=torch.bool, device=input.device)
        like = (target.unsqueeze(0) == target.unsqueeze(1)) & ~itself
        count = like.sum(dim=1)
        means = logs.where(like, 0).sum(dim=1) / count.clamp(min=1)
        return -means.sum() / (count > 0).sum().clamp(min=1)


def cosine_distance(one: Tensor, other: Tensor) -> Tensor:
    """One minus the cosine of embeddings `(…, features)`: from 0 for those of one direction to 2."""
    return 1 - functional.cosine_similarity(one, other, dim=-1)


_NO_SMALL_BATCH = "datamodule.dataloader.drop_last=true or another batch_size leaves no such batch"


def _cosines(embeddings: Tensor, temperature: float) -> Tensor:
    """The similarity of each to each, in units of the temperature; none to itself."""
    # Autocast would multiply matrices in half precision, whose few digits a low temperature magnifies.
    with torch.autocast(embeddings.device.type, enabled=False):
        unit = functional.normalize(full_precision(embeddings), dim=1)
        similarity = unit @ unit.T / temperature
    return similarity.masked_fill(
        torch.eye(len(similarity), dtype=torch.bool, device=similarity.device), torch.finfo(similarity.dtype).min
    )


def _require_one_each(embeddings: Tensor, target: Tensor) -> None:
    if target.shape != embeddings.shape[:1]:
        right = f"({embeddings.shape[0]},)"
        raise LossInputError(
            f"expected target of shape {right} for embeddings {shown(embeddings)}, found {shown(target)}"
        )
