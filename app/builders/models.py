"""A model from its parts: each is told how many channels the one before it gives."""

from typing import Any

from app.builders.targets import keyword_arguments, live_class
from app.models.network import PartsNetwork
from app.models.part import Backbone, DenseHead, Head, Neck, Pooling, UnfitPartError
from app.schemas.parts.heads import MultiHeadConfig
from app.schemas.parts.kinds import HeadConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.problems import ConfigError, Problem, dotted
from app.schemas.registry import groups


def build_network(config: PartsConfig, in_channels: int) -> PartsNetwork:
    """The network that `config` describes, for images with `in_channels` channels.

    Raises:
        ConfigError: when parts do not fit in a way that only the live ones show, as with timm's backbones.
    """
    backbone: Backbone = _build("backbone", config.backbone, in_channels=in_channels)
    neck: Neck | None = None
    if config.neck is not None:
        neck = _build("neck", config.neck, in_channels=backbone.out_channels, reductions=backbone.reductions)
    maps = backbone.out_channels if neck is None else neck.out_channels
    if config.head.dense:
        dense_head: DenseHead = _build("head", config.head, in_channels=maps)
        return PartsNetwork(backbone=backbone, neck=neck, head=dense_head)
    pooling: Pooling = _build("pooling", config.pooling)
    pooled = maps[-1] if neck is None else sum(maps)
    return PartsNetwork(backbone=backbone, neck=neck, pooling=pooling, head=_head(config.head, pooled))


def _head(config: HeadConfig, in_channels: int) -> Head:
    head: Head
    if isinstance(config, MultiHeadConfig):
        head = _build("head", config, heads={key: _head(one, in_channels) for key, one in config.heads.items()})
    else:
        head = _build("head", config, in_channels=in_channels)
    return head


def _build(kind: str, config: object, **wired: Any) -> Any:
    try:
        return live_class(config)(**{**keyword_arguments(config), **wired})
    except UnfitPartError as error:
        path = (*groups[kind].path, *([] if error.argument in wired else error.argument.split(".")))
        raise ConfigError([Problem(path=dotted(path), message=error.message)]) from error
