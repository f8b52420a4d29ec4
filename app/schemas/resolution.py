"""Interpolations, resolved without trusting them: `${task.monitor}` may point nowhere, in a circle, or explode.

OmegaConf's grammar reads them. What they stand for is looked up here, each value once, so that a circle is seen, a
hundred doublings cost nothing, and no resolver is called but the two that a config has use for.
"""

import os
import re
from collections.abc import Callable
from typing import Any, Final, cast

from app.schemas.codes import Code
from app.schemas.faults import Fault
from app.schemas.problems import Path, did_you_mean, dotted, first_line, parts_of, show

UNRESOLVED: Final = object()
"""Stands in a resolved tree where an interpolation could not be resolved; the fault is already noted."""

LARGEST_TREE: Final = 200_000
"""Characters that interpolations may bring into a config; a real one has a few thousand in all."""

LONGEST_TEXT: Final = 1_000
"""Characters of a text that interpolates."""

DEEPEST_LEVEL: Final = 10
"""Interpolations written inside interpolations."""

LONGEST_CHAIN: Final = 10
"""Interpolations that lead to interpolations."""

REFERENCE: Final = re.compile(r"\$\{(\.*[A-Za-z_]\w*(?:\.\w+)*)\}", re.ASCII)
"""What needs no grammar to be read, and is nearly all that configs hold: a path, and nothing around it."""

_TEXT: Final = ("configValue", "DEFAULT_MODE")
_ELEMENT: Final = ("singleElement", "VALUE_MODE")
_THERE_IS: Final = "there is ${path.to.a.value}, ${oc.env:NAME} and ${oc.decode:${oc.env:NAME}}"


