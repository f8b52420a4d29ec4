"""What the schemas' source says about them: their summary, the sentence under each field, and where that stands.

Python keeps no text that stands under a field, so the source is read; only who explains configs pays for it.
"""

import ast
import inspect
import itertools
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

from app.schemas.schema import is_schema


class Definition(NamedTuple):
    """A field as it is written in a schema, or in the base that the schema has it from."""

    sentence: str
    """The first paragraph under it; empty when there is none."""

    file: Path
    line: int


def summary(schema: type) -> str:
    """The docstring of a schema."""
    return inspect.cleandoc(ast.get_docstring(_classes(schema.__module__)[schema.__name__]) or "")


def sentences(schema: type) -> Mapping[str, str]:
    """The first paragraph under each field that has one."""
    return {name: found.sentence for name, found in definitions(schema).items() if found.sentence}


def first_paragraph(text: str) -> str:
    """What a docstring says first, on one line."""
    return " ".join(text.partition("\n\n")[0].split())


@cache
def definitions(schema: type) -> Mapping[str, Definition]:
    """Every field of a schema, where it was last written down."""
    found: dict[str, Definition] = {}
    for base in reversed(schema.__mro__):
        body = _classes(base.__module__)[base.__name__].body if is_schema(base) else []
        file = Path(inspect.getfile(base)) if body else Path()
        for node, after in itertools.pairwise([*body, ast.Pass()]):
            match node:
                case ast.AnnAssign(target=ast.Name(id=name)):
                    before = found[name].sentence if name in found else ""
                    found[name] = Definition(_text(after) or before, file, node.lineno)
    return found


def _text(node: ast.stmt) -> str:
    match node:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return inspect.cleandoc(text).partition("\n\n")[0]
    return ""


@cache
def _classes(module: str) -> Mapping[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
