"""Puts weights from one file or several into a model, as the first weights of a training."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from torch import nn

from app.checkpoints.names import Reading, around, read_for, suggested
from app.checkpoints.opening import without_user_info
from app.checkpoints.weights import fits, read_weights, shape_of
from app.schemas.checkpoint import FIELD, LoadCheckpointConfig
from app.schemas.model_paths import bare, is_within
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, dotted

log = logging.getLogger(__name__)


Fate = Literal["match", "mismatch", "missing", "excluded", "initial"]
"""What becomes of a name of the model.

`match` is loaded. `mismatch` has another shape in the file. `missing` is in no file although `strict` asks for it,
`initial` is in no file and need not be. `excluded` is left as it is.
"""


_SHOWN: Final = 5


class MergeError(AppError):
    """The files do not fit the model."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What becomes of one name of the model, and why."""

    name: str
    fate: Fate
    shape: tuple[int, ...] | None
    """In the model; None for what is no tensor, or has no shape yet."""

    file: str | None = None
    """The file that holds it, the most specific one."""

    found_shape: tuple[int, ...] | None = None
    """In the file."""


@dataclass(frozen=True, kw_only=True)
class Merge:
    """The files, read for a model: nothing is changed yet."""

    load: LoadCheckpointConfig
    entries: tuple[Entry, ...]
    """Every name of the model, in its order."""

    unexpected: Mapping[str, tuple[str, ...]]
    """Names in the files, by file, that the model does not have; as the file has them."""

    unread: tuple[str, ...]
    """Files of which no name at all is the model's."""

    suggestions: tuple[str, ...]
    """What to type so that more names would fit."""

    weights: Mapping[str, Any]
    """What is loaded, by name in the model."""

    @property
    def loads(self) -> bool:
        """Whether these weights may be put into the model."""
        return not self.faults()

    def faults(self) -> list[str]:
        """Everything because of which the weights may not be put into the model."""
        by_fate: dict[str, list[str]] = {}
        for entry in self.entries:
            by_fate.setdefault(entry.fate, []).append(entry.name)
        faults = [f"nothing in {file} is called as in the model" for file in self.unread]
        other = [entry for entry in self.entries if entry.fate == "mismatch"]
        faults += [
            f"{entry.name} has the shape {size(entry.shape)}, in {entry.file} {size(entry.found_shape)}"
            for entry in other[:_SHOWN]
        ]
        if len(other) > _SHOWN:
            faults.append(f"{len(other) - _SHOWN} more have other shapes in the files")
        if self.load.strict:
            if missing := by_fate.get("missing"):
                faults.append(f"no file has {_listed(missing)}")
            faults += [
                f"{file} has more than the model: {_listed(names)}"
                for file, names in self.unexpected.items()
                if names and file not in self.unread
            ]
        return faults

    def summary(self) -> str:
        """One line: how much comes from which file."""
        counts: dict[str, int] = {}
        for entry in self.entries:
            if entry.fate == "match":
                counts[str(entry.file)] = counts.get(str(entry.file), 0) + 1
        parts = [f"{count} from {file}" for file, count in counts.items()]
        if kept := len(self.entries) - sum(counts.values()):
            parts.append(f"{kept} not loaded")
        return f"{sum(counts.values())} of {len(self.entries)} weights: {', '.join(parts) or 'none'}"


def load_into(model: nn.Module, load: LoadCheckpointConfig) -> Merge:
    """Put the files' weights into the model; the log says how many came from where.

    Raises:
        CheckpointError: when a file cannot be read.
        ConfigError: when the config names parts that the model does not have.
        MergeError: when the weights do not fit: a wrong shape, or with `strict` any difference in names.
    """
    merged = merge(model, load)
    if faults := merged.faults():
        hints = [*merged.suggestions, "to see all of it: app checkpoint plan, with the same overrides"]
        if load.strict and not any(entry.fate == "mismatch" for entry in merged.entries) and not merged.unread:
            hints.insert(0, f"to load what fits and keep the rest as initialised: {FIELD}.strict=false")
        raise MergeError("\n".join([f"{FIELD}: the files do not fit the model", *_indented([*faults, *hints])]))
    # Compared by name above; the model's own hooks still have their say.
    model.load_state_dict(dict(merged.weights), strict=False)
    log.info("%s puts in %s", FIELD, merged.summary())
    return merged


