"""What an override says, as Hydra's grammar reads it: its key, and its value as plain data.

Most overrides are a path and a plain word or number. Those are read here as the grammar would, which a test makes
sure of: importing Hydra for it takes longer than checking the config.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from app.schemas.problems import first_line

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,9}")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})")
_FLOAT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?(?:[eE][-+]?[0-9]{1,2})?")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}(?:/[A-Za-z_][A-Za-z0-9_]{0,99}){0,3}")
_CONSTANTS: Final = {"null": None, "true": True, "false": False}
_SPECIAL: Final = (*_CONSTANTS, "inf", "nan")


class Parsed(NamedTuple):
    """An override that can be read."""

    key: str
    value: Any
    """None for a sweep."""

    keys: Sequence[object] = ()
    """Those of every mapping in the value."""

    package: str | None = None
    removes: bool = False
    sweeps: bool = False
    alternatives: Sequence[object] = ()
    """What is swept over, where that is listed one by one."""


class GrammarError(ValueError):
    """A text that is no override; its message says why."""


def parse(text: str) -> Parsed:
    """Read an override.

    Raises:
        GrammarError: for what is none.
    """
    return _plain_word(text) or _by_hydra(text)


def _plain_word(text: str) -> Parsed | None:
    """What needs no grammar to be read; None for everything else."""
    key, _, value = text.partition("=")
    if not _KEY.fullmatch(key):
        return None
    if value in _CONSTANTS:
        return Parsed(key, _CONSTANTS[value])
    if _INT.fullmatch(value):
        return Parsed(key, int(value))
    if _FLOAT.fullmatch(value):
        return Parsed(key, float(value))
    if _WORD.fullmatch(value) and value.casefold() not in _SPECIAL:
        return Parsed(key, value)
    return None


def _by_hydra(text: str) -> Parsed:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, OverrideType
    from hydra.errors import HydraException

    try:
        override = OverridesParser.create().parse_override(text)
        sweeps = override.is_sweep_override()
        value = override.value()
    except (HydraException, ValueError, RecursionError, OverflowError) as error:
        raise GrammarError(first_line(error)) from error
    return Parsed(
        key=override.key_or_group,
        value=None if sweeps else _plain(value),
        keys=tuple(_keys(override._value)),
        package=override.package,
        removes=override.type is OverrideType.DEL,
        sweeps=sweeps,
        alternatives=tuple(value.list) if isinstance(value, ChoiceSweep) else (),
    )


def _plain(value: Any) -> Any:
    """A parsed value without the parser's own types."""
    from hydra.core.override_parser.types import QuotedString

    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(item) for key, item in value.items()}
    return value


def _keys(value: Any) -> Iterator[object]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield _plain(key)
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)