def resolve(tree: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """The tree with every interpolation replaced, and a fault for each that cannot be."""
    resolver = _Resolver(tree)
    return cast(dict[str, Any], resolver.at((), tree)), resolver.faults


def references(tree: dict[str, Any], path: Path, text: str) -> list[Path]:
    """What the interpolations in a text, standing at `path` in a tree that resolves, lead to."""
    resolver = _Resolver(tree)
    found: list[Path] = []

    def follow(reference: str) -> object:
        found.append(_target(path, reference))
        return resolver.follow(path, reference)

    _evaluate(text, follow)
    return found


class _StopError(Exception):
    """An interpolation has no value; its message says why, and is empty when that is noted elsewhere already."""

    def __init__(self, message: str = "", code: Code = Code.INTERPOLATION) -> None:
        super().__init__(message)
        self.code = code


class _Resolver:
    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self._done: dict[Path, object] = {}
        self._open: list[Path] = []
        self._left = LARGEST_TREE
        self._chain = 0

    def at(self, path: Path, raw: object) -> object:
        """What stands at a path once resolved."""
        if path in self._done:
            return self._done[path]
        self._open.append(path)
        value: object = raw
        if isinstance(raw, dict):
            value = {key: self.at((*path, key), item) for key, item in raw.items()}
        elif isinstance(raw, list):
            value = [self.at((*path, place), item) for place, item in enumerate(raw)]
        elif isinstance(raw, str) and "${" in raw:
            value = self._text(path, raw)
        self._open.pop()
        self._done[path] = value
        return value

    def _text(self, path: Path, text: str) -> object:
        self._chain += 1
        code = Code.INTERPOLATION
        try:
            if self._chain > LONGEST_CHAIN:
                message = f"more than {LONGEST_CHAIN} interpolations lead on from one to the next"
            else:
                return _evaluate(text, lambda reference: self.follow(path, reference))
        except _StopError as stop:
            message, code = str(stop), stop.code
        except SyntaxError:
            message = f"{show(text)} is no interpolation; {_THERE_IS}"
        except (ValueError, RecursionError) as error:
            message = f"{show(text)} cannot be resolved: {first_line(error)}"
        finally:
            self._chain -= 1
        if message:
            self.faults.append(Fault(path, message, code=code))
        return UNRESOLVED

    def follow(self, path: Path, reference: str) -> object:
        """What the interpolation `${reference}`, standing at `path`, stands for."""
        target = _target(path, reference)
        node: Any = self.root
        resolved = False  # whether `node` came out of an interpolation, and so has none left
        for place, part in enumerate(target):
            if not resolved and isinstance(node, str) and "${" in node:
                node, resolved = self._enter(path, target[:place], node), True
            step = _step(node, part)
            if step is None:
                raise _StopError(_missing(reference, target, place, node))
            node = node[step]
            target = (*target[:place], step, *target[place + 1 :])
        value = node if resolved else self._enter(path, target, node)
        self._left -= _size(value, self._left)
        if self._left < 0:
            raise _StopError("" if self._exploded() else "its interpolations grow beyond any real config")
        return value

    def _enter(self, path: Path, target: Path, raw: object) -> object:
        if target in self._open:
            if path[: len(target)] == target:
                what = "itself" if target == path else f"{dotted(target) or 'the config'}, which it is part of"
                raise _StopError(f"interpolates {what}")
            circle = [step for step in self._open[self._open.index(target) :] if not _contains_next(step, self._open)]
            raise _StopError(f"interpolates in a circle: {' → '.join(map(dotted, [*circle, target]))}")
        value = self.at(target, raw)
        if value is UNRESOLVED:
            raise _StopError
        return value

    def _exploded(self) -> bool:
        return any("grow beyond" in fault.message for fault in self.faults)


def _evaluate(text: str, follow: Callable[[str], object], rule: tuple[str, str] = _TEXT) -> object:
    """The value of a text, its interpolations looked up by `follow`."""
    if len(text) > LONGEST_TEXT or bracket_depth(text) > DEEPEST_LEVEL:
        raise _StopError(f"{show(text)} is too long or too deep for a text that interpolates")
    if plain := REFERENCE.fullmatch(text):
        return follow(plain[1])
    from app.schemas.interpolation_grammar import evaluate  # imports OmegaConf, which takes a while and most do without

    return evaluate(text, rule, follow, _call)


def _call(name: str, args: tuple[object, ...], args_str: tuple[str, ...]) -> object:
    """The resolvers that a config may use; the others are not called."""
    if name == "oc.env" and len(args) in (1, 2):
        value = os.environ.get(str(args[0]), args[1] if len(args) == 2 else UNRESOLVED)
        if value is UNRESOLVED:
            raise _StopError(f"the environment has no variable {args_str[0]}", Code.ENVIRONMENT)
        return value
    if name == "oc.decode" and len(args) == 1:
        text = args[0]
        if not isinstance(text, str):
            return text
        if "${" in text:  # what the environment holds is data
            raise _StopError(f"{show(text)} interpolates, and cannot be decoded")
        return _evaluate(text, str, _ELEMENT)
    raise _StopError(f"no resolver {name} with {len(args)} arguments; {_THERE_IS}")


def _target(path: Path, reference: str) -> Path:
    """The path that an interpolation standing at `path` names: absolute, or relative with leading dots."""
    name = reference.lstrip(".")
    dots = len(reference) - len(name)
    if dots > len(path):
        raise _StopError(f"'${{{reference}}}' leads out of the config: {dots} dots, {len(path)} levels deep")
    start = path[: len(path) - dots] if dots else ()
    return start + parts_of(name)


def _step(node: object, part: str | int) -> str | int | None:
    """The key or list position in `node` that a part of a reference means; None when there is none."""
    if isinstance(node, dict):
        return next((key for key in (part, _number(part)) if key in node), None)
    position = _number(part)
    return position if isinstance(node, list) and position is not None and position < len(node) else None


def _number(part: str | int) -> int | None:
    return int(part) if re.fullmatch("[0-9]{1,9}", str(part)) else None


def _missing(reference: str, target: Path, place: int, node: object) -> str:
    """What the first missing step of a path was probably meant to be."""
    meant = ""
    if isinstance(node, dict) and (meant := did_you_mean(str(target[place]), map(str, node))):
        meant = meant.replace("did you mean '", f"did you mean '{dotted(target[:place])}{'.' if place else ''}")
    return f"'${{{reference}}}' interpolates something that does not exist{meant}"


def _contains_next(path: Path, opened: list[Path]) -> bool:
    """Whether a path is open only because the walk came through it to one below it."""
    following = opened[opened.index(path) + 1 :][:1]
    return bool(following) and following[0][: len(path)] == path


def _size(value: object, limit: int) -> int:
    """Characters that a value takes, counted until they exceed `limit`."""
    if isinstance(value, dict | list):
        total = 1
        for item in value.values() if isinstance(value, dict) else value:
            total += _size(item, limit - total)
            if total > limit:
                break
        return total
    return len(value) + 1 if isinstance(value, str) else 8


def bracket_depth(text: str) -> int:
    """How deep a text nests brackets of any kind; parsers go down one call or more for each."""
    depth = deepest = 0
    for bracket in re.findall(r"[\[{(\]})]", text):
        depth += 1 if bracket in "[{(" else -1
        deepest = max(deepest, depth)
    return deepest
