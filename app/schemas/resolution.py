"""Interpolations, resolved without trusting them: `${task.monitor}` may point nowhere, in a circle, or explode."""

import re
from typing import Any, Final, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import InterpolationKeyError, OmegaConfBaseException, UnsupportedInterpolationType

from app.schemas.problems import Path, did_you_mean, dotted, show
from app.schemas.schema import Fault

UNRESOLVED: Final = object()
"""Stands in a resolved tree where an interpolation could not be resolved; the fault is already noted."""

LARGEST_TREE: Final = 1_000_000
"""Characters that a config may grow to; a real one has a few thousand."""

_REFERENCE = re.compile(r"\$\{\s*([^${}:\s]+)\s*\}")
_COMPUTED = re.compile(r"\$\{[^:{}]*\$\{")


def resolve(cfg: DictConfig) -> tuple[dict[str, Any], list[Fault]]:
    """The tree as plain containers with every interpolation replaced, and a fault for each that cannot be."""
    raw = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=False))
    weights = _Weights(raw)
    weights.of((), raw)
    if weights.faults:
        for fault in weights.faults:
            _place(raw, fault.path, UNRESOLVED)
        return cast(dict[str, Any], _without_interpolations(raw)), weights.faults
    try:
        return cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True)), []
    except (OmegaConfBaseException, ValueError, RecursionError):
        faults: list[Fault] = []
        return cast(dict[str, Any], _resolved(cfg, raw, (), faults)), faults


class _Weights:
    """How large each node becomes once resolved, found before anything is: 40 doublings fit on 40 short lines."""

    def __init__(self, root: dict[str, Any]) -> None:
        self.root = root
        self.faults: list[Fault] = []
        self._known: dict[Path, int] = {}
        self._open: list[Path] = []

    def of(self, path: Path, node: object) -> int:
        if path in self._known:
            return self._known[path]
        if path in self._open:
            circle = [*self._open[self._open.index(path) :], path]
            self._note(self._open[-1], f"interpolates in a circle: {' → '.join(map(dotted, circle))}")
            return 0
        self._open.append(path)
        weight = self._weigh(path, node)
        self._open.pop()
        if weight > LARGEST_TREE:
            self._note(path, "its interpolations grow beyond any real config")
            weight = 0
        self._known[path] = weight
        return weight

    def _weigh(self, path: Path, node: object) -> int:
        if isinstance(node, dict):
            return sum(self.of((*path, key), item) for key, item in node.items()) + 1
        if isinstance(node, list):
            return sum(self.of((*path, place), item) for place, item in enumerate(node)) + 1
        if not isinstance(node, str) or "${" not in node:
            return len(str(node)) + 1
        if _COMPUTED.search(node):
            self._note(path, f"expected an interpolation with a written-out path, found {show(node)}")
            return 0
        weight = len(node)
        for reference in _REFERENCE.findall(node):
            target = _target(path, reference)
            if target is not None and path[: len(target)] == target and self._holds(target):
                what = "itself" if target == path else f"{dotted(target)}, which it is part of"
                self._note(path, f"interpolates {what}")
            elif target is not None and self._holds(target):
                weight += self.of(target, _at(self.root, target))
        return weight

    def _holds(self, path: Path) -> bool:
        return _at(self.root, path) is not None

    def _note(self, path: Path, message: str) -> None:
        if all(fault.path != path for fault in self.faults):
            self.faults.append(Fault(path, message))


def _resolved(cfg: Any, raw: object, path: Path, faults: list[Fault]) -> object:
    if isinstance(raw, dict):
        return {key: _resolved(cfg, item, (*path, key), faults) for key, item in raw.items()}
    if isinstance(raw, list):
        return [_resolved(cfg, item, (*path, place), faults) for place, item in enumerate(raw)]
    if not isinstance(raw, str) or "${" not in raw:
        return raw
    try:
        node = cfg
        for part in path:
            node = node[part]
        return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
    except (OmegaConfBaseException, ValueError, RecursionError) as error:
        faults.append(Fault(path, _why(cfg, path, raw, error)))
        return UNRESOLVED


def _why(cfg: DictConfig, path: Path, raw: str, error: Exception) -> str:
    if isinstance(error, InterpolationKeyError):
        for reference in _REFERENCE.findall(raw):
            target = _target(path, reference)
            spelling = _spelling(cfg, target) if target else None
            if spelling is not None:
                return f"{show(raw)} interpolates '{reference}', which does not exist{spelling}"
        return f"{show(raw)} interpolates something that does not exist"
    if isinstance(error, UnsupportedInterpolationType):
        return f"{show(raw)} uses a resolver that does not exist; there is ${{path.to.a.value}} and ${{oc.env:NAME}}"
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"{show(raw)} cannot be resolved: {reason}"


def _spelling(cfg: DictConfig, target: Path) -> str | None:
    """What the first missing step of a path was probably meant to be; None when nothing is missing."""
    node: Any = OmegaConf.to_container(cfg, resolve=False)
    for place, part in enumerate(target):
        if _has(node, part):
            node = node[part]
        elif isinstance(node, dict):
            meant = did_you_mean(str(part), map(str, node))
            return meant.replace("did you mean '", f"did you mean '{dotted(target[:place])}{'.' if place else ''}")
        else:
            return None if isinstance(node, str) and "${" in node else ""
    return None


def _target(path: Path, reference: str) -> Path | None:
    """The path that an interpolation standing at `path` names: absolute, or relative with leading dots."""
    name = reference.lstrip(".")
    dots = len(reference) - len(name)
    if dots > len(path):
        return None
    start = path[: len(path) - dots] if dots else ()
    parts = re.findall(r"[^.\[\]]+", name)
    return start + tuple(int(part) if part.isdigit() else part for part in parts)


def _at(node: Any, path: Path) -> Any:
    for part in path:
        if not _has(node, part):
            return None
        node = node[part]
    return node


def _has(node: object, part: str | int) -> bool:
    if isinstance(node, list):
        return isinstance(part, int) and part < len(node)
    return isinstance(node, dict) and part in node


def _place(root: Any, path: Path, value: object) -> None:
    if path:
        _at(root, path[:-1])[path[-1]] = value


def _without_interpolations(node: Any) -> Any:
    """The tree with nothing left to resolve: judged as far as it goes when one part may not be resolved at all."""
    if isinstance(node, dict):
        return {key: _without_interpolations(item) for key, item in node.items()}
    if isinstance(node, list):
        return [_without_interpolations(item) for item in node]
    return UNRESOLVED if isinstance(node, str) and "${" in node else node
