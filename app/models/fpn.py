"""Feature pyramid network (Lin et al., 2017)."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from app.models.part import Neck


class FPN(Neck):
    """Every map at the same width; from the coarsest on, each is enlarged and added to the next finer one."""

    def __init__(self, in_channels: Sequence[int], reductions: Sequence[int], *, width: int = 64) -> None:
        super().__init__()
        self.out_channels = (width,) * len(in_channels)
        self.reductions = tuple(reductions)
        self.lateral = nn.ModuleList(nn.Conv2d(channels, width, kernel_size=1) for channels in in_channels)
        # Against the blocks that enlarging leaves behind.
        self.smooth = nn.ModuleList(nn.Conv2d(width, width, kernel_size=3, padding=1) for _ in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """As many maps, each of its old size."""
        pyramid: list[Tensor] = []
        for lateral, features in zip(reversed(self.lateral), reversed(maps), strict=True):
            narrow = lateral(features)
            if pyramid:
                narrow = narrow + functional.interpolate(pyramid[-1], size=narrow.shape[-2:], mode="nearest")
            pyramid.append(narrow)
        return [smooth(features) for smooth, features in zip(self.smooth, reversed(pyramid), strict=True)]
