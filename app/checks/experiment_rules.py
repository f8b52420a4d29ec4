"""Rules that need an experiment's file beside its config: what it sets in vain, and what it has in common with others.

Nothing here imports torch.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from pydantic import SecretStr

from app.checks.unchanged import unchanged
from app.compose import Composed, compose, compose_tree
from app.composing.experiments import GROUP, Experiment
from app.composing.overrides import read_overrides
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, Path, Problem, dotted
from app.schemas.rules import remarks
from app.schemas.schema import is_schema
from app.schemas.validation import problems_of

_TYPED_FIRST: Final = f"{GROUP}="


def judge(experiment: Experiment, bases: Sequence[Experiment], composed: Composed) -> Iterator[Problem]:
    """What is odd about an experiment whose config passed the gate.

    `bases` are the experiments that it builds on, in the order in which they take effect.
    """
    found: list[Problem] = []
    if composed.config.checkpoint is None and composed.config.resume_path is None:  # whose config is the default then
        before = compose_tree([], [*bases, replace(experiment, values={})], None, [])
        if before is not None:
            found += unchanged(experiment, bases, before, composed)
    yield from found
    known = {problem.path for problem in found}
    set_here: dict[Path, str] = dict(experiment.places)
    for group in experiment.choices.keys() - experiment.values.keys():
        set_here.pop((group,), None)  # its option is chosen there, and no field set
    yield from (problem for problem in remarked(composed, set_here) if problem.path not in known)


def remarked(composed: Composed, set_here: Mapping[Path, str] | None = None) -> Iterator[Problem]:
    """What the remarks of the schemas say about a config.

    That something has no effect is said of what the words on the command line set, or `set_here` with its place: a
    default without effect is nobody's mistake.
    """
    found = list(remarks(composed.config))
    others = [fault for fault in found if fault.code is not Code.UNUSED]
    yield from problems_of(others, composed.sources)
    places = _typed(composed) | {_texts(path): place for path, place in (set_here or {}).items()}
    for fault in found:
        if fault.code is Code.UNUSED and (place := places.get(_texts(fault.path))) is not None:
            yield Problem(path=dotted(fault.path), message=fault.message, source=place, code=fault.code)


class Identity(NamedTuple):
    """What only equal configs have in common."""

    task: str
    digest: str


def identity(composed: Composed) -> Identity:
    """The config's task, and a digest of all its values."""
    digest = hashlib.sha256(repr(_canonical(composed.config)).encode()).hexdigest()
    return Identity(composed.config.task.name, digest)


def duplicates(
    identities: Mapping[str, Identity], of_defaults: Mapping[str, Identity | None]
) -> Iterator[tuple[str, Problem]]:
    """For each experiment whose config is that of another one, or of its task's default, its name and what to say.

    `identities` are those of the experiments' configs, by name, in the order in which they are to be compared;
    `of_defaults` those of what the tasks give without an experiment, by task.
    """
    defaults = {default: task for task, default in of_defaults.items()}
    first: dict[Identity, str] = {}
    for name, config_identity in identities.items():
        message = None
        if config_identity in defaults:
            message = f"changes nothing: task={defaults[config_identity]} gives the same config without it"
        elif first.setdefault(config_identity, name) != name:
            message = f"gives the same config as {first[config_identity]}; keep one of them"
        if message is not None:
            yield name, Problem(path="", message=message, code=Code.DUPLICATE)


def default_identity(task: str) -> Identity | None:
    """The identity of what a task gives without an experiment; None for one that cannot run as it is.

    No experiment of such a task changes nothing.
    """
    try:
        return identity(compose([f"task={task}"]))
    except ConfigError:
        return None


def _typed(composed: Composed) -> dict[tuple[str, ...], str]:
    """What words on the command line set, with the word."""
    words = [word for word in composed.overrides if not word.startswith(_TYPED_FIRST)]
    read, _ = read_overrides(words) if words else ([], [])
    return {
        _texts(path): override.typed
        for override in read
        if override.kind == "value"
        for path in _paths(override.path, override.value)
    }


def _paths(path: Path, value: object) -> Iterator[Path]:
    """The path of a value and of everything in it."""
    yield path
    items: Iterable[tuple[Any, object]] = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield from _paths((*path, key), item)


def _texts(path: Path) -> tuple[str, ...]:
    return tuple(map(str, path))


def _canonical(value: Any) -> Any:
    """A value whose text is the same for all that are equal to it, whatever order mappings are written in."""
    if is_schema(type(value)):
        return (type(value).__qualname__, _canonical(vars(value)))
    if isinstance(value, dict):
        return sorted((str(key), _canonical(item)) for key, item in value.items())
    if isinstance(value, Collection) and not isinstance(value, str):
        return [_canonical(item) for item in value]
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return int(value) if isinstance(value, float) and value.is_integer() else value
