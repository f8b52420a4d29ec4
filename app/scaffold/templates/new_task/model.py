"""The task's network; a plain `nn.Module` that knows nothing of configs."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class Network(nn.Module):
    """One hidden layer over all values of the input."""

    def __init__(self, input_shape: Sequence[int], num_classes: int, *, width: int, dropout: float) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), width), nn.ReLU(), nn.Dropout(dropout))
        self.head = nn.Linear(width, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        """Class scores before softmax, `(batch, num_classes)`, for inputs `(batch, *input_shape)`."""
        scores: Tensor = self.head(self.backbone(inputs))
        return scores
