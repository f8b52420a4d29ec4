"""`Columns`: what a run has learnt of its table before it trains, and has to read every other file by."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from app.data_formats.csv_table import Table


class Columns(NamedTuple):
    """The columns that a model looks at, and how each is scaled; kept in checkpoints, as plain values."""

    features: tuple[str, ...]
    """Their names, in the order of a model's inputs."""

    mean: tuple[float, ...]
    """Of each, in the rows outside the test split."""

    deviation: tuple[float, ...]
    """Of each, in the same rows; 1 where all are alike."""

    classes: tuple[str, ...]
    """The labels of the classes in the order of their indices; none where the target is a number."""

    def scaled(self, values: Tensor) -> Tensor:
        """Columns of mean 0 and deviation 1, `(rows, columns)`, their long tails drawn in, in 32 bits."""
        mean, deviation = (torch.tensor(each, dtype=torch.float64) for each in (self.mean, self.deviation))
        return torch.asinh((values - mean) / deviation).to(torch.float32)

    def as_state(self) -> dict[str, list[Any]]:
        """What a checkpoint keeps: lists of numbers and texts."""
        return {name: list(values) for name, values in self._asdict().items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Sequence[Any]]) -> "Columns":
        """The columns that `as_state` wrote."""
        return cls(**{name: tuple(state[name]) for name in cls._fields})


def columns_of(table: Table, is_test: Tensor, classes: Sequence[str]) -> Columns:
    """The columns of a table, scaled by the rows outside the test split, whichever of them are trained on.

    The test split would depend on how train is chosen otherwise.
    """
    mean, deviation = mean_and_deviation(values_of(table)[~is_test])
    return Columns(table.features, tuple(mean), tuple(deviation), tuple(classes))


def values_of(table: Table) -> Tensor:
    """The numbers of a table, `(rows, columns)`, in 64 bits."""
    return torch.tensor(table.values, dtype=torch.float64).reshape(len(table.rows), len(table.features))


def mean_and_deviation(values: Tensor) -> tuple[list[float], list[float]]:
    """Of each column of `(rows, columns)`, summed up exactly: the same to the last bit on every machine."""
    columns = values.T.tolist()
    size = max(1, len(values))
    means = [math.fsum(column) / size for column in columns]
    deviations = [
        math.sqrt(math.fsum((value - mean) ** 2 for value in column) / size)
        for column, mean in zip(columns, means, strict=True)
    ]
    return means, [deviation or 1.0 for deviation in deviations]
