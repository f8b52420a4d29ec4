"""What a loss is given: refused when its shape is wrong, and brought to a precision in which sums are right."""

import torch
from torch import Tensor

from app.schemas.problems import AppError


class LossInputError(AppError, ValueError):
    """A loss cannot be computed from what it was given."""


def full_precision(tensor: Tensor) -> Tensor:
    """At least 32 bits: sums over a batch or an image need more digits than half precision has."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def described(tensor: Tensor) -> str:
    """A tensor for a message: `(64, 10) float32`."""
    return f"{shown(tensor)} {str(tensor.dtype).removeprefix('torch.')}"


def shown(tensor: Tensor) -> str:
    """A tensor's shape for a message: `(64, 10)`."""
    return str(tuple(tensor.shape))


def require_same_shape(**tensors: Tensor) -> None:
    """Refuse tensors of different shapes, which torch would compare each with all.

    Raises:
        LossInputError: with the names and shapes of all.
    """
    first, *others = tensors.values()
    if any(other.shape != first.shape for other in others):
        found = ", ".join(f"{name} {shown(tensor)}" for name, tensor in tensors.items())
        raise LossInputError(f"expected tensors of one shape, found {found}")


def require_embeddings(**tensors: Tensor) -> None:
    """Refuse anything but matrices of one shape, `(batch, features)`.

    Raises:
        LossInputError: with the names and shapes of all.
    """
    require_same_shape(**tensors)
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            raise LossInputError(f"expected {name} of shape (batch, features), found {shown(tensor)}")


def require_classes(input: Tensor, target: Tensor) -> None:  # noqa: A002  # torch's name for it
    """Refuse a target that does not hold one class for each of the input's positions.

    Raises:
        LossInputError: unless input is `(batch, classes, …)` with two classes at least, and target `(batch, …)`, of
            whole numbers.
    """
    if input.ndim < 2 or input.shape[1] < 2:
        raise LossInputError(
            f"expected input of shape (batch, classes, …) with 2 classes or more, found {shown(input)}"
        )
    right = (input.shape[0], *input.shape[2:])
    if target.shape != right:
        raise LossInputError(f"expected target of shape {tuple(right)} for input {shown(input)}, found {shown(target)}")
    if target.is_floating_point() or target.dtype == torch.bool:
        raise LossInputError(f"expected target to hold classes, as whole numbers, found {described(target)}")
