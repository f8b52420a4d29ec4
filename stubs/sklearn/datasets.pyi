from collections.abc import Sequence
from typing import Literal

from numpy import float64, int64
from numpy.typing import NDArray

def load_digits(*, return_X_y: Literal[True]) -> tuple[NDArray[float64], NDArray[int64]]: ...
def load_iris(*, return_X_y: Literal[True]) -> tuple[NDArray[float64], NDArray[int64]]: ...

class _Table:
    data: NDArray[float64]
    target: NDArray[float64] | NDArray[int64]
    feature_names: Sequence[str]

def load_breast_cancer() -> _Table: ...
def load_diabetes(*, scaled: bool = ...) -> _Table: ...
def load_wine() -> _Table: ...
