"""Lines of an experiment that could be left out: what they set or choose would be so anyway."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import cache
from typing import Any, Final, NamedTuple, cast

from app.compose import Composed
from app.composing.experiments import Experiment
from app.schemas.codes import Code
from app.schemas.problems import Path, Problem, dotted, show
from app.schemas.registry import groups, has_own_id, option_at, options
from app.schemas.resolution import REFERENCE
from app.schemas.run import DEFAULT_OPTIONS, RunConfig
from app.schemas.schema import import_path, is_schema, known_defaults
from app.schemas.validation import inspect

_ABSENT: Final = object()


class _Same(NamedTuple):
    """A value that is what it would be without its line."""

    path: Path
    value: object
    before: object


def unchanged(
    experiment: Experiment, bases: Sequence[Experiment], before: Mapping[str, Any], composed: Composed
) -> Iterator[Problem]:
    """What an experiment chooses and sets although it would be so without.

    Args:
        experiment: The experiment, whose config passed the gate.
        bases: The experiments that it builds on.
        before: The tree that the choices of all of them make, with the values that `bases` set.
        composed: What became of it all.
    """
    config = composed.config
    chosen: dict[str, object] = {}
    for base in bases:
        chosen |= base.choices
    elsewhere = experiment.file.parent.parent.name != experiment.task  # where nothing else says whose it is
    for group, value in experiment.choices.items():
        if group == "task" and elsewhere:
            continue
        if _names(value) == _names(_chosen_anyway(group, chosen, experiment, config)):
            what = f"'{value}'" if isinstance(value, str) else show(value)
            message = f"chooses {what}, which is chosen without this line too"
            place = experiment.choice_places[group]
            yield Problem(path=groups[group].mount, message=message, source=place, code=Code.SAME_AS_BEFORE)
    for path, value, was in _same_values(experiment.values, before, config, (), composed):
        origin = next((f", as {base.name} sets it" for base in reversed(bases) if path in base.places), "")
        if isinstance(was, str) and was != value:
            origin = f", from {was}"
        message = f"is {show(value)} without this line too{origin}"
        yield Problem(path=dotted(path), message=message, source=experiment.places[path], code=Code.SAME_AS_BEFORE)


def _names(chosen: object) -> list[object]:
    return list(chosen) if isinstance(chosen, list | tuple) else [] if chosen is None else [chosen]


def _chosen_anyway(group: str, chosen: Mapping[str, object], experiment: Experiment, config: RunConfig) -> object:
    """What is chosen for a group when the experiment does not choose for it."""
    if group in chosen:
        return chosen[group]
    if group == "task":
        return experiment.task
    if group == "loss":
        terms = config.module.default_terms(config.task.kind)
        # Terms that differ from their options are others when these are chosen.
        return [tag if option == tag and not fields else fields for tag, (option, fields) in terms.items()]
    if group in DEFAULT_OPTIONS:
        default = DEFAULT_OPTIONS[group]
        return default.replace("${task}", experiment.task) if isinstance(default, str) else default or None
    owner, *within = groups[group].path
    part = str(experiment.choices.get(owner) or _chosen_anyway(owner, chosen, experiment, config))
    preset: Any = options[owner][part].tree
    for name in within:
        preset = preset.get(name) or {}
    if not groups[group].several:
        return preset.get("id")
    # Options that the part sets otherwise than they are by themselves are others when they are chosen.
    as_chosen = {name: options[group][name].tree if name in options[group] else None for name in preset}
    return list(preset) if as_chosen == preset else [preset]


def _same_values(value: object, before: object, after: object, path: Path, composed: Composed) -> Iterator[_Same]:
    """The leaves of a mapping that an experiment sets which are the same `before` and after it.

    `after` is what became of it: a schema object, whose defaults hold for fields that were not there before.
    """
    if not isinstance(value, dict) or not value:
        if _equal(value, before) or _equal(value, _followed(path, before, composed)):
            yield _Same(path, value, before)
        return
    cls: type = type(after)
    chosen_by_id = is_schema(cls) and not has_own_id(cls)
    if is_schema(cls) and (not isinstance(before, dict) or (chosen_by_id and "id" in value)):
        before = _as_chosen(cls, value.get("id"))
    for key, item in value.items():
        if key != "id" or not chosen_by_id:
            yield from _same_values(item, _item(before, key), _item(after, key), (*path, key), composed)


@cache
def _as_chosen(cls: type, name: object) -> Mapping[str, object]:
    """The fields of an option as it is when chosen by this name, or of another part, as far as they have defaults."""
    option = option_at(import_path(cls))
    chosen = None if option is None else options[option.group.name].get(str(name))
    return {**known_defaults(cls), **(chosen.preset if chosen else {})}


def _item(parts: object, key: object) -> object:
    """An entry of a mapping, or a field of a schema object; `_ABSENT` when there is none."""
    if is_schema(type(parts)):
        parts = vars(parts)
    return parts.get(key, _ABSENT) if isinstance(parts, Mapping) else _ABSENT


def _followed(path: Path, before: object, composed: Composed) -> object:
    """The value that a plain interpolation stands for where it takes the place of the value at `path`.

    What it leads to may itself follow from that value: two interpolations would then go in a circle.
    """
    reference = REFERENCE.fullmatch(before) if isinstance(before, str) else None
    if reference is None:
        return _ABSENT
    tree = deepcopy(dict(composed.tree))
    node: object = tree
    for part in path[:-1]:
        node = _item(node, part)
    if not isinstance(node, dict):
        return _ABSENT  # a word put something else there
    node[path[-1]] = before
    value: object
    value, problems = inspect(tree, RunConfig, interpolated=True)
    for part in path if not problems else ():
        value = _item(value, part)
    return _ABSENT if problems else value


def _equal(value: object, before: object) -> bool:
    """Whether YAML's value is the one before, whose lists may be tuples; to Python, true equals 1."""
    if isinstance(value, list):
        same_length = isinstance(before, list | tuple) and len(before) == len(value)
        return same_length and all(map(_equal, value, cast(Sequence[object], before)))
    if isinstance(value, dict):
        if not value and isinstance(before, Mapping) and "_target_" in before:
            return True  # an option keeps its fields
        same_keys = isinstance(before, Mapping) and before.keys() == value.keys()
        return same_keys and all(_equal(item, _item(before, key)) for key, item in value.items())
    return isinstance(value, bool) == isinstance(before, bool) and value == before
