"""`app why PATH [overrides]`: where a value of a config comes from, step by step, what holds last and marked.

    app why optimizer_spec.lr experiment=digits/sgd_cosine
    app why optimizer_spec                                    a part: its choice, and the fields that were set
    app why head module=parts                                 a group, wherever its choice stands
    app why experiment=digits/robust                          everything that is not a schema's default

The order is that of effect: choices of options, the schema's default, what is preset for the option, a checkpoint's
config in place of both, experiments, overrides, what a schema makes of all that. What a value interpolates is
explained below it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from app.commands import COMMANDS
from app.compose import compose
from app.flags import split
from app.inspection.facts import fields_of
from app.inspection.nested import value_at
from app.inspection.origins import Origins
from app.inspection.spelling import as_typed, shortened
from app.inspection.steps import Origin
from app.schemas.annotations import is_secret
from app.schemas.codes import Code
from app.schemas.faults import no_such_field
from app.schemas.plain import MASK
from app.schemas.problems import ConfigError, Path, Problem, did_you_mean, dotted, parts_of, show
from app.schemas.registry import groups, leaf_fields
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema

_BRACKETS_CLOSE: Final = re.compile(r"(?:[^\[\]]|\[[^\[\]]*\])*")


def answer(words: Sequence[str]) -> str:
    """What `app why` prints for a path of the config and overrides; without a path, all that is no default.

    Raises:
        ConfigError: when the config is wrong, with its problems, or when it has nothing at the path.
    """
    _, overrides, names, problems = split(words, COMMANDS["why"].flags)
    if len(names) > 1:
        message = "one value is explained at a time: app why PATH [overrides]"
        problems.append(Problem(path="", message=message, source=" ".join(names), code=Code.OVERRIDE))
    if problems:
        raise ConfigError(problems)
    history = _History(Origins(compose(overrides)))
    path = _path(names[0], history.config) if names else ()
    return "\n".join(history.of(path))


class _History:
    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self.config: RunConfig = origins.composed.config

    def of(self, path: Path, told: tuple[Path, ...] = ()) -> Iterator[str]:
        """The lines on a value, and on those that it interpolates."""
        value = value_at(self.config, path)
        if is_schema(type(value)) or (isinstance(value, dict) and value):
            yield from self._of_part(path, value)
            return
        steps = self._origins.of(path)
        yield f"{dotted(path)} = {self._shown(path, value)}"
        yield from self._table(path, steps)
        for target in self._origins.leads_to(path, steps[-1].value) if steps else ():
            if target not in (*told, path):
                yield ""
                yield from (f"    {line}".rstrip() for line in self.of(target, (*told, path)))

    def _of_part(self, path: Path, part: object) -> Iterator[str]:
        """What chose a part, and what set those of its fields that no longer hold the schema's default."""
        yield f"{dotted(path) or 'run'}: {type(part).__name__ if is_schema(type(part)) else 'a mapping'}"
        chosen = [step for step in self._origins.of(path) if step.kind == "choice"] if path else []
        if chosen:
            yield from self._table(path, chosen)
        inside = list(leaves(part, path))
        last = {leaf: steps[-1] for leaf in inside if (steps := self._origins.of(leaf))}
        changed = {leaf: step for leaf, step in last.items() if step.kind not in ("default", "choice")}
        if changed:
            rows = [
                (dotted(leaf[len(path) :]), self._shown(leaf, step.value), step.by, step.place)
                for leaf, step in changed.items()
            ]
            yield from ("", *_columns(rows, "  "))
        others = len(inside) - len(changed)
        if others:
            yield from ("", f"  defaults: {others} {'other ' if changed else ''}{'value' if others == 1 else 'values'}")

    def _table(self, path: Path, steps: Sequence[Origin]) -> Iterator[str]:
        rows = [
            (str(step.value) if step.kind == "choice" else self._shown(path, step.value), step.by, step.place)
            for step in steps
        ]
        if rows:
            *before, last = _columns(rows, "  ")
            yield from (*before, f"*{last[1:]}")

    def _shown(self, path: Path, value: object) -> str:
        """A value as one types it; secrets stay secret."""
        owner = value_at(self.config, path[:-1])
        secret = is_schema(type(owner)) and is_secret(fields_of(owner)[str(path[-1])])
        return MASK if secret and value is not None else shortened(as_typed(value))


def _columns(rows: Sequence[Sequence[str]], indent: str) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _path(name: str, config: RunConfig) -> Path:
    """A path as it is typed, with dots or brackets, or the name of a group.

    Raises:
        ConfigError: when it is no path, or the config has nothing there.
    """
    parts = parts_of(name)
    if not parts or not _BRACKETS_CLOSE.fullmatch(name):
        message = f"'{name}' is no path, as optimizer_spec.lr and callbacks[mine] are"
        raise ConfigError([Problem(path="", message=message, source=name, code=Code.OVERRIDE)])
    if not hasattr(config, parts[0]) and parts[0] in groups:
        parts = (*groups[parts[0]].path, *parts[1:])
    path: list[str | int] = []
    value: Any = config
    for part in parts:
        items = _items(value)
        step = next((key for key in items if str(key) == part), None)
        if step is None:
            raise ConfigError([_not_there(config, tuple(path), value, part)])
        path.append(step)
        value = items[step]
    return tuple(path)


def _not_there(config: RunConfig, path: Path, value: object, part: str) -> Problem:
    where = dotted((*path, part))
    if not path:
        ends = [dotted(leaf) for leaf in leaves(config, ()) if leaf[-1] == part]
        meant = did_you_mean(part, (*_items(config), *groups)) if not ends else ""
        found = f"; did you mean {' or '.join(repr(end) for end in ends[:3])}?" if ends else meant
        message = f"RunConfig has no such field{found or '; it has ' + ', '.join(map(str, _items(config)))}"
    elif is_schema(type(value)):
        message = no_such_field(type(value), part)
    elif isinstance(value, dict | tuple):
        keys = list(map(str, _items(value)))
        message = (
            f"{dotted(path)} has no '{part}'{did_you_mean(part, keys) or '; it has ' + (', '.join(keys) or 'nothing')}"
        )
    else:
        message = f"{dotted(path)} is {show(value)}, which has nothing in it"
    return Problem(path=where, message=message, code=Code.UNKNOWN_FIELD)


def _items(value: object) -> dict[Any, Any]:
    if is_schema(type(value)):
        return dict(leaf_fields(value))
    if isinstance(value, dict):
        return value
    return dict(enumerate(value)) if isinstance(value, tuple) else {}


def leaves(value: object, path: Path) -> Iterator[Path]:
    """The paths of the values in a part: lists of parts are looked into, other lists are values."""
    inside = _items(value)
    if not is_schema(type(value)) and not any(
        isinstance(value, dict) or is_schema(type(item)) for item in inside.values()
    ):
        yield path
    else:
        for key, item in inside.items():
            yield from leaves(item, (*path, key))
