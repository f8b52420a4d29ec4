"""A model from its parts: each is told how many channels the one before it gives."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from app.builders.targets import keyword_arguments, live_class
from app.models.network import PartsNetwork
from app.models.part import Backbone, DenseHead, Head, Neck, Pooling, UnfitPartError
from app.schemas.parts.heads import MultiHeadConfig
from app.schemas.parts.kinds import HeadConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.problems import ConfigError, Problem, dotted
from app.schemas.registry import groups


def build_network(config: PartsConfig, input_shape: Sequence[int]) -> PartsNetwork:
    """The network that `config` describes, for inputs of this shape: `(channels, height, width)` of images.

    Backbones for images look at the number of channels alone, and take images of other sizes too.

    Raises:
        ConfigError: when parts do not fit in a way that only the live ones show, as with timm's backbones.
    """
    wired = {"input_shape": tuple(input_shape)} if config.backbone.any_shape else {"in_channels": input_shape[0]}
    backbone: Backbone = build_part("backbone", config.backbone, **wired)
    neck: Neck | None = None
    if config.neck is not None:
        neck = build_part("neck", config.neck, in_channels=backbone.out_channels, reductions=backbone.reductions)
    maps = backbone.out_channels if neck is None else neck.out_channels
    if config.head.dense:
        dense_head: DenseHead = build_part("head", config.head, in_channels=maps)
        return PartsNetwork(backbone=backbone, neck=neck, head=dense_head)
    pooling: Pooling = build_part("pooling", config.pooling)
    pooled = maps[-1] if neck is None else sum(maps)
    return PartsNetwork(backbone=backbone, neck=neck, pooling=pooling, head=_head(config.head, pooled))


def _head(config: HeadConfig, in_channels: int) -> Head:
    head: Head
    if isinstance(config, MultiHeadConfig):
        head = build_part("head", config, heads={key: _head(one, in_channels) for key, one in config.heads.items()})
    else:
        head = build_part("head", config, in_channels=in_channels)
    return head


def build_part(kind: str, config: object, **wired: Any) -> Any:
    """A part of a model: the `backbone`, `neck`, `pooling` or `head` that `config` describes.

    Args:
        kind: which of them, as the group of its options is called.
        config: what is configured of it.
        wired: what only the parts before it tell, such as `in_channels`.

    Raises:
        ConfigError: when it does not fit, about the field that says so.
    """
    with refusals_at(groups[kind].path, without=wired):
        return live_class(config)(**{**keyword_arguments(config), **wired})


@contextmanager
def refusals_at(path: Sequence[str], *, without: Collection[str] = ()) -> Iterator[None]:
    """Say of what does not fit which field below `path` it is, or the whole there for the arguments `without` a field.

    Raises:
        ConfigError: in the place of an `UnfitPartError`.
    """
    try:
        yield
    except UnfitPartError as error:
        field = () if error.argument in without else error.argument.split(".")
        raise ConfigError([Problem(path=dotted((*path, *field)), message=error.message)]) from error
