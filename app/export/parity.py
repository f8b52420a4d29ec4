"""Whether an exported model computes what the module does, and by how much they differ."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from app.schemas.export import ToleranceConfig


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far one output of an exported model is from torch's, over all batches that were compared."""

    absolute: float
    """The largest difference of two values."""

    relative: float
    """The same, as a share of the largest value."""

    allowed: bool
    """Whether every value is within the tolerance."""


def difference(expected: Tensor, found: Tensor, tolerance: ToleranceConfig) -> Difference:
    """How far two outputs are apart; whole numbers and truth values must be the same.

    What is no number, or infinite, must be so in both.
    """
    if expected.shape != found.shape or expected.dtype != found.dtype:
        return Difference(absolute=float("inf"), relative=float("inf"), allowed=False)
    theirs, ours = found.double(), expected.double()
    same = (theirs == ours) | (theirs.isnan() & ours.isnan())
    apart = torch.where(same, 0.0, (theirs - ours).abs()).nan_to_num(nan=float("inf"), posinf=float("inf"))
    exact = not expected.is_floating_point()
    limit = 0.0 if exact else tolerance.absolute + tolerance.relative * ours.abs().nan_to_num(posinf=0.0)
    largest = float(ours[ours.isfinite()].abs().max()) if ours.isfinite().any() else 0.0
    absolute = float(apart.max()) if apart.numel() else 0.0
    return Difference(
        absolute=absolute,
        relative=absolute / largest if largest else (float("inf") if absolute else 0.0),
        allowed=bool((apart <= limit).all()),
    )


def largest(differences: Mapping[str, Difference]) -> tuple[str, Difference]:
    """The output that differs most, one that is not allowed to before all others."""
    return max(differences.items(), key=lambda item: (not item[1].allowed, item[1].absolute))
