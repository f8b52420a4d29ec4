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

    values: Sequence[str] | None = None
    """The words of which one follows it, any word when there are none; None when nothing follows."""


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
            problems.append(Problem(path="", message=f"no flag {typed}{there_is}", source=word, code=Code.OVERRIDE))
            continue
        choices = known[name].values
        found[name] = None
        if choices is not None:
            found[name] = value if equals else next(following, "")
            if (choices and found[name] not in choices) or not found[name]:
                meant = did_you_mean(found[name] or "", choices)
                message = f"{name} takes {one_of(choices) if choices else 'a word'}{meant}"
                source = f"{word} {found[name]}".strip()
                problems.append(Problem(path="", message=message, source=source, code=Code.OVERRIDE))
    return Words(found, overrides, names, problems)
