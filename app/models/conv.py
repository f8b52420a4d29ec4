"""Blocks of convolutions in the manner of VGG (Simonyan and Zisserman, 2015), for images of any size."""

from collections.abc import Sequence

from torch import Tensor, nn

from app.models.layers import convolutions
from app.models.part import Backbone


class ConvBackbone(Backbone):
    """3 by 3 convolutions with batch normalisation and ReLU; between two blocks the image is halved."""

    def __init__(self, in_channels: int, *, channels: Sequence[int] = (32, 64), num_convolutions: int = 2) -> None:
        super().__init__()
        self.out_channels = tuple(channels)
        self.reductions = tuple(2**place for place in range(len(channels)))
        self.blocks = nn.ModuleList(
            convolutions(ins, *[outs] * num_convolutions)
            for ins, outs in zip((in_channels, *channels), channels, strict=False)
        )
        # A remainder counts as a whole, so that a single pixel is left of any image, however many blocks there are.
        self.halve = nn.MaxPool2d(2, ceil_mode=True)

    def forward(self, images: Tensor) -> list[Tensor]:
        """A map from each block, the first as large as the image."""
        maps = [self.blocks[0](images)]
        for block in self.blocks[1:]:
            maps.append(block(self.halve(maps[-1])))
        return maps
