"""Definitions added at the end of a Python file, and what they import to its imports; the rest stays as it is."""

import ast
from collections.abc import Iterator
from pathlib import Path

from app.schemas.problems import AppError, shown_path


def merged(file: Path, addition: str) -> str:
    """The text of a file with what another module defines at its end.

    Imports that the file lacks stand behind its last one, unsorted.

    Raises:
        AppError: when the file is no Python, or has another meaning for a name that is added.
    """
    text = file.read_text(encoding="utf-8")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise AppError(f"{shown_path(file)}:{error.lineno}: {error.msg}, so that nothing can be added") from error
    added = ast.parse(addition)
    bound, wanted = dict(_bound(tree)), dict(_bound(added))
    for name, meaning in wanted.items():
        if name in bound and (bound[name] != meaning or meaning is None):
            raise AppError(f"{shown_path(file)} has a name {name} already; choose another one, or rename it there")
    lines = text.splitlines(keepends=True)
    behind = _last_import(tree)
    missing = "".join(f"{_statement(name, wanted[name])}\n" for name in wanted if wanted[name] and name not in bound)
    definitions = "".join(addition.splitlines(keepends=True)[_last_import(added) :]).strip("\n")
    before = "".join(lines[:behind])
    rest = "".join(lines[behind:]).rstrip("\n")
    newline = "" if before.endswith("\n") or not before else "\n"
    return f"{before}{newline}{missing}{rest}\n\n\n{definitions}\n"


def _bound(tree: ast.Module) -> Iterator[tuple[str, str | None]]:
    """The names of a module with what they are imported from; None for what it defines itself."""
    for node in tree.body:
        match node:
            case ast.Import(names=names):
                for each in names:
                    yield each.asname or each.name.partition(".")[0], each.name if each.asname else None
            case ast.ImportFrom(module=str(module), names=names):
                for each in names:
                    yield each.asname or each.name, f"{module}.{each.name}"
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, None
            case ast.Assign() | ast.AnnAssign():
                for target in ast.walk(node):
                    if isinstance(target, ast.Name) and isinstance(target.ctx, ast.Store):
                        yield target.id, None


def _last_import(tree: ast.Module) -> int:
    """The line behind which imports can be added: that of the last one, or of the docstring."""
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    start = tree.body[:1] if ast.get_docstring(tree, clean=False) is not None else []
    return max((node.end_lineno or 0 for node in [*start, *imports]), default=0)


def _statement(name: str, meaning: str | None) -> str:
    assert meaning is not None
    module, _, imported = meaning.rpartition(".")
    return f"from {module} import {imported}" + (f" as {name}" if name != imported else "")
