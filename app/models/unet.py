"""The expanding path of a U-Net (Ronneberger et al., 2015)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from app.models.layers import convolutions
from app.models.part import Neck, UnfitPartError


class UNet(Neck):
    """From the coarsest map on: enlarge, put beside the next finer map, convolve twice.

    The paper's convolutions shrink the image, and it crops the finer map to match; here all keep their size, and the
    coarser map is enlarged to the finer one's, whatever the remainders are.
    """

    def __init__(
        self, in_channels: Sequence[int], reductions: Sequence[int], *, channels: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        coarsest, *skips = reversed(in_channels)
        if not skips:
            raise UnfitPartError("in_channels", "a U-Net joins two maps or more, and the backbone gives a single one")
        if channels is None:
            channels = skips
        elif len(channels) != len(skips):
            raise UnfitPartError(
                "channels",
                f"expected {len(skips)} entries, one for each step up the backbone's {len(in_channels)} maps;"
                f" found {len(channels)}",
            )
        self.out_channels = (channels[-1],)
        self.reductions = (reductions[0],)
        steps = list(pairwise((coarsest, *channels)))
        # What normalises in `join` takes away again whatever a bias adds here.
        self.up = nn.ModuleList(nn.Conv2d(below, outs, kernel_size=1, bias=False) for below, outs in steps)
        self.join = nn.ModuleList(
            convolutions(outs + skip, outs, outs) for (_, outs), skip in zip(steps, skips, strict=True)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """A single map, as fine as the finest."""
        features, *skips = reversed(maps)
        for up, join, skip in zip(self.up, self.join, skips, strict=True):
            features = functional.interpolate(up(features), size=skip.shape[-2:], mode="nearest")
            features = join(torch.cat([skip, features], dim=1))
        return [features]
