"""Completion of the command line: what the shell offers fits where it stands; rules between fields judge it later.

Hydra's own answer knows neither commands nor experiments nor options in folders, and offers keys that may not be set.
Nothing here imports torch.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from app.commands import COMMANDS, Named
from app.composing.assembly import assembled
from app.composing.experiments import GROUP as EXPERIMENT
from app.composing.experiments import experiment_names
from app.composing.overrides import read_overrides
from app.inspection.spelling import as_typed
from app.schemas.annotations import admits, alternatives, element_type, field_types, is_secret, literals
from app.schemas.presets import with_presets
from app.schemas.problems import ConfigError
from app.schemas.registry import Group, group_of, groups, option_at, options, starting_values
from app.schemas.resolution import resolve
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema
from app.tasks import import_task_configs, task_folders

_QUERIES: Final = ("query=bash", "query=zsh", "query=fish")
_PYTHON = re.compile(r"python[\d.]*")
_FIELD = re.compile(r"\w+")
_PLAIN = re.compile(r"[\w.,/+%=\[\]-]+")
"""Values that every shell takes as they are. Bash expands what it is offered, so that `$` or a quote would do harm."""


def answer(words: Sequence[str]) -> str | None:
    """What to print for `--shell-completion`, one candidate a line; None for what is not a query, as `install=bash`.

    The shell hands over the line in `COMP_LINE`; bash and zsh all of it, with the cursor's place in `COMP_POINT`.
    """
    if len(words) != 1 or words[0] not in _QUERIES:
        return None
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    if words[0] != "query=fish" and point.isdecimal():
        line = os.fsencode(line)[: int(point)].decode(errors="ignore")  # bash counts bytes
    found = complete(line)
    if words[0] == "query=bash":  # which takes what stands behind a colon for a word of its own
        behind = (_words(line) or [""])[-1].rpartition(":")[0]
        found = [candidate[len(behind) + 1 :] if behind else candidate for candidate in found]
    return "\n".join(found)


def complete(line: str) -> list[str]:
    """What the last word of a line may become.

    Args:
        line: What was typed up to the cursor, the program included: `app train opt`, `python -m app opt`.
    """
    typed = _words(line)
    if not typed:
        return []
    *earlier, word = typed
    command = COMMANDS[earlier[0] if earlier and earlier[0] in COMMANDS else "train"]
    long = {flag.short: name for name, flag in command.flags.items() if flag.short}
    before = command.flags.get(long.get(earlier[-1], earlier[-1])) if earlier else None
    if before is not None and before.takes_value:
        found: Iterable[str] = before.choices
    elif len(earlier) == 1 and command.subcommands:
        found = command.subcommands
    elif word.startswith("-"):
        name, equals, _ = word.partition("=")
        flag = command.flags.get(long.get(name, name))
        found = [f"{name}={value}" for value in (flag.choices if flag else ())] if equals else command.flags
    elif earlier[:1] == ["new"]:
        import_task_configs()
        found = _of_something_new(word, earlier[1:])
    else:
        import_task_configs()
        bare = word.lstrip("+")
        sweep = any(long.get(other, other) == "--multirun" for other in earlier)
        plus = word[: len(word) - len(bare)]
        named = [] if command.named is None else [*_named(command.named, word, earlier)]
        alone = command.named in ("options", "tasks")
        overrides = () if alone else _overrides(bare, earlier, sweep=sweep)
        found = [*named, *(f"{plus}{override}" for override in overrides)]
        if not earlier:
            found = [*COMMANDS, *found]
    return [candidate for candidate in dict.fromkeys(found) if candidate.startswith(word)]


def _named(kind: Named, word: str, earlier: Sequence[str]) -> Iterator[str]:
    """What a command takes that is no override."""
    key, equals, _ = word.partition("=")
    revision, colon, _ = word.partition(":")
    names = experiment_names()
    match kind:
        case "values" | "options" if not equals:
            yield from groups if kind == "options" else ()
            yield from (key.removesuffix("=") for key in _keys(word, earlier) if key != f"{EXPERIMENT}=")
        case "options":
            yield from (f"{key}={name}" for name in options.get(key, ()))
        case "tasks":
            yield from task_folders()
        case "experiments":
            yield from (*names, *sorted({name.partition("/")[0] for name in names}))
        case "configs":
            yield from [f"{revision}:{name}" for name in names] if colon else [*names, "default"]


def _of_something_new(word: str, earlier: Sequence[str]) -> Iterator[str]:
    """The task that it is to be part of, and then what an experiment may override."""
    if len(earlier) == 1 and earlier[0] in ("module", "experiment"):
        yield from (f"{task}/" for task in task_folders())
    elif earlier[:1] == ["experiment"] and len(earlier) > 1:
        yield from _overrides(word, [f"task={earlier[1].partition('/')[0]}", *earlier[2:]], sweep=False)


def _words(line: str) -> list[str]:
    """The words after the program's name, the last one being typed; none while that name itself is typed."""
    for closing in ("", "'", '"'):
        try:
            words = shlex.split(line + closing)
        except ValueError:
            continue
        if not closing and line[-1:].isspace():
            words.append("")
        break
    else:
        words = [*line.split(), *([""] if line[-1:].isspace() else [])]
    program = 1
    if words and _PYTHON.fullmatch(words[0].rpartition("/")[2]):
        script = next((place for place, word in enumerate(words) if place and not word.startswith("-")), 1)
        program = script + 1
    return words[program:]


