"""Configs on their way into a Lightning object and back out of its checkpoints."""

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from app.schemas.validation import from_plain

ConfigT = TypeVar("ConfigT")


def restored(config: ConfigT | Mapping[str, Any]) -> ConfigT:
    """The schema object itself, or the one that the plain container in a checkpoint describes."""
    return cast(ConfigT, from_plain(config)) if isinstance(config, Mapping) else config
