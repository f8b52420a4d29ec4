"""`@rule` states what must hold between a schema's fields, `@remark` what is odd about them; here both are judged."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import Any, TypeVar

from app.schemas.codes import Code
from app.schemas.faults import Fault
from app.schemas.problems import Path

Finding = tuple[str | Path, str]
"""What a rule yields: the path below the schema it judges (dotted, or as parts where a key holds dots); the message."""
Rule = TypeVar("Rule", bound=Callable[[Any], Iterator[Finding]])


def rule(*reads: str, code: Code = Code.CONFLICT, settles: bool = False) -> Callable[[Rule], Rule]:
    """Mark a method that yields a `Finding` for everything wrong between the fields it reads.

    `reads` are dotted paths below the schema. A rule is passed over while one of them is itself wrong: judging a
    value that the user has to change anyway would only add noise. So would the rules after one that `settles` matters:
    what it finds wrong counts as wrong for them.
    """

    def mark(method: Rule) -> Rule:
        vars(method).update(reads=tuple(tuple(path.split(".")) for path in reads), code=code, settles=settles)
        return method

    return mark


def remark(code: Code) -> Callable[[Rule], Rule]:
    """Mark a method that yields a `Finding` for what may run, and is probably not what was meant.

    The gate does not look at it: `remarks` does, on a config that has passed.
    """

    def mark(method: Rule) -> Rule:
        vars(method)["remarks"] = code
        return method

    return mark


def remarks(config: object, path: Path = ()) -> Iterator[Fault]:
    """What the remarks of a schema object, and of all that are in it, find; it stands at `path`."""
    items: Iterable[tuple[str | int, object]] = ()
    if isinstance(config, dict):
        items = config.items()
    elif isinstance(config, tuple):
        items = enumerate(config)
    elif dataclasses.is_dataclass(config) and not isinstance(config, type):
        for method in _marked(type(config), "remarks"):
            for found, message in method(config):
                below = tuple(found.split(".")) if isinstance(found, str) else found
                yield Fault((*path, *below), message, code=method.remarks)
        items = vars(config).items()
    for key, value in items:
        yield from remarks(value, (*path, key))


def broken_rules(instance: Any, bad: Collection[Path] = (), *, about: str | None = None) -> Iterator[Fault]:
    """What the schema's rules find wrong; only the rules that read the field `about`, when it is given."""
    cls: type = type(instance)
    wrong = [*bad]
    for method in _marked(cls, "reads"):
        reads: tuple[Path, ...] = method.reads
        if any(_overlap(path, read) for path in wrong for read in reads):
            continue
        if about is None or any(read[0] == about for read in reads):
            for path, message in method(instance):
                where = tuple(path.split(".")) if isinstance(path, str) else path
                if method.settles:
                    wrong.append(where)
                yield Fault(where, message, reads, code=method.code)


@cache
def _marked(cls: type, mark: str) -> tuple[Any, ...]:
    """The methods that `rule` or `remark` marked."""
    members = {name: member for base in reversed(cls.__mro__) for name, member in vars(base).items()}
    return tuple(member for member in members.values() if hasattr(member, mark))


def _overlap(one: Path, other: Path) -> bool:
    return all(left == right for left, right in zip(one, other, strict=False))
