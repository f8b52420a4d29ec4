"""What a datamodule's batches look like, said without reading any data: shapes, dtypes and the values to expect."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from app.schemas.task import TaskConfig

DType = Literal["float16", "bfloat16", "float32", "float64", "bool", "uint8", "int32", "int64"]
"""Torch's name of what a tensor holds."""


class TensorSpec(NamedTuple):
    """One tensor of a batch."""

    shape: tuple[int, ...]
    """The shape of one sample's part of it, without the batch's dimension: `(1, 8, 8)`, or `()` for a number."""

    dtype: DType = "float32"
    """What it holds; classes are `int64`."""

    low: float | None = None
    """The smallest value that occurs; null where any may."""

    high: float | None = None
    """The largest value that occurs; null where any may."""


class BatchSpec(NamedTuple):
    """A batch: the input of the model, and what is to be learnt of it."""

    input: TensorSpec
    """What the model looks at."""

    targets: Mapping[str, TensorSpec]
    """The targets by name; a single one, called `target`, comes as a tensor, and all others as a mapping."""


def usual_target(task: TaskConfig) -> TensorSpec:
    """What a task of this kind usually has as its target: a class, yes or no, those for each class, or a number."""
    if task.kind == "regression":
        return TensorSpec(shape=())
    if task.kind == "multiclass":
        return TensorSpec(shape=(), dtype="int64", low=0, high=task.num_classes - 1)
    shape = () if task.kind == "binary" else (task.num_classes,)
    return TensorSpec(shape=shape, dtype="int64", low=0, high=1)
