"""What the classes of an installed package take, read from its source: importing it, and torch, would take seconds."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from importlib.util import find_spec
from operator import or_
from pathlib import Path
from typing import Any, Final, Literal, cast

_CLASS: Final = re.compile(r"^class (\w+)(?:\(([^)]*)\))?:", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^__all__ = [\[(]([^\])]*)[\])]", re.MULTILINE)
_TOP_LEVEL: Final = re.compile(r"^(?=[^\s#)\]}])", re.MULTILINE)
_SIMPLE: Final[Mapping[str, Any]] = {"int": int, "float": float, "bool": bool, "str": str, "None": None}
_SEQUENCES: Final = frozenset(("List", "list", "Sequence", "Iterable"))


@dataclass(frozen=True, kw_only=True)
class Argument:
    """An argument of a class."""

    annotation: Any
    """Its type as far as a config can tell, `Any` where the source names one that is not simple."""

    required: bool
    """Whether it needs a value."""


@dataclass(frozen=True, kw_only=True)
class _Class:
    file: Path
    start: int
    """Where in the file's text the class begins."""

    bases: tuple[str, ...]
    exported: bool
    """Whether its file offers it to others."""


def is_installed(package: str) -> bool:
    """Whether the package can be imported."""
    return find_spec(package) is not None


@cache
def classes(package: str, folders: tuple[str, ...], roots: frozenset[str]) -> tuple[str, ...]:
    """The public classes in the folders of a package that derive from one of the roots, in order of their names."""
    public = (name for name, known in _known(package, folders).items() if known.exported and name not in roots)
    return tuple(sorted(name for name in public if not roots_of(package, folders, name).isdisjoint(roots)))


def roots_of(package: str, folders: tuple[str, ...], name: str) -> set[str]:
    """All that a class derives from, by name, as far as the folders tell."""
    known = _known(package, folders)
    found: set[str] = set()
    waiting = [name]
    while waiting:
        if (seen := known.get(waiting.pop())) is not None:
            waiting += [base for base in seen.bases if base not in found]
            found.update(seen.bases)
    return found


@cache
def arguments(package: str, folders: tuple[str, ...], name: str) -> Mapping[str, Argument] | None:
    """The arguments of a class by name; None where it takes any, or where they are not found."""
    known = _known(package, folders)
    waiting = [name]
    while waiting:
        if (seen := known.get(waiting.pop(0))) is None:
            continue
        for node in _body(seen):
            if isinstance(node, ast.FunctionDef) and node.name == "__init__":
                return None if node.args.kwarg else _arguments(node.args)
        waiting += seen.bases
    return None


@cache
def _known(package: str, folders: tuple[str, ...]) -> Mapping[str, _Class]:
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return {}
    root = Path(spec.submodule_search_locations[0])
    files = [file for folder in folders for file in _sources(root / folder)]
    return {name: found for file in files for name, found in _classes_in(file)}


def _classes_in(file: Path) -> Iterator[tuple[str, _Class]]:
    text = file.read_text(encoding="utf-8")
    listed = _EXPORTED.search(text)
    for match in _CLASS.finditer(text):
        bases = tuple(re.findall(r"(\w+)\s*(?:,|$)", (match[2] or "").strip()))
        exported = not match[1].startswith("_") if listed is None else f'"{match[1]}"' in listed[1]
        yield match[1], _Class(file=file, start=match.start(), bases=bases, exported=exported)


def _sources(place: Path) -> Iterator[Path]:
    """A file, or those in a folder, but not those below."""
    yield from sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _body(known: _Class) -> list[ast.stmt]:
    """What stands in a class; parsing all of its file would take many times as long."""
    text = known.file.read_text(encoding="utf-8")
    end = _TOP_LEVEL.search(text, known.start + 1)
    try:
        parsed = ast.parse(text[known.start : end.start() if end else len(text)])
    except SyntaxError:
        # A text over several lines may begin one of them as nothing else can within a class.
        parsed = ast.parse(text[known.start :])
    found = parsed.body[0]
    assert isinstance(found, ast.ClassDef), "the text begins with the word class"
    return found.body


def _arguments(found: ast.arguments) -> dict[str, Argument]:
    by_place = [*found.posonlyargs, *found.args]
    without = len(by_place) - len(found.defaults)
    needed = {argument.arg: place < without for place, argument in enumerate(by_place)} | {
        argument.arg: default is None for argument, default in zip(found.kwonlyargs, found.kw_defaults, strict=True)
    }
    return {
        argument.arg: Argument(annotation=_type(argument.annotation), required=needed[argument.arg])
        for argument in (*by_place, *found.kwonlyargs)
        if argument.arg != "self"
    }


def _type(node: ast.expr | None) -> Any:
    """The type that an annotation names, `Any` where that is not sure."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id="Tensor") | ast.Attribute(attr="Tensor"):
            return tuple[float, ...]
        case ast.Name(id=name) if name in _SIMPLE:
            return _SIMPLE[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _union([left, right])
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return _union([inner, ast.Constant(value=None)])
        case ast.Subscript(value=ast.Name(id="Union"), slice=ast.Tuple(elts=members)):
            return _union(members)
        case ast.Subscript(value=ast.Name(id="Tuple" | "tuple"), slice=ast.Tuple(elts=items)):
            return _tuple(*map(_item, items))
        case ast.Subscript(value=ast.Name(id=name), slice=each) if name in _SEQUENCES:
            return _tuple(_type(each), Ellipsis)
        case ast.Subscript(value=ast.Name(id="Literal"), slice=choices):
            values = choices.elts if isinstance(choices, ast.Tuple) else [choices]
            if all(isinstance(value, ast.Constant) for value in values):
                return cast(Any, Literal)[tuple(value.value for value in values if isinstance(value, ast.Constant))]
    return Any


def _tuple(*items: Any) -> Any:
    # Made of what stands in the source, which no type checker can know.
    return cast(Any, tuple)[items]


def _item(node: ast.expr) -> Any:
    """The type of an item of a tuple, or the dots that say that there may be any number."""
    return Ellipsis if isinstance(node, ast.Constant) and node.value is Ellipsis else _type(node)


def _union(members: list[ast.expr]) -> Any:
    # A config cannot hold a tensor, so what else is taken decides.
    types = [_type(member) for member in members if not _is_tensor(member)]
    return Any if not types or Any in types else reduce(or_, types)


def _is_tensor(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id == "Tensor") or (
        isinstance(node, ast.Attribute) and node.attr == "Tensor"
    )
