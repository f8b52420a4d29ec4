"""The residual network for small images (He et al., 2016, "Deep Residual Learning", section 4.2)."""

from torch import Tensor, nn
from torch.nn import functional

from app.models.part import Backbone


class SmallResNet(Backbone):
    """A convolution, then three stages of residual blocks; each stage but the first halves the image.

    As in the paper, a shortcut that changes the shape takes every second pixel and pads the channels with zeros, so
    shortcuts have no weights. Of the paper's `depth`, one layer is the head's.
    """

    def __init__(self, in_channels: int, *, depth: int = 20, width: int = 16) -> None:
        super().__init__()
        self.out_channels = (width, 2 * width, 4 * width)
        self.reductions = (1, 2, 4)
        self.stem = nn.Sequential(_convolution(in_channels, width), nn.BatchNorm2d(width), nn.ReLU())
        num_blocks = (depth - 2) // 6
        stages = []
        channels = width
        for out_channels in self.out_channels:
            stage = [_ResidualBlock(channels, out_channels, stride=out_channels // channels)]
            stage += [_ResidualBlock(out_channels, out_channels) for _ in range(num_blocks - 1)]
            stages.append(nn.Sequential(*stage))
            channels = out_channels
        self.stages = nn.ModuleList(stages)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """A map from each stage: as large as the image, half as wide, a quarter as wide."""
        maps: list[Tensor] = []
        features = self.stem(images)
        for stage in self.stages:
            features = stage(features)
            maps.append(features)
        return maps


class _ResidualBlock(nn.Module):
    """Two 3 by 3 convolutions, and a shortcut around them."""

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = out_channels - in_channels
        self.residual = nn.Sequential(
            _convolution(in_channels, out_channels, stride=stride),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
            _convolution(out_channels, out_channels),
            nn.BatchNorm2d(out_channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """What the convolutions add to what came in."""
        shortcut = features[:, :, :: self.stride, :: self.stride]
        shortcut = functional.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        return functional.relu(shortcut + self.residual(features))


def _convolution(in_channels: int, out_channels: int, *, stride: int = 1) -> nn.Conv2d:
    # Batch normalisation shifts by a bias of its own, so the convolution needs none.
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
