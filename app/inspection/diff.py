"""`app diff [A] B`: what differs between two configs, and the overrides that turn the first into the second.

    app diff digits/mlp digits/robust                     experiments; without A, the default config
    app diff mine.yaml digits/robust                      an experiment's file, wherever it lies
    app diff HEAD~3:digits/robust digits/robust           an experiment as it was at a git revision
    app diff runs/digits/<run> 'digits/mlp trainer=cpu'   a run's folder, or a checkpoint; overrides in quotes

None of the overrides can be left out.
"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import suppress

from app.commands import COMMANDS
from app.flags import split
from app.inspection.differences import differences
from app.inspection.sides import DEFAULT, KINDS, Side, side
from app.inspection.turning import NoWayError, overrides_between
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Problem
from app.schemas.run import RunConfig


def answer(words: Sequence[str]) -> str:
    """What `app diff` prints for the names of two configs; with one of them, how it differs from the default.

    Raises:
        ConfigError: when a name is that of no config, or of a wrong one.
    """
    _, overrides, names, problems = split(words, COMMANDS["diff"].flags)
    if problems:
        raise ConfigError(problems)
    if len(words) not in (1, 2):
        found = " ".join([*names, *overrides])
        message = f"expected one config or two: app diff A B, each {KINDS}"
        raise ConfigError([Problem(path="", message=message, source=found or None, code=Code.OVERRIDE)])
    before, after = map(side, (DEFAULT, *words)[-2:])
    return "\n".join(_lines(before, after))


def _lines(before: Side, after: Side) -> Iterator[str]:
    one, other = before.config(), after.config()
    found = list(map(str, differences(one, other)))
    if not found:
        yield f"no difference between {before.name} and {after.name}"
        return
    yield from (*found, "")
    try:
        yield from _to_type(before, after, other)
    except NoWayError as error:
        yield f"no overrides turn {before.name} into {after.name}: {error}"
        default = Side(name=DEFAULT)
        if after != default:
            with suppress(NoWayError):
                yield from _to_type(default, after, other)


def _to_type(before: Side, after: Side, config: RunConfig) -> Sequence[str]:
    overrides = overrides_between(before, config)
    if overrides:
        return f"{before.name} becomes {after.name} with", f"  {shlex.join(overrides)}"
    if before.config() == config:
        return (f"{before.name} is the same as {after.name}",)
    return (f"{before.name} and {after.name} differ in secrets alone, which are not shown",)
