"""The words behind a command, told apart: flags, overrides, and the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.schemas.codes import Code
from app.schemas.problems import Problem, did_you_mean, one_of


@dataclass(frozen=True, kw_only=True)
class Flag:
    """A flag that a command knows."""

    short: str | None = None
    """Its short form."""

    takes_value: bool = False
    """Whether a word follows it."""

    choices: Sequence[str] = ()
    """The words that may follow it; any when none are listed."""


class Words(NamedTuple):
    """What was typed behind a command."""

    flags: Mapping[str, str | None]
    """Each flag by its long form, with its value."""

    overrides: list[str]

    names: list[str]
    """What is neither a flag nor an override."""

    problems: list[Problem]
    """Flags that the command does not know, or that have no right value."""


def split(words: Sequence[str], known: Mapping[str, Flag]) -> Words:
    """Tell the words apart."""
    found: dict[str, str | None] = {}
    overrides: list[str] = []
    names: list[str] = []
    problems: list[Problem] = []
    long = {flag.short: name for name, flag in known.items() if flag.short}
    following = iter(words)
    for word in following:
        if not word.startswith("-"):
            (overrides if "=" in word or word.startswith("~") else names).append(word)
            continue
        typed, equals, value = word.partition("=")
        name = long.get(typed, typed)
        if name not in known:
            there_is = did_you_mean(name, known) or f"; there is {', '.join(known)}"
            problems.append(_wrong(f"no flag {typed}{there_is}", word))
            continue
        flag = known[name]
        found[name] = None
        if not flag.takes_value:
            if equals:
                problems.append(_wrong(f"{name} takes no value", word))
            continue
        found[name] = value = value if equals else next(following, "")
        if not value or value.startswith("-") or (flag.choices and value not in flag.choices):
            wanted = f"{one_of(flag.choices)}{did_you_mean(value, flag.choices)}" if flag.choices else "a word"
            problems.append(_wrong(f"{name} takes {wanted}", word if equals else f"{word} {value}".strip()))
    return Words(found, overrides, names, problems)


def _wrong(message: str, source: str) -> Problem:
    return Problem(path="", message=message, source=source, code=Code.OVERRIDE)
