"""What is added to a task's `model.py`."""

from collections.abc import Sequence
from math import prod

from torch import Tensor, nn


class NewModel(nn.Module):
    """Residual blocks over all values of the input (He et al., 2016)."""

    def __init__(
        self, input_shape: Sequence[int], num_outputs: int, *, width: int, num_blocks: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), width))
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout))
            for _ in range(num_blocks)
        )
        self.head = nn.Linear(width, num_outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """`(batch, num_outputs)`, such as scores before softmax, for inputs `(batch, *input_shape)`."""
        features = self.backbone(inputs)
        for block in self.blocks:
            features = features + block(features)
        outputs: Tensor = self.head(features)
        return outputs
