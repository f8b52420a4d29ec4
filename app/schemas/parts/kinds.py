"""The four kinds of part that a model is made of; the options of each are imported once its group is looked at."""

from collections.abc import Iterator
from typing import ClassVar

from app.schemas.registry import group, option_of
from app.schemas.rules import Finding
from app.schemas.schema import schema


@group("backbone", mount="module.model_config.backbone", families=("app.schemas.parts.backbones",))
@schema
class BackboneConfig:
    """Turns images into feature maps, from fine to coarse.

    A live class takes `in_channels` and the fields, and declares the `out_channels` and `reductions` of its maps. One
    for inputs of any shape takes `input_shape` instead.
    """

    any_shape: ClassVar[bool] = False  # whether inputs need not be images

    def num_maps(self) -> int | None:
        """How many feature maps it gives; None where only the live backbone knows."""
        return None

    def without_weights(self) -> "BackboneConfig":
        """The same backbone, its initial weights from nowhere: for a model whose weights come from a checkpoint."""
        return self


@group("neck", mount="module.model_config.neck", families=("app.schemas.parts.necks",))
@schema
class NeckConfig:
    """Brings what the coarse maps have recognised back to the fine ones.

    A live class takes `in_channels`, one number for each map, and the fields, and declares its `out_channels`.
    """

    def unfit(self, num_maps: int) -> Iterator[Finding]:  # noqa: ARG002  # for overriding
        """What speaks against a backbone with so many maps; nothing, unless overridden."""
        yield from ()


@group("pooling", mount="module.model_config.pooling", families=("app.schemas.parts.poolings",))
@schema
class PoolingConfig:
    """Makes one vector of a feature map: a number for each channel.

    A live class takes the fields alone, whatever the number of channels.
    """


@group("head", mount="module.model_config.head", families=("app.schemas.parts.heads",))
@schema
class HeadConfig:
    """Makes the model's outputs of its features.

    A live class takes `in_channels` and the fields: the length of the pooled vector, or for a dense head one number
    for each map.
    """

    dense: ClassVar[bool] = False  # whether it takes feature maps as they are, and gives something for each pixel
    outputs: ClassVar[tuple[str, ...]]  # the names of what it gives

    def output_keys(self) -> tuple[str, ...]:
        """The names of what it gives."""
        return self.outputs

    def target_keys(self) -> tuple[str, ...]:
        """The batch's targets that it needs in training; most heads need none."""
        return ()


def option_name(part: object) -> str:
    """What a part is called where it is chosen: `small_resnet`."""
    option = option_of(part)
    assert option is not None, f"{type(part).__name__} is not registered"
    return option.name