def merge(model: nn.Module, load: LoadCheckpointConfig) -> Merge:
    """Read the files and decide for every name of the model where it comes from; the model stays as it is.

    Raises:
        CheckpointError: when a file cannot be read.
        ConfigError: when the config names parts that the model does not have.
    """
    ours = model.state_dict()
    _require_parts(load, ours)
    files: dict[str, dict[str, Any]] = {}
    sources = [("", load.base_ckpt_path)] if load.base_ckpt_path is not None else []
    sources += sorted(
        ((bare(part), path) for part, path in load.overridden_name2ckpt_path.items()),
        key=lambda source: source[0].count("."),
    )
    found: dict[str, tuple[str, Any]] = {}
    unexpected: dict[str, list[str]] = {}
    unread: list[str] = []
    suggestions: dict[str, None] = {}
    readings: list[Reading] = []
    for part, path in sources:
        weights = files[path] if path in files else files.setdefault(path, read_weights(path))
        path = without_user_info(path)  # from here on it is only shown
        reading = read_for(weights, ours, part, load.renamed_prefixes, path)
        readings.append(reading)
        known = [name for name in reading.called if name in ours]
        if not known:
            unread.append(path)
        found.update({name: (path, weights[reading.called[name]]) for name in known})
        strangers = [name for name in reading.called if name not in ours and not _within_any(name, load.exclude_keys)]
        unexpected.setdefault(path, []).extend(reading.called[name] for name in strangers)
        if strangers or not known:
            taken = {reading.called[name] for name in known}
            rest = {name: weights[whole] for whole, name in reading.bare.items() if whole not in taken}
            unmet = [name for name in ours if name not in known and (not part or is_within(name, part))]
            suggestions.update(dict.fromkeys(suggested(rest, ours, unmet, path)))
    _require_used(load, ours, readings)
    entries = tuple(_entry(name, value, found.get(name), load) for name, value in ours.items())
    return Merge(
        load=load,
        entries=entries,
        unexpected={path: tuple(dict.fromkeys(names)) for path, names in unexpected.items() if names},
        unread=tuple(dict.fromkeys(unread)),
        suggestions=tuple(suggestions),
        weights={entry.name: found[entry.name][1] for entry in entries if entry.fate == "match"},
    )


def size(shape: tuple[int, ...] | None) -> str:
    """A shape as messages show it."""
    return "-" if shape is None else f"({', '.join(map(str, shape))})"


def _entry(name: str, value: Any, found: tuple[str, Any] | None, load: LoadCheckpointConfig) -> Entry:
    shape = shape_of(value)
    if _within_any(name, load.exclude_keys):
        return Entry(name=name, fate="excluded", shape=shape)
    if found is None:
        return Entry(name=name, fate="missing" if load.strict else "initial", shape=shape)
    path, loaded = found
    fate: Fate = "match" if fits(value, loaded) else "mismatch"
    return Entry(name=name, fate=fate, shape=shape, file=path, found_shape=shape_of(loaded))


def _require_parts(load: LoadCheckpointConfig, ours: Mapping[str, Any]) -> None:
    parts = _with_parts(ours)
    problems = [
        Problem(
            path=dotted((FIELD, "overridden_name2ckpt_path", part)),
            message=f"the model has no '{bare(part)}'{did_you_mean(bare(part), parts) or _top(ours)}",
        )
        for part in load.overridden_name2ckpt_path
        if bare(part) not in parts
    ]
    if problems:
        raise ConfigError(problems)


def _require_used(load: LoadCheckpointConfig, ours: Mapping[str, Any], readings: Sequence[Reading]) -> None:
    """What matches no name at all is a slip of the pen: it would exclude or rename nothing."""
    theirs = _with_parts(name for reading in readings for name in reading.bare.values())
    read = _with_parts(name for reading in readings for name in reading.called)
    everywhere = {**_with_parts(ours), **theirs, **read}
    problems = [
        Problem(
            path=f"{FIELD}.exclude_keys[{place}]",
            message=f"neither the model nor a file has '{bare(name)}'"
            f"{did_you_mean(bare(name), everywhere) or _top(ours)}",
        )
        for place, name in enumerate(load.exclude_keys)
        if bare(name) not in everywhere
    ]
    problems += [
        Problem(
            path=dotted((FIELD, "renamed_prefixes", prefix)),
            message=f"no name in the files begins with '{bare(prefix)}'"
            f"{did_you_mean(bare(prefix), theirs) or _top(theirs)}",
        )
        for prefix in load.renamed_prefixes
        if bare(prefix) not in theirs
    ]
    if problems:
        raise ConfigError(problems)


def _with_parts(names: Iterable[str]) -> dict[str, None]:
    """The names and those of all parts around them, in their order."""
    return {outer: None for name in names for outer in around(name) if outer}


def _top(names: Iterable[str]) -> str:
    return f"; there is {_listed(list(dict.fromkeys(name.partition('.')[0] for name in names)))}"


def _within_any(name: str, parts: Sequence[str]) -> bool:
    return any(is_within(name, part) for part in parts)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
