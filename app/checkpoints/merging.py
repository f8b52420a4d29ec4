"""Puts weights into a model: those of one checkpoint, or the first weights of a training, from several files.

Names are paths in the model, compared by whole words. What a file calls the same parameter depends on who saved it, so
each file is read in whichever way makes most of its names the model's:

- as they are, or without what wrappers put before them (`model.` of a Lightning module, `module.` of data-parallel
  training, `_orig_mod.` of `torch.compile`);
- for a file given for a part, as names in the whole model, in the part, or in any part around it. A file of one bare
  tensor is the parameter that it is given for.

Losses and metrics in a Lightning checkpoint are no part of the model and not looked at.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from app.checkpoints.contents import damage, is_archive
from app.checkpoints.opening import CheckpointError, opened, without_user_info
from app.checkpoints.safetensors_file import SAFETENSORS, read_safetensors
from app.checkpoints.storage import load_checkpoint
from app.schemas.checkpoint import LoadCheckpointConfig, bare, is_within
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean, dotted

log = logging.getLogger(__name__)

FIELD: Final = "load_checkpoint"

Fate = Literal["match", "mismatch", "missing", "excluded", "initial"]
"""What becomes of a name of the model.

`match` is loaded. `mismatch` has another shape in the file. `missing` is in no file although `strict` asks for it,
`initial` is in no file and need not be. `excluded` is left as it is.
"""

_WRAPPERS: Final = ("", "model.", "module.", "_orig_mod.", "model._orig_mod.", "module.model.", "model.module.")
_BESIDE: Final = ("model.", "model._orig_mod.", "model.module.")
"""Those beside which a Lightning module keeps its losses and metrics."""

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
            suggestions.update(dict.fromkeys(_suggested(rest, ours, unmet, path)))
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


def load_weights(module: nn.Module, path: str) -> None:
    """Put a checkpoint's weights into the whole module that was saved, metrics and all.

    Raises:
        CheckpointError: when the file cannot be read, or holds the weights of another model.
    """
    weights = load_checkpoint(path)["state_dict"]
    ours = module.state_dict()
    other = [
        name
        for name in {**ours, **weights}
        if name not in ours or name not in weights or not _fits(ours[name], weights[name])
    ]
    if other:
        message = f"holds the weights of another model than {type(module).__name__}: {_listed(other)} differ"
        raise CheckpointError(path, f"{message}; use the options it was trained with")
    module.load_state_dict(weights)


def read_weights(path: str) -> dict[str, Any]:
    """The named weights in a file: of a Lightning checkpoint, a bare state dict, or "" for one bare tensor.

    A name that ends in `.safetensors` says that the file is one of these.

    Raises:
        CheckpointError: when the file cannot be read or holds no weights.
    """
    checkpoint = read_checkpoint(path)
    if isinstance(checkpoint, Tensor):
        return {"": checkpoint}
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(path, f"expected weights by name, found a {type(checkpoint).__name__}")
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        keys = ", ".join(map(str, list(checkpoint)[:_SHOWN])) or "nothing"
        raise CheckpointError(path, f"holds no weights, neither under state_dict nor at its top; it has {keys}")
    return {str(name): value for name, value in state.items()}


def read_checkpoint(path: str) -> Any:
    """All that a checkpoint holds: tensors and plain values, and never anything that would run.

    Raises:
        CheckpointError: when the file cannot be fetched, is damaged, or holds other things.
    """
    with opened(path, whole=True) as file:
        if PurePosixPath(path).suffix == SAFETENSORS:
            return read_safetensors(file, path)
        # Torch does not compare checksums: it would load most damaged tensors without a word.
        if is_archive(file) and (found := damage(file)):
            raise CheckpointError(path, f"is damaged: {found}")
        file.seek(0)
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a file that is no checkpoint fails in whatever way its bytes lead to
            # Not in torch's words, which advise to load it with arbitrary code in it.
            message = f"is no checkpoint of weights and plain values ({type(error).__name__})"
            raise CheckpointError(path, message) from error


class Reading(NamedTuple):
    """One way of reading a file's names."""

    called: dict[str, str]
    """What the file calls a weight, by its name in the model; only what belongs to the part that is read."""

    bare: dict[str, str]
    """All names without their wrapper, by what the file calls them."""


