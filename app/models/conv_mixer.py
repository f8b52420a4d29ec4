"""ConvMixer (Trockman and Kolter, 2022, "Patches Are All You Need?")."""

from torch import Tensor, nn
from torch.nn import functional

from app.models.part import Backbone


class ConvMixer(Backbone):
    """Patches, then layers that mix them in space (depthwise) and across channels (pointwise), all of one size."""

    def __init__(
        self, in_channels: int, *, width: int = 64, depth: int = 4, kernel_size: int = 5, patch_size: int = 2
    ) -> None:
        super().__init__()
        self.out_channels = (width,)
        self.reductions = (patch_size,)
        self.patch_size = patch_size
        self.patches = _activated(nn.Conv2d(in_channels, width, kernel_size=patch_size, stride=patch_size))
        self.layers = nn.Sequential(*(_Mixer(width, kernel_size) for _ in range(depth)))

    def forward(self, images: Tensor) -> list[Tensor]:
        """One map, with a place for each patch; patches that reach over the edge are filled up with zeros."""
        height, width = images.shape[-2:]
        images = functional.pad(images, (0, -width % self.patch_size, 0, -height % self.patch_size))
        return [self.layers(self.patches(images))]


class _Mixer(nn.Module):
    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.in_space = _activated(nn.Conv2d(width, width, kernel_size, groups=width, padding="same"))
        self.across_channels = _activated(nn.Conv2d(width, width, kernel_size=1))

    def forward(self, features: Tensor) -> Tensor:
        """The map mixed, with a shortcut around the mixing in space."""
        mixed: Tensor = self.across_channels(features + self.in_space(features))
        return mixed


def _activated(convolution: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(convolution, nn.GELU(), nn.BatchNorm2d(convolution.out_channels))