def _overrides(word: str, earlier: Sequence[str], *, sweep: bool) -> Iterator[str]:
    key, equals, text = word.partition("=")
    if not equals:
        yield from _keys(key, earlier)
    elif key == EXPERIMENT or key in groups:
        names = experiment_names() if key == EXPERIMENT else [*_fitting(groups[key], earlier)]
        several = key in groups and groups[key].several
        yield from (f"{key}={value}" for value in _choices(text, names, several=several, sweep=sweep))
    else:
        yield from (f"{key}={value}" for value in _values(key, text, earlier, sweep=sweep))


def _fitting(group: Group, earlier: Sequence[str]) -> Iterator[str]:
    """The options that serve the task of the words so far, if the group has a place in their config."""
    tree = _tree(earlier)
    if (annotation := _place_of(group, tree)) is None:
        return
    task = tree.get("task", {}).get("name")
    yield from (name for name, option in options[group.name].items() if option.serves(task))
    if not group.several and type(None) in alternatives(annotation):
        yield "null"


def _place_of(group: Group, tree: Mapping[str, Any]) -> Any:
    """The type of the field that the group's choice stands in; None without one, as not every task is about a table."""
    *around, part = group.path
    return _children(*_find(".".join(around), tree)).get(part, (None, None))[0]


def _choices(text: str, names: Sequence[str], *, several: bool, sweep: bool) -> Iterator[str]:
    """What the text of a value may become, when it is one of the names, a list of them, or a sweep over either."""
    if several and (opened := text.rfind("[")) > text.rfind("]"):
        before, comma, item = text[opened + 1 :].rpartition(",")
        head = f"{text[: opened + 1]}{before}{comma}"
        chosen = before.split(",")
        yield from (f"{head}{name}" for name in names if name not in chosen and name != item)
        if item in names and item not in chosen:
            yield from (f"{text}]", f"{text},")
        elif text.endswith("["):
            yield f"{text}]"
        return
    before, comma, _ = text.rpartition(",") if sweep else ("", "", text)
    yield from (f"{before}{comma}{name}" for name in names if name not in before.split(","))
    if several:
        yield f"{before}{comma}["


