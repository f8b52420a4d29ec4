"""What wrapping the augmentations of other packages has in common: their errors, and that shapes stay."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor

from app.schemas.problems import AppError, first_line


class TransformError(AppError):
    """Another package's transform failed on a batch, or made something else of it than images of the same shape."""


@contextmanager
def failures_of(name: str, images: Tensor) -> Iterator[None]:
    """Say which transform it was that failed, and on what."""
    try:
        yield
    except TransformError:
        raise
    except Exception as error:
        raise TransformError(f"{name} failed on images of shape {_shape(images)}: {first_line(error)}") from error


def same_shape(name: str, changed: Tensor, images: Tensor) -> Tensor:
    """The changed images.

    Raises:
        TransformError: when their shape is another: the test set's images have the task's, and training must too.
    """
    if changed.shape != images.shape:
        found = f"{name} made images of shape {_shape(changed)} out of {_shape(images)}"
        raise TransformError(f"{found}; the shape must stay the task's")
    return changed


def _shape(images: Tensor) -> str:
    return " x ".join(map(str, images.shape))
