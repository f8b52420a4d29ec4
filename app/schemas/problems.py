"""What can be wrong with a config, as data: `Problem`, and `ConfigError`, which carries all of them."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher, get_close_matches
from functools import partial
from itertools import takewhile
from pathlib import Path as FilePath

from app.schemas.codes import Code

Path = tuple[str | int, ...]
"""Where a value stands in a config: field names, mapping keys and list positions, outermost first."""

_PART = re.compile(r"\[([^\]]*)\]|([^.\[\]]+)")


class FileSource(str):
    """Where something stands in a file, as text: `file:line:column`, or the file alone where it is about all of it."""

    __slots__ = ("column", "file", "line")

    file: str
    line: int
    """Counted from 1, as the column is; both are 0 where there is none."""

    column: int

    def __new__(cls, file: str, line: int = 0, column: int = 0) -> "FileSource":
        """The text, made of its parts."""
        made = super().__new__(cls, f"{file}:{line}:{column}" if line else file)
        made.file, made.line, made.column = file, line, column
        return made

    def __getnewargs__(self) -> tuple[str, int, int]:  # type: ignore[override]  # what pickle gives to `__new__`
        return self.file, self.line, self.column


class AppError(Exception):
    """Base of every error that a user can cause: its text is the whole message, no traceback needed."""


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a config."""

    path: str
    """Dotted path of the value, `optimizer_spec.betas[1]`; empty for the config as a whole."""

    message: str
    """What was found and what would be right."""

    source: str | None = None
    """Where it was set: a `FileSource`, or the override as it was typed; None for a schema's default."""

    code: Code = Code.CONFLICT
    """What kind of problem it is."""

    def __str__(self) -> str:
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.message}" + (f"   {self.source}" if self.source else "")

    def under(self, prefix: str) -> "Problem":
        """The same problem, seen from an owner who knows the config as `prefix`."""
        return replace(self, path=join(prefix, self.path))


class ConfigError(AppError, ValueError):
    """A config that may not run.

    `problems` holds everything that is wrong with it, in the order of the config's fields.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type["ConfigError"], tuple[tuple[Problem, ...]]]:
        # Launchers that run a sweep's jobs in other processes send exceptions back pickled.
        return type(self), (self.problems,)


def dotted(path: Path) -> str:
    """The path as users write it; list positions and keys that hold dots stand in brackets.

    >>> dotted(("optimizer_spec", "params", ".head", "betas", 1))
    'optimizer_spec.params[.head].betas[1]'
    """
    text = ""
    for part in path:
        if isinstance(part, int) or not part.isidentifier():
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def shown_path(file: FilePath) -> str:
    """A file as a user in the current folder would name it."""
    whole, here = file.absolute(), FilePath.cwd()
    return str(whole.relative_to(here) if whole.is_relative_to(here) else whole)


def parts_of(path: str) -> tuple[str, ...]:
    """The parts of a path that `dotted` wrote, list positions as texts."""
    return tuple(bracketed or plain for bracketed, plain in _PART.findall(path))


def join(prefix: str, path: str) -> str:
    """`prefix` and `path` as one dotted path; either may be empty."""
    if not prefix or not path:
        return prefix or path
    return prefix + path if path.startswith("[") else f"{prefix}.{path}"


def nearest(word: str, choices: Iterable[str]) -> str | None:
    """The choice most like `word`, or None when nothing is close enough to be what was meant."""
    folded = {choice.casefold().replace("-", "_"): choice for choice in choices}
    meant = word.casefold().replace("-", "_")
    begun = [choice for choice in folded if len(meant) > 2 and choice.startswith(meant)]
    initials = "".join(part[:1] for part in meant.split("_"))  # learning_rate for lr
    alike = get_close_matches(meant, folded, n=len(folded) + 1, cutoff=0.6)
    found = min(begun, key=len, default=None) or max(alike, key=partial(_likeness, meant, [*folded]), default=None)
    if found is None and "_" in meant and initials in folded:
        found = initials
    return folded[found] if found is not None else None


def _likeness(meant: str, choices: list[str], choice: str) -> tuple[float, int, int]:
    """How close a choice is; of equally close ones the one that begins alike, and then the first, counts as closer."""
    ratio = SequenceMatcher(None, choice, meant).ratio()
    begins_alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(choice, meant, strict=False)))
    return ratio, begins_alike, -choices.index(choice)


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """`; did you mean 'lr'?`, or nothing when no choice is close."""
    match = nearest(word, choices)
    return f"; did you mean '{match}'?" if match is not None else ""


def one_of(choices: Sequence[str]) -> str:
    """The choices for a message, in their order: `'a', 'b' or 'c'`."""
    quoted = [f"'{choice}'" for choice in choices]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def show(value: object, *, limit: int = 60) -> str:
    """A value as a message quotes it: YAML's spelling of the simple ones, shortened to `limit` characters."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    text = repr(list(value) if isinstance(value, tuple) else value)
    if isinstance(value, list | tuple):
        text = f"the list {text}"
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def missing_extra(product: str, extra: str) -> str:
    """The message for what needs a package that is an extra of this distribution."""
    return f"{product} is not installed; type: pip install 'typed-lightning-app[{extra}]'"


def first_line(error: BaseException) -> str:
    """What another library says is wrong, without its advice: Hydra's second line tells people to add keys with `+`."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
