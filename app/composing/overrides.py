"""Overrides as users type them, `optimizer_spec.lr=3e-4`, read and judged one by one before anything is composed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal

from app.choices import HYDRA_GROUPS, check_choice, hydra_options
from app.composing.experiments import GROUP as EXPERIMENT
from app.composing.experiments import experiment_names, is_experiment
from app.composing.override_grammar import GrammarError, Parsed, parse
from app.schemas.annotations import field_types, is_secret
from app.schemas.codes import Code
from app.schemas.plain import MASK
from app.schemas.problems import Path, Problem, did_you_mean, nearest, show
from app.schemas.registry import Group, groups, options
from app.schemas.resolution import bracket_depth
from app.schemas.validation import RESERVED

LONGEST: Final = 10_000
"""Characters of one override."""

DEEPEST_LEVEL: Final = 20

_KEY = re.compile(r"[+~]{0,2}[A-Za-z_][\w-]*([./][\w-]+)*(@[\w.]*)?")
_POSITION = re.compile(r"\[(\d+)\]")

SETTABLE_OF_HYDRA: Final = (
    "hydra.run.dir",
    "hydra.sweep.dir",
    "hydra.sweep.subdir",
    "hydra.job.name",
    "hydra.output_subdir",
    "hydra.verbose",
    "hydra.launcher.",
    "hydra.sweeper.",
)
"""What may be set of Hydra itself. The rest can run code, or write anywhere, before a config is looked at."""

Kind = Literal["choice", "experiment", "value", "hydra"]


@dataclass(frozen=True, kw_only=True)
class Override:
    """One override that is well-formed and names something that may be set."""

    text: str
    """As Hydra reads it: without a leading `+`, for whether a key exists is for the schemas to say; none as `[]`."""

    typed: str
    """As it was typed, for messages: shortened when it is long."""

    kind: Kind
    key: str
    """What it names: a group, or a path joined by dots."""

    path: Path
    """Where it takes effect: a choice at the place of the part that it chooses."""

    value: Any


def read_overrides(texts: Sequence[str], *, sweep: bool = False) -> tuple[list[Override], list[Problem]]:
    """The overrides that can be composed, and a problem for each that cannot.

    `sweep` says that a value may be several: `optimizer_spec.lr=1e-3,1e-4` of a multirun.
    """
    read: list[Override] = []
    problems: list[Problem] = []
    for text in texts:
        result = _read(text, sweep=sweep)
        if isinstance(result, Override):
            read.append(result)
        else:
            problems.append(result)
    return read, problems


def quoted(text: str) -> str:
    """A text as the value of an override, whatever is in it."""
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", text)
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return "'" + escaped.replace("${", r"\${") + "'"


def _read(text: str, *, sweep: bool) -> Override | Problem:
    shown = _shown(text)
    if len(text) > LONGEST or max(bracket_depth(text), text.partition("=")[0].count(".")) > DEEPEST_LEVEL:
        limits = f"{LONGEST:,} characters and {DEEPEST_LEVEL} levels"
        return Problem(
            path="",
            message=f"is longer or deeper than any value here; at most {limits}",
            source=shown,
            code=Code.OVERRIDE,
        )
    parsed = _parse(text, shown)
    if isinstance(parsed, str):
        return Problem(path="", message=parsed, source=shown, code=Code.OVERRIDE)
    key = parsed.key
    message = _judge(parsed, sweep=sweep)
    if message is not None:
        chooses = key in (EXPERIMENT, *groups)
        return Problem(
            path=key.replace("/", ".") if key not in HYDRA_GROUPS else key,
            message=message,
            source=shown,
            code=Code.UNKNOWN_OPTION if chooses else Code.OVERRIDE,
        )
    clean = text.lstrip("+")
    if parsed.sweeps:
        return Override(text=clean, typed=shown, kind="value", key=key, path=tuple(key.split(".")), value=None)
    value = parsed.value
    kind: Kind = "value"
    if key in (EXPERIMENT, *groups) and value is None:
        clean = f"{key}=[]"  # Hydra refuses null for a group
    if key == EXPERIMENT:
        kind = "experiment"
        value = value or None
    elif key in HYDRA_GROUPS or key.startswith("hydra."):
        kind = "hydra"
    elif key in groups and not isinstance(value, dict):
        kind = "choice"
        if groups[key].several and not isinstance(value, list):
            value = [] if value is None else [value]
            clean = f"{key}=[{','.join(value)}]"
        elif value == []:
            value = None
    path = groups[key].path if kind == "choice" else tuple(key.split("."))
    return Override(text=clean, typed=shown, kind=kind, key=key, path=path, value=value)


def _shown(text: str) -> str:
    """The override as messages and records show it: shortened, and without what is or was meant to be a secret."""
    key, _, value = text.partition("=")
    bare = key.lstrip("+~")
    part = bare.partition(".")[0]
    for path in [path for name in (groups if part not in groups else [part]) for path in _secret_paths(name)]:
        inside = path.startswith(f"{bare}.") and path.rpartition(".")[2] in value
        if inside or get_close_matches(bare, [path], cutoff=0.85):
            return f"{key}={MASK}"
    return text if len(text) <= 200 else f"{text[:199]}…"


@cache
def _fields_of_a_run() -> tuple[str, ...]:
    from app.schemas.run import RunConfig  # which is made of the groups

    return tuple(field_types(RunConfig))


@cache
def _secret_paths(group: str) -> tuple[str, ...]:
    if groups[group].families:
        return ()  # so many options are losses, metrics and the like, which keep no secrets
    mount = groups[group].mount
    return tuple(
        f"{mount}.{option.name}.{field}" if groups[group].several else f"{mount}.{field}"
        for option in options[group].values()
        for field, annotation in field_types(option.schema).items()
        if is_secret(annotation)
    )


def _parse(text: str, shown: str) -> Parsed | str:
    """The text as it is read, or what is wrong with it; `shown` differs from it where it is secret."""
    try:
        return parse(text)
    except GrammarError as error:
        key, equals, value = text.partition("=")
        if not equals:
            return "expected key=value"
        if _POSITION.search(key):
            with_dots = _POSITION.sub(r".\1", key)
            return f"list positions are written with a dot: {with_dots}=<value>"
        if not _KEY.fullmatch(key):
            return f"{show(key)} is no key: names joined by dots, as in optimizer_spec.lr=0.1"
        reason = str(error).partition(" expecting ")[0]  # what the grammar's rules are called helps nobody
        example = value if shown == text and re.fullmatch(r"[\w~./-]{1,80}", value) else "…"
        return f"the value cannot be read ({reason}); put it in quotes: \"{key}='{example}'\""


def _judge(override: Parsed, *, sweep: bool) -> str | None:
    """What is wrong with an override that can be read, as far as it can be said without the schemas."""
    key = override.key
    if not _KEY.fullmatch(key):
        return "expected key=value, found no key" if not key else f"{show(key)} is no key: names joined by dots"
    if override.package is not None:
        return "packages are fixed: leave out the part from '@' on"
    if override.removes:
        return (
            "nothing can be removed: give a value, null where absence means something, or a list of options without it"
        )
    if reserved := next((part for part in (*key.split("."), *override.keys) if part in RESERVED), None):
        group = "/".join(key.split(".")[:2]) if key.startswith("hydra.") else key.split(".")[0]
        return f"'{reserved}' is not for users to set; choose an option instead: {group}=<option>"
    if override.sweeps:
        if key in (EXPERIMENT, *groups) and None in override.alternatives:
            return "in a sweep, none is written as an empty list: []"
        return None if sweep else _sweep_advice(override)
    value = override.value
    for inner in override.keys:
        if type(inner) not in (str, int):
            return f"expected texts as keys, found {show(inner)}; put it in quotes"
    if key == EXPERIMENT:
        return None if value is None or value == [] else _check_experiment(value)
    if key.startswith("hydra"):
        return _check_hydra(key, value)
    if key in groups:
        if isinstance(value, dict) and not _chooses_last(groups[key], value):
            example = "<option>.<field>" if groups[key].several else "<field>"
            return f"expected the name of an option, found a mapping; set values one by one: {key}.{example}=<value>"
        return None if isinstance(value, dict) else check_choice(key, value)
    group, dot, rest = key.partition(".")
    if not dot and key not in (fields := _fields_of_a_run()) and (near := nearest(key, (*fields, *groups))) in groups:
        return f"RunConfig has no such field; did you mean '{near}'?"
    if dot and group in groups and groups[group].mount != group:
        return f"{group} is set where it stands: {groups[group].mount}.{rest}=<value>"
    if "/" in key:
        group, _, folder = key.partition("/")
        if group in groups and not isinstance(value, dict | list):
            return f"options of {group} are chosen as {group}={folder}/{value}"
        return f"no group '{key}'{did_you_mean(key, groups)}"
    return None


def _chooses_last(group: Group, value: dict[Any, Any]) -> bool:
    """Whether a mapping takes the place of all that a part holds: `{id: sgd, lr: 0.1}`, or `{}` for a group of several.

    A choice takes effect before what an experiment sets; this takes effect after it.
    """
    if group.mount != group.name or group.presets_only:
        return False
    return value == {} if group.several else "id" in value


def _sweep_advice(override: Parsed) -> str:
    return (
        "is a list of alternatives, a sweep for `app --multirun`; write one value"
        f" (a list stands in brackets: '{override.key}=[…]')"
    )


def _check_experiment(value: object) -> str | None:
    if is_experiment(value):
        return None
    names = experiment_names()
    listed = f"experiments: {', '.join(names)}" if names else "there is none yet"
    if not isinstance(value, str):
        return f"expected the name of one experiment, found {show(value)}; {listed}"
    spelling = did_you_mean(value, names)
    if not spelling:
        spelling = next((f"; did you mean '{name}'?" for name in names if name.endswith(f"/{value}")), "")
    return f"no experiment '{value}'{spelling}{' ' if spelling else '; '}{listed}"


def _check_hydra(key: str, value: object) -> str | None:
    if key in HYDRA_GROUPS:
        choices = hydra_options(key)
        if isinstance(value, str) and value in choices:
            return None
        return f"no option {show(value)}{did_you_mean(str(value), choices)}; options: {', '.join(choices)}"
    settable = any(key == name or (name.endswith(".") and key.startswith(name)) for name in SETTABLE_OF_HYDRA)
    if not settable:
        may = ", ".join(f"{name}*" if name.endswith(".") else name for name in (*SETTABLE_OF_HYDRA, *HYDRA_GROUPS))
        return f"cannot be set; of Hydra itself there is {may}"
    if key in ("hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir", "hydra.job.name") and not isinstance(
        value, str
    ):
        return f"expected a text, found {show(value)}"
    if key != "hydra.job.name" and value == "":
        return "expected a folder, found an empty text"
    if key == "hydra.job.name" and "/" in str(value):
        return f"expected a name without slashes, found {show(value)}"
    if key == "hydra.output_subdir" and value is not None:
        return f"expected null (this application writes its own record of a run), found {show(value)}"
    if key == "hydra.verbose" and not isinstance(value, bool | str | list):
        return f"expected true, false, or the loggers to hear more of, found {show(value)}"
    return None