def _keys(key: str, earlier: Sequence[str]) -> Iterator[str]:
    """Groups to choose from, and the fields that stand where the key points; what holds fields ends in a dot."""
    around, dot, _ = key.rpartition(".")
    tree = _tree(earlier)
    if not dot:
        yield from (f"{name}=" for name, group in groups.items() if _place_of(group, tree) is not None)
        yield from [f"{EXPERIMENT}="] if experiment_names() else []
    for name, (annotation, value) in _children(*_find(around, tree)).items():
        holds_fields = bool(_children(annotation, value))
        if holds_fields or (name not in groups or dot):
            yield f"{around}{dot}{name}{'.' if holds_fields else '='}"


def _values(path: str, text: str, earlier: Sequence[str], *, sweep: bool) -> Iterator[str]:
    """What the field at a path may be set to: its choices when it has some, and what it is now."""
    annotation, value = _find(path, _tree(earlier))
    if annotation is None or is_secret(annotation):
        return
    members: list[object] = literals(annotation)
    if admits(annotation, bool):
        members += [True, False]
    if members or not _children(annotation, value):
        members.append(value)
    if type(None) in alternatives(annotation):
        members.append(None)
    names = [as_typed(member) for member in members if _is_read_back(path, member)]
    yield from _choices(text, names, several=False, sweep=sweep)


def _find(path: str, tree: Mapping[str, Any]) -> tuple[Any, object]:
    """The type of a field of a config, and its value in the tree of that; None where there is no field."""
    annotation: Any = RunConfig
    value: object = tree
    for part in path.split(".") if path else []:
        annotation, value = _children(annotation, value).get(part, (None, None))
    return annotation, value


def _children(annotation: Any, value: object) -> dict[str, tuple[Any, object]]:
    """What a key can go on to, by name, with its type: fields, entries of a mapping, positions that hold schemas."""
    if isinstance(value, dict):
        if schema := _schema_of(annotation, value):
            values = {**starting_values(schema), **value}
            return {name: (kind, values[name]) for name, kind in field_types(schema).items()}
        items = {str(key): (element_type(annotation, key), item) for key, item in value.items()}
        return {key: item for key, item in items.items() if _FIELD.fullmatch(key)}
    if isinstance(value, list):
        places = {str(place): (element_type(annotation, place), item) for place, item in enumerate(value)}
        return {place: (kind, item) for place, (kind, item) in places.items() if _schema_of(kind, item)}
    return {}


def _schema_of(annotation: Any, value: object) -> type | None:
    """The schema of a part: of the option it is, or of its field; None for other mappings."""
    schema = next((member for member in alternatives(annotation) if is_schema(member)), None)
    if schema is None or not isinstance(value, dict):
        return None
    group = group_of(schema)
    option = option_at(value.get("_target_"))
    if option is None and group is not None:
        option = options[group.name].get(str(value.get("id")))
    return schema if option is None else option.schema


def _tree(earlier: Sequence[str]) -> dict[str, Any]:
    """The config of the words so far; while they make none, that of the options they choose, or the default one."""
    # Commands and flags are left out: to say what is wrong with a word takes Hydra, which is slow to import.
    right = read_overrides([word for word in earlier if "=" in word and not word.startswith("-")])[0]
    chosen = [override for override in right if override.kind in ("choice", "experiment")]
    for overrides in (right, chosen, []):
        try:
            if all(override.kind == "choice" for override in overrides):
                tree = assembled({override.key: override.value for override in overrides})
            else:
                from app.compose import compose  # judges values, which takes longer than all that choices need

                tree = dict(compose([override.text for override in overrides]).tree)
        except ConfigError:
            continue
        return resolve(with_presets(tree, RunConfig))[0]
    return {}


def _is_read_back(path: str, value: object) -> bool:
    """Whether a value can be typed without quotes: others are for the user to write."""
    if isinstance(value, dict) or not _PLAIN.fullmatch(text := as_typed(value)):
        return False
    read, _ = read_overrides([f"{path}={text}"])
    return bool(read) and as_typed(read[0].value) == text and isinstance(read[0].value, str) == isinstance(value, str)