def read_for(
    weights: Mapping[str, Any], ours: Mapping[str, Any], part: str, prefixes: Mapping[str, str], path: str
) -> Reading:
    """The way of reading a file's names for a part (or for the whole, "") that fits the model best.

    Raises:
        CheckpointError: when two ways fit equally well and would load different weights.
    """
    readings: list[tuple[tuple[int, int, int, int], Reading]] = []
    for wrapper in _WRAPPERS:
        inside = {whole: whole.removeprefix(wrapper) for whole in weights if whole.startswith(wrapper)}
        if not inside or (len(inside) < len(weights) and wrapper not in _BESIDE):
            continue
        renamed = {whole: _renamed(name, prefixes) for whole, name in inside.items()}
        for around in _around(part):
            named = {whole: ".".join(filter(None, (around, name))) for whole, (name, _) in renamed.items()}
            called = {name: whole for whole, name in named.items() if not part or is_within(name, part)}
            known = [name for name in called if name in ours]
            fitting = sum(_fits(ours[name], weights[called[name]]) for name in known)
            changed = sum(is_changed for _, is_changed in renamed.values())
            readings.append(((fitting, len(known), changed, len(known) - len(called)), Reading(called, inside)))
    best = max(score for score, _ in readings)
    way, *others = [reading for score, reading in readings if score == best]
    for other in others:
        for name, whole in way.called.items():
            if name in ours and other.called.get(name) != whole:
                instead = other.called.get(name)
                message = f"{name} of the model may be '{whole}' in it{f' or {instead!r}' if instead else ', or not'}"
                raise CheckpointError(path, f"its names can be read in several ways: {message}; {_HOW_TO_SAY}")
    return way


_HOW_TO_SAY: Final = f"say which with {FIELD}.renamed_prefixes, such as {{model: model}} for what is so in the model"


def _around(part: str) -> list[str]:
    """A part, the parts around it, and the whole: `a.b`, `a`, ``."""
    words = part.split(".") if part else []
    return [".".join(words[:length]) for length in range(len(words), -1, -1)]


def _entry(name: str, value: Any, found: tuple[str, Any] | None, load: LoadCheckpointConfig) -> Entry:
    shape = _shape(value)
    if _within_any(name, load.exclude_keys):
        return Entry(name=name, fate="excluded", shape=shape)
    if found is None:
        return Entry(name=name, fate="missing" if load.strict else "initial", shape=shape)
    path, loaded = found
    fate: Fate = "match" if _fits(value, loaded) else "mismatch"
    return Entry(name=name, fate=fate, shape=shape, file=path, found_shape=_shape(loaded))


def _fits(ours: Any, theirs: Any) -> bool:
    """Whether a loaded value can take the place of the model's; a parameter that is not made yet takes any shape."""
    if isinstance(ours, Tensor) != isinstance(theirs, Tensor):
        return False
    return _shape(ours) is None or _shape(ours) == _shape(theirs)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) and not is_lazy(value) else None


def _renamed(name: str, prefixes: Mapping[str, str]) -> tuple[str, bool]:
    """The name with another beginning, and whether that was asked for; the longest beginning counts."""
    prefix = max((prefix for prefix in prefixes if is_within(name, prefix)), key=len, default=None)
    if prefix is None:
        return name, False
    rest = name.removeprefix(bare(prefix)).removeprefix(".")
    return ".".join(filter(None, (bare(prefixes[prefix]), rest))), True


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
    return {around: None for name in names for around in _around(name) if around}


def _top(names: Iterable[str]) -> str:
    return f"; there is {_listed(list(dict.fromkeys(name.partition('.')[0] for name in names)))}"


def _suggested(weights: Mapping[str, Any], ours: Mapping[str, Any], unmet: Sequence[str], path: str) -> Iterator[str]:
    """What to type so that most of the weights would have the names that the model still misses, if one change does."""
    by_end: dict[str, list[str]] = {}
    for name in unmet:
        for end in _ends(name):
            by_end.setdefault(end, []).append(name)
    votes: dict[tuple[str, str], int] = {}
    for theirs, value in weights.items():
        for end in _ends(theirs):
            for name in by_end.get(end, ())[:_MOST_ALIKE]:
                if _fits(ours[name], value):
                    pair = (theirs.removesuffix(end).rstrip("."), name.removesuffix(end).rstrip("."))
                    votes[pair] = votes.get(pair, 0) + 1
    if not votes:
        return
    (prefix, instead), count = max(votes.items(), key=lambda vote: (vote[1], -len("".join(vote[0]))))
    if 2 * count <= min(len(unmet), len(weights)):
        return
    what = f"{count} of {len(weights)} names in {path} fit"
    if not prefix:
        yield f"{what} the part '{instead}': {_typed('overridden_name2ckpt_path', instead, path)}"
    elif instead:
        yield f"{what} with '{instead}' for '{prefix}': {_typed('renamed_prefixes', prefix, instead)}"
    else:
        yield f"{what} without '{prefix}': {_typed('renamed_prefixes', prefix, instead)}"


_MOST_ALIKE: Final = 50
_LONGEST_PREFIX: Final = 4


def _ends(name: str) -> list[str]:
    """A name without its first words, none to four of them."""
    words = name.split(".")
    return [".".join(words[start:]) for start in range(min(len(words), _LONGEST_PREFIX + 1))]


def _typed(field: str, key: str, value: str) -> str:
    """An override as one types it; a key of several words goes into braces."""
    if "." in key:
        return f"""'{FIELD}.{field}={{{key}: "{value}"}}'"""
    return f"""'{FIELD}.{field}.{key}="{value}"'"""


def _within_any(name: str, parts: Sequence[str]) -> bool:
    return any(is_within(name, part) for part in parts)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
