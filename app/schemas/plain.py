"""Configs as plain containers, secrets masked: what checkpoints, run directories and result files hold.

`app.schemas.validation.from_plain` is the way back, through the gate. Only dicts, lists, texts, numbers,
booleans and None: `torch.load(weights_only=True)`, JSON and YAML read them all.
"""

from collections.abc import Iterable
from typing import Any

from pydantic import SecretStr

from app.schemas.problems import Path
from app.schemas.registry import leaf_fields, option_of
from app.schemas.schema import fill, import_path, is_schema

MASK = "********"
"""What stands for a secret wherever a config is written."""


def defaults_as_plain(cls: type) -> dict[str, Any]:
    """What `to_plain` would give of a schema that nothing is changed in, for one that needs no value."""
    instance: Any = object.__new__(cls)
    fill(instance, {})
    return {name: _plain(value) for name, value in leaf_fields(instance).items()}


def to_plain(config: object) -> dict[str, Any]:
    """A schema object as plain containers, secrets masked.

    `_target_` names the schema, of the object itself and of every option inside it.
    """
    cls = type(config)
    return {"_target_": import_path(cls)} | {name: _plain(value) for name, value in leaf_fields(config).items()}


def _plain(value: object) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if is_schema(type(value)):
        plain = to_plain(value)
        if option_of(value) is None:
            del plain["_target_"]
        return plain
    return value


def secrets_of(config: object, path: Path = ()) -> dict[Path, str]:
    """What `to_plain` masks: every secret in a config, by the path at which it stands."""
    if isinstance(config, SecretStr):
        return {path: config.get_secret_value()}
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(config, dict):
        items = config.items()
    elif isinstance(config, tuple):
        items = enumerate(config)
    elif is_schema(type(config)):
        items = leaf_fields(config).items()
    return {at: secret for key, value in items for at, secret in secrets_of(value, (*path, key)).items()}
