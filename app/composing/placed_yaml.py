"""YAML read as plain data, each value with its line and column, and nothing that could surprise read unnoticed.

YAML 1.1 turns `on` into a boolean, `010` into 8 and `1:30` into 90; keeps the last of two equal keys; and lets a few
lines of anchors stand for gigabytes. All of that is refused here, as are tags, so that what a file says is what is
seen in it.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import yaml

from app.schemas.codes import Code
from app.schemas.problems import Path, first_line, show

DEEPEST_LEVEL: Final = 20

REFUSED: Final = object()
"""The value of a scalar that is not read, since it could be taken for something else; the fault is noted."""

_SURPRISES: Final = [
    (re.compile(r"(?:yes|no|on|off)", re.I), "YAML 1.1 reads it as a boolean: write true, false, or quotes around it"),
    (re.compile(r"[-+]?0[0-9_]+"), "YAML 1.1 reads a leading 0 as octal: write the number without it, or quotes"),
    (re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"), "YAML 1.1 reads it in base 60: put it in quotes"),
    (re.compile(r"[-+]?0[xXbBoO][0-9a-fA-F_]+"), "write a number in base 10, or put it in quotes"),
    (re.compile(r"[-+]?\.?[0-9][0-9.eE+-]*_[0-9_.eE+-]*"), "write the number without underscores, or put it in quotes"),
    (re.compile(r"="), "YAML 1.1 gives it a meaning of its own: put it in quotes"),
]
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_FLOAT = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"([-+]?)\.(inf|nan)", re.I)


_ORDINARY = re.compile(r"(?:[ -~\u00a0-\u2027\u202a-\ud7ff]*\n)*")
_READ_DIFFERENTLY = re.compile(r"[!&*?%@`|>]|^---|^\.\.\.|:\s*[,}\]]", re.MULTILINE)
"""What libyaml, which reads any other ordinary text in a tenth of the time, takes in another way than PyYAML does."""
_COMMENT_LINE = re.compile(r"^ *#.*$", re.MULTILINE)
"""A whole line, which neither reads, whatever stands in it: every experiment begins with `# @package _global_`."""


class Place(NamedTuple):
    """Where something stands in a text, counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f":{self.line}:{self.column}"


@dataclass(frozen=True)
class Node:
    """A value with its place: a scalar, a list of nodes, or nodes by key, each with the place of its key."""

    value: Any
    place: Place

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, (_, node) in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


@dataclass(frozen=True)
class TextFault:
    """Something in a text that is not read."""

    path: Path
    message: str
    place: Place | None
    code: Code


def read_yaml(text: str) -> tuple[Node | None, list[TextFault]]:
    """The text's one document and all that is wrong with it.

    The node is None when the text is no YAML at all, or holds something after which reading on would be a risk.
    """
    if hasattr(yaml, "CSafeLoader") and _is_read_the_same(text):
        with suppress(yaml.YAMLError):  # PyYAML will say what is wrong, as it does where there is no libyaml
            return _Reader(text, yaml.CSafeLoader).read()
    reader = _Reader(text, yaml.SafeLoader)
    try:
        return reader.read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reader.fault((), _syntax(error), Place(mark.line + 1, mark.column + 1) if mark else None, Code.SYNTAX)
    except (yaml.YAMLError, ValueError) as error:
        reader.fault((), f"is not YAML: {first_line(error)}", None, Code.SYNTAX)
    return None, reader.faults


def _is_read_the_same(text: str) -> bool:
    """Whether libyaml reads the text as PyYAML does, as far as the text tells."""
    return _ORDINARY.fullmatch(text) is not None and not _READ_DIFFERENTLY.search(_COMMENT_LINE.sub("", text))


class _RefusedError(Exception):
    """The text is not read on; the fault is noted."""


class _Reader:
    def __init__(self, text: str, loader: type[yaml.SafeLoader | yaml.CSafeLoader]) -> None:
        self.faults: list[TextFault] = []
        self._depth = 0
        self._events: Iterator[Any] = yaml.parse(text, Loader=loader)

    def read(self) -> tuple[Node | None, list[TextFault]]:
        try:
            return self._document(), self.faults
        except _RefusedError:
            return None, self.faults

    def fault(self, path: Path, message: str, place: Place | None, code: Code) -> None:
        self.faults.append(TextFault(path, message, place, code))

    def _document(self) -> Node:
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.NodeEvent):
                if root is not None:
                    self._refuse((), "holds more than one document", event)
                root = self._node(event, ())
        return root or Node(None, Place(1, 1))

    def _node(self, event: Any, path: Path) -> Node:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._refuse(path, "anchors and aliases are not read; interpolate instead: ${path.to.a.value}", event)
        if event.tag not in (None, "!"):
            self._refuse(path, f"tags are not read, found {event.tag}", event)
        if isinstance(event, yaml.ScalarEvent):
            return Node(self._scalar(event, path), _place(event))
        self._depth += 1  # mappings can be keys too, so the path does not tell how deep the text goes
        if self._depth > DEEPEST_LEVEL:
            self._refuse(path[:3], f"is more than {DEEPEST_LEVEL} levels deep", event)
        value = self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path)
        self._depth -= 1
        return Node(value, _place(event))

    def _sequence(self, path: Path) -> list[Node]:
        items: list[Node] = []
        for item in self._until(yaml.SequenceEndEvent):
            items.append(self._node(item, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> dict[str | int, tuple[Place, Node]]:
        pairs: dict[str | int, tuple[Place, Node]] = {}
        for event in self._until(yaml.MappingEndEvent):
            key_node = self._node(event, path)
            key, place = key_node.value, key_node.place
            at = path if key is REFUSED else (*path, key if type(key) in (str, int) else show(key_node.plain()))
            value = self._node(next(self._events), at)
            if key is REFUSED:
                continue
            if type(key) not in (str, int):
                self.fault(at, f"expected a text as key, found {show(key_node.plain())}", place, Code.AMBIGUOUS)
            elif key == "<<":
                self.fault(at, "merge keys are not read; build on another file in defaults", place, Code.AMBIGUOUS)
            elif key in pairs:
                self.fault(at, f"is written twice, first in line {pairs[key][0].line}; keep one", place, Code.AMBIGUOUS)
            else:
                pairs[key] = (place, value)
        return pairs

    def _until(self, end: type) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _scalar(self, event: Any, path: Path) -> object:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in ("", "~", "null", "Null", "NULL"):
            return None
        if text.casefold() in ("true", "false"):
            return text.casefold() == "true"
        for pattern, advice in _SURPRISES:
            if pattern.fullmatch(text):
                self.fault(path, f"found {text}: {advice}", _place(event), Code.AMBIGUOUS)
                return REFUSED
        if _INT.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text):
            return float(text)
        if special := _SPECIAL_FLOAT.fullmatch(text):
            return float(special[1] + special[2])
        return text

    def _refuse(self, path: Path, message: str, event: Any) -> None:
        self.fault(path, message, _place(event), Code.AMBIGUOUS)
        raise _RefusedError


def _place(event: Any) -> Place:
    return Place(event.start_mark.line + 1, event.start_mark.column + 1)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "it cannot be read"
    if "'\\t'" in problem or "\\t" in problem:
        return "found a tab; indent with spaces"
    return f"is not YAML: {problem}" + (f" {error.context}" if error.context else "")
