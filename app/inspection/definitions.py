"""Where the project's own source writes a default, a preset or a default choice: `app/schemas/optimizers.py:57`."""

import ast
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import cast

from app.schemas import run
from app.schemas.descriptions import definitions
from app.schemas.module import ModuleConfig
from app.schemas.problems import shown_path
from app.schemas.registry import Option
from app.schemas.task import usual_losses


def field_place(schema: type, name: str) -> str:
    """Where a schema, or the base that it has the field from, writes the field."""
    found = definitions(schema)[name]
    return _shown(found.file, found.line)


@cache
def attribute_place(schema: type, name: str) -> str:
    """Where a class, or the base that it has this from, writes what belongs to all of its configs."""
    owner = next(cls for cls in schema.__mro__ if name in vars(cls))
    lines, first = inspect.getsourcelines(owner)
    found = [cast(ast.stmt, node).lineno for node in ast.walk(ast.parse("".join(lines))) if name in _assigned(node)]
    return _shown(Path(inspect.getfile(owner)), first + min(found, default=1) - 1)


def default_losses_place(module: type[ModuleConfig]) -> str:
    """Where a module names its losses, or where those stand that are usual where it names none."""
    schema: type = module
    return _usual_losses_place() if module.default_losses is None else attribute_place(schema, "default_losses")


def preset_place(option: Option, name: str) -> str:
    """Where an option is registered with a value of its own for a field."""
    file = Path(inspect.getfile(option.schema))
    call = _registrations(option.schema.__module__).get((option.group.name, option.name))
    if call is None:  # registered elsewhere than where its schema is
        return _shown(file, inspect.getsourcelines(option.schema)[1])
    places = [keyword.value.lineno for keyword in call.keywords if keyword.arg == name]
    return _shown(file, places[0] if places else call.lineno)


def default_choice_place(group: str) -> str:
    """Where the choice of a group stands that holds when nobody chooses."""
    return _shown(Path(inspect.getfile(run)), _default_choices()[group])


@cache
def _usual_losses_place() -> str:
    return _shown(Path(inspect.getfile(usual_losses)), inspect.getsourcelines(usual_losses)[1])


@cache
def _default_choices() -> Mapping[str, int]:
    for node in ast.walk(_tree(run.__name__)):
        if (
            isinstance(node, ast.AnnAssign)
            and "DEFAULT_OPTIONS" in _assigned(node)
            and isinstance(node.value, ast.Dict)
        ):
            return {str(key.value): key.lineno for key in node.value.keys if isinstance(key, ast.Constant)}
    raise AssertionError("run.py says what is chosen by default")


@cache
def _registrations(module: str) -> Mapping[tuple[object, object], ast.Call]:
    """The calls of `register` in a module, by group and option."""

    def found() -> Iterator[tuple[tuple[object, object], ast.Call]]:
        for node in ast.walk(_tree(module)):
            match node:
                case ast.Call(func=ast.Name(id="register"), args=[ast.Constant(value=group), ast.Constant(value=name)]):
                    yield (group, name), node

    return dict(found())


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(inspect.getsource(sys.modules[module]))


def _assigned(node: ast.AST) -> list[str]:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _shown(file: Path, line: int) -> str:
    return f"{shown_path(file)}:{line}"
