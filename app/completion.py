"""Completion of the command line: what the shell offers fits where it stands; rules between fields judge it later.

Hydra's own answer knows neither commands nor experiments nor options in folders, and offers keys that may not be set.
Nothing here imports torch.
"""

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from app.choices import check_choice
from app.compose import compose, prepare
from app.experiments import GROUP as EXPERIMENT
from app.experiments import experiment_names
from app.overrides import read_overrides
from app.schemas.annotations import admits, alternatives, field_types, is_secret, literals
from app.schemas.problems import ConfigError
from app.schemas.registry import groups, leaf_fields, options
from app.schemas.run import RunConfig
from app.schemas.schema import is_schema

_QUERIES: Final = ("query=bash", "query=zsh", "query=fish")
_PYTHON = re.compile(r"python[\d.]*")
_FIELD = re.compile(r"\w+")
_PLAIN = re.compile(r"[\w.,/+%=\[\]-]+")
"""Values that every shell takes as they are. Bash expands what it is offered, so that `$` or a quote would do harm."""


def answer(
    words: Sequence[str],
    *,
    commands: Mapping[str, Sequence[str]],
    flags: Mapping[str, str | None],
    values: Mapping[str, Sequence[str]],
) -> str | None:
    """What to print for `--shell-completion`, one candidate a line; None for what is not a query, as `install=bash`.

    The shell hands over the line in `COMP_LINE`; bash and zsh all of it, with the cursor's place in `COMP_POINT`.
    """
    if len(words) != 1 or words[0] not in _QUERIES:
        return None
    line = os.environ.get("COMP_LINE", "")
    point = os.environ.get("COMP_POINT", "")
    if words[0] != "query=fish" and point.isdecimal():
        line = os.fsencode(line)[: int(point)].decode(errors="ignore")  # bash counts bytes
    return "\n".join(complete(line, commands=commands, flags=flags, values=values))


def complete(
    line: str,
    *,
    commands: Mapping[str, Sequence[str]],
    flags: Mapping[str, str | None],
    values: Mapping[str, Sequence[str]],
) -> list[str]:
    """What the last word of a line may become.

    Args:
        line: What was typed up to the cursor, the program included: `app train opt`, `python -m app opt`.
        commands: What may stand first, each with the words of which one has to follow it.
        flags: Every flag with its short form.
        values: The words that flags take; a flag without any takes none that are known.
    """
    typed = _words(line)
    if not typed:
        return []
    *earlier, word = typed
    long = {short: flag for flag, short in flags.items() if short}
    before = long.get(earlier[-1], earlier[-1]) if earlier else ""
    if before in values:
        found: Iterable[str] = values[before]
    elif len(earlier) == 1 and commands.get(before):
        found = commands[before]
    elif word.startswith("-"):
        flag, equals, _ = word.partition("=")
        known = values.get(long.get(flag, flag), ())
        found = [f"{flag}={value}" for value in known] if equals else flags
    else:
        prepare()
        bare = word.lstrip("+")
        sweep = any(long.get(other, other) == "--multirun" for other in earlier)
        plus = word[: len(word) - len(bare)]
        found = [f"{plus}{override}" for override in _overrides(bare, earlier, sweep=sweep)]
        if not earlier:
            found = [*commands, *found]
    return [candidate for candidate in dict.fromkeys(found) if candidate.startswith(word)]


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
        names = experiment_names() if key == EXPERIMENT else list(options[key])
        several = key in groups and groups[key].several
        if key in groups and not several and check_choice(key, None) is None:
            names.append("null")
        yield from (f"{key}={value}" for value in _choices(text, names, several=several, sweep=sweep))
    else:
        yield from (f"{key}={value}" for value in _values(key, text, earlier, sweep=sweep))


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
    if not dot:
        yield from (f"{name}=" for name in (*groups, *([EXPERIMENT] if experiment_names() else [])))
    for name, (_, value) in _children(_find(around, earlier)[1]).items():
        holds_fields = bool(_children(value))
        if holds_fields or (name not in groups or dot):
            yield f"{around}{dot}{name}{'.' if holds_fields else '='}"


def _values(path: str, text: str, earlier: Sequence[str], *, sweep: bool) -> Iterator[str]:
    """What the field at a path may be set to: its choices when it has some, and what it is now."""
    annotation, value = _find(path, earlier)
    if annotation is None or is_secret(annotation):
        return
    members: list[object] = literals(annotation)
    if admits(annotation, bool):
        members += [True, False]
    if members or not _children(value):
        members.append(value)
    if type(None) in alternatives(annotation):
        members.append(None)
    names = [_text(member) for member in members if _is_read_back(path, member)]
    yield from _choices(text, names, several=False, sweep=sweep)


def _find(path: str, earlier: Sequence[str]) -> tuple[Any, object]:
    """The type of a field, and its value in the config that the earlier words make; None where there is no field."""
    annotation: Any = RunConfig
    value: object = _config(earlier)
    for part in path.split(".") if path else []:
        annotation, value = _children(value).get(part, (None, None))
    return annotation, value


def _children(value: object) -> dict[str, tuple[Any, object]]:
    """What a key can go on to, by name, with its type: fields, entries of a mapping, positions that hold schemas."""
    cls: type = type(value)
    if is_schema(cls):
        return {name: (field_types(cls)[name], item) for name, item in leaf_fields(value).items()}
    if isinstance(value, dict):
        return {str(key): (type(item), item) for key, item in value.items() if _FIELD.fullmatch(str(key))}
    if isinstance(value, tuple):
        return {str(place): (type(item), item) for place, item in enumerate(value) if is_schema(type(item))}
    return {}


def _config(earlier: Sequence[str]) -> RunConfig | None:
    """The config of the words so far; while they make none, that of the options they choose, or the default one."""
    right = read_overrides(earlier)[0]
    choices = [override for override in right if override.kind in ("choice", "experiment")]
    for overrides in (right, choices, []):
        try:
            return compose([override.text for override in overrides]).config
        except ConfigError:
            continue
    return None


def _text(value: object) -> str:
    """A value as it is typed."""
    if isinstance(value, tuple | list):
        return f"[{','.join(_text(item) for item in value)}]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _is_read_back(path: str, value: object) -> bool:
    """Whether a value can be typed without quotes: others are for the user to write."""
    if isinstance(value, dict) or is_schema(type(value)) or not _PLAIN.fullmatch(text := _text(value)):
        return False
    read, _ = read_overrides([f"{path}={text}"])
    return bool(read) and _text(read[0].value) == text and isinstance(read[0].value, str) == isinstance(value, str)
