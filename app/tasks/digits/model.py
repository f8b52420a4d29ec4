"""The network that tells digits apart; a plain `nn.Module` that knows nothing of configs."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn


class CNN(nn.Module):
    """Blocks of two 3 by 3 convolutions with batch normalisation and ReLU, then a halving of the image."""

    def __init__(
        self, input_shape: Sequence[int], num_classes: int, *, channels: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        in_channels, height, width = input_shape
        blocks = [_block(ins, outs) for ins, outs in pairwise((in_channels, *channels))]
        shrink = 2 ** len(channels)
        features = channels[-1] * (height // shrink) * (width // shrink)
        self.backbone = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(dropout))
        self.head = nn.Linear(features, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Class scores before softmax, `(batch, num_classes)`, for images `(batch, channels, height, width)`."""
        scores: Tensor = self.head(self.backbone(images))
        return scores


def _block(in_channels: int, out_channels: int) -> nn.Sequential:
    # Batch normalisation shifts by a bias of its own, so the convolutions need none.
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.Conv2d(out_channels, out_channels, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
