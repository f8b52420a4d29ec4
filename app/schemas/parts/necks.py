"""The necks, between the backbone and what looks at its maps."""

from collections.abc import Iterator
from typing import Annotated

from annotated_types import MinLen

from app.schemas.constraints import PositiveInt
from app.schemas.parts.kinds import NeckConfig
from app.schemas.registry import register
from app.schemas.rules import Finding
from app.schemas.schema import schema


@register("neck", "fpn", target="app.models.fpn.FPN")
@schema
class FPNConfig(NeckConfig):
    """Feature pyramid network (Lin et al., 2017): as many maps as before, each told what the coarser ones found."""

    width: PositiveInt = 64
    """Channels of every map of the pyramid; the paper has 256."""


@register("neck", "unet", target="app.models.unet.UNet")
@schema
class UNetConfig(NeckConfig):
    """The expanding path of a U-Net (Ronneberger et al., 2015): one map, as fine as the backbone's finest."""

    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] | None = None
    """Channels after each step up, the coarsest first; null mirrors the backbone's."""

    def unfit(self, num_maps: int) -> Iterator[Finding]:
        """A step up joins two maps."""
        if num_maps < 2:
            yield (), "has nothing to join, as the backbone gives a single map; expected null, or another backbone"
        elif self.channels is not None and len(self.channels) != num_maps - 1:
            steps = f"{num_maps - 1}, one for each step up the backbone's {num_maps} maps"
            yield "channels", f"expected as many entries as steps: {steps}; found {len(self.channels)}"
