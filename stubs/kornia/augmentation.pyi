from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

class IntensityAugmentationBase2D(nn.Module): ...

class AugmentationSequential(nn.Module):
    def __init__(self, *transforms: nn.Module, data_keys: Sequence[str]) -> None: ...
    def __call__(self, *inputs: Tensor) -> Any: ...
