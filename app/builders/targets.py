"""From a config to the live class it configures: every builder starts here."""

from importlib import import_module
from typing import Any

from app.schemas.registry import leaf_fields, option_of


def live_class(config: object) -> Any:
    """The class that a registered config's `target` names."""
    option = option_of(config)
    assert option is not None, f"{type(config).__name__} is not registered; the gate lets only options through"
    module, _, name = option.target.rpartition(".")
    return getattr(import_module(module), name)


def keyword_arguments(config: object, *, without: frozenset[str] = frozenset()) -> dict[str, Any]:
    """A config's fields as the arguments of its live class, less those that a builder handles itself."""
    return {name: value for name, value in leaf_fields(config).items() if name not in without}
