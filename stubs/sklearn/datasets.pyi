from typing import Literal

from numpy import float64, int64
from numpy.typing import NDArray

def load_digits(*, return_X_y: Literal[True]) -> tuple[NDArray[float64], NDArray[int64]]: ...
