"""What a file calls the parameters of a model, which depends on who saved it.

Names are paths in the model, compared by whole words. Each file is read in whichever way makes most of its names the
model's:

- as they are, or without what wrappers put before them (`model.` of a Lightning module, `module.` of data-parallel
  training, `_orig_mod.` of `torch.compile`);
- for a file given for a part, as names in the whole model, in the part, or in any part around it. A file of one bare
  tensor is the parameter that it is given for.

Losses and metrics in a Lightning checkpoint are no part of the model and not looked at.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from app.checkpoints.opening import CheckpointError
from app.checkpoints.weights import fits
from app.schemas.checkpoint import FIELD
from app.schemas.model_paths import bare, is_within

_WRAPPERS: Final = ("", "model.", "module.", "_orig_mod.", "model._orig_mod.", "module.model.", "model.module.")
_BESIDE: Final = ("model.", "model._orig_mod.", "model.module.")
"""Those beside which a Lightning module keeps its losses and metrics."""

_MOST_ALIKE: Final = 50
_LONGEST_PREFIX: Final = 4
_HOW_TO_SAY: Final = f"say which with {FIELD}.renamed_prefixes, such as {{model: model}} for what is so in the model"


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
        for outer in around(part):
            named = {whole: ".".join(filter(None, (outer, name))) for whole, (name, _) in renamed.items()}
            called = {name: whole for whole, name in named.items() if not part or is_within(name, part)}
            known = [name for name in called if name in ours]
            fitting = sum(fits(ours[name], weights[called[name]]) for name in known)
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


def suggested(weights: Mapping[str, Any], ours: Mapping[str, Any], unmet: Sequence[str], path: str) -> Iterator[str]:
    """What to type so that most of the weights would have the names that the model still misses, if one change does."""
    by_end: dict[str, list[str]] = {}
    for name in unmet:
        for end in _ends(name):
            by_end.setdefault(end, []).append(name)
    votes: dict[tuple[str, str], int] = {}
    for theirs, value in weights.items():
        for end in _ends(theirs):
            for name in by_end.get(end, ())[:_MOST_ALIKE]:
                if fits(ours[name], value):
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


def around(part: str) -> list[str]:
    """A part, the parts around it, and the whole: `a.b`, `a`, ``."""
    words = part.split(".") if part else []
    return [".".join(words[:length]) for length in range(len(words), -1, -1)]


def _renamed(name: str, prefixes: Mapping[str, str]) -> tuple[str, bool]:
    """The name with another beginning, and whether that was asked for; the longest beginning counts."""
    prefix = max((prefix for prefix in prefixes if is_within(name, prefix)), key=len, default=None)
    if prefix is None:
        return name, False
    rest = name.removeprefix(bare(prefix)).removeprefix(".")
    return ".".join(filter(None, (bare(prefixes[prefix]), rest))), True


def _ends(name: str) -> list[str]:
    """A name without its first words, none to four of them."""
    words = name.split(".")
    return [".".join(words[start:]) for start in range(min(len(words), _LONGEST_PREFIX + 1))]


def _typed(field: str, key: str, value: str) -> str:
    """An override as one types it; a key of several words goes into braces."""
    if "." in key:
        return f"""'{FIELD}.{field}={{{key}: "{value}"}}'"""
    return f"""'{FIELD}.{field}.{key}="{value}"'"""
