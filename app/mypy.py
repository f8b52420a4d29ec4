"""A mypy plugin that checks override strings: `load_config(["optimizer_spec.lr=fast"])` is an error at that string.

In `pyproject.toml`: `plugins = ["app.mypy"]` in `[tool.mypy]`. The message is the gate's own. Texts that mypy does not
know are left alone, and so is everything that may depend on them. Nothing here imports torch.

The schemas are imported, and experiments looked at, once for each process: `dmypy restart` after a change of either.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from mypy.errorcodes import ErrorCode
from mypy.nodes import ARG_STAR, ARG_STAR2, Context, Expression, ListExpr, MemberExpr, NameExpr, StrExpr, TupleExpr
from mypy.plugin import FunctionContext, Plugin, ReportConfigContext
from mypy.types import Instance, LiteralType, NoneType, Type, get_proper_type

from app.installed import is_installed

WRONG_CONFIG: Final = ErrorCode("config", "Check the overrides that a config is composed from", "Config")

_COMPOSING: Final = ("app.compose.load_config", "app.compose.compose")
_MENTIONED: Final = re.compile(rb"\b(load_config|compose)\b")


def plugin(_version: str) -> type[Plugin]:
    """What mypy calls with its version."""
    return OverridesPlugin


class OverridesPlugin(Plugin):
    """Checks the calls that compose a config."""

    def get_function_hook(self, fullname: str) -> Callable[[FunctionContext], Type] | None:
        """The check, for a function that composes, under whichever name it is imported."""
        return _check_call if fullname in _COMPOSING else None

    def report_config_data(self, ctx: ReportConfigContext) -> Any:
        """What the verdict on a module depends on beside itself and its imports: mypy checks it anew on a change."""
        file = Path(ctx.path)
        of_this_package = file.is_relative_to(Path(__file__).parent) and "tasks" not in file.parts
        if of_this_package or file.suffix != ".py" or is_installed(file) or "typeshed" in file.parts:
            return None
        return _fingerprint() if file.is_file() and _MENTIONED.search(file.read_bytes()) else None


class _Given(NamedTuple):
    """An override, or several, that a call is given."""

    text: str | None
    """None when only running the program tells."""

    where: Context


def _check_call(ctx: FunctionContext) -> Type:
    given = _given(ctx)
    try:
        from app.checks.override_texts import findings  # takes longer than mypy should for who has no such calls

        found = findings(tuple(each.text for each in given))
    except Exception as error:  # whatever is wrong with schemas that are being worked on: mypy has more to check
        ctx.api.fail(f"cannot be checked: {type(error).__name__}: {error}", ctx.context, code=WRONG_CONFIG)
        return ctx.default_return_type
    for place, message in found:
        ctx.api.fail(message, ctx.context if place is None else given[place].where, code=WRONG_CONFIG)
    return ctx.default_return_type


def _given(ctx: FunctionContext) -> list[_Given]:
    """What the call composes from, in the order in which it takes effect."""
    if any(kind in (ARG_STAR, ARG_STAR2) for kinds in ctx.arg_kinds for kind in kinds):
        return [_Given(None, ctx.context)]
    arguments = {
        name: expressions[0]
        for name, expressions in zip(ctx.callee_arg_names, ctx.args, strict=True)
        if name is not None and expressions
    }
    given: list[_Given] = []
    if "base" in arguments:
        given.append(_Given(None, arguments["base"]))
    if (experiment := arguments.get("experiment")) is not None:
        text = _text(ctx, experiment)
        if text is not None or not isinstance(_type(ctx, experiment), NoneType):
            given.append(_Given(None if text is None else f"experiment={text}", experiment))
    overrides = arguments.get("overrides")
    if isinstance(overrides, ListExpr | TupleExpr):
        given += [_Given(_text(ctx, item), item) for item in overrides.items]
    elif overrides is not None:
        given.append(_Given(None, overrides))
    return given


def _text(ctx: FunctionContext, expression: Expression) -> str | None:
    """The text that an expression is known to be: a literal, or a constant."""
    if isinstance(expression, StrExpr):
        return expression.value
    if not isinstance(expression, NameExpr | MemberExpr):
        return None
    found = _type(ctx, expression)
    literal = found.last_known_value if isinstance(found, Instance) else found
    return literal.value if isinstance(literal, LiteralType) and isinstance(literal.value, str) else None


def _type(ctx: FunctionContext, expression: Expression) -> Type:
    return get_proper_type(ctx.api.get_expression_type(expression))


@cache
def _fingerprint() -> str:
    """A hash of all that the gate's verdict depends on, as it was when this process first asked."""
    folder = Path(__file__).parent
    digest = hashlib.sha256()
    for file in sorted(_judging(folder)):
        digest.update(f"{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()


def _judging(folder: Path) -> Iterator[Path]:
    """The schemas, the experiments, the gate itself, and what a task's config may look into before a run."""
    yield from folder.glob("*.py")
    yield from folder.glob("composing/*.py")
    yield from folder.glob("schemas/**/*.py")
    yield from folder.glob("data_formats/*.py")
    yield folder / "checks/override_texts.py"
    yield from folder.glob("tasks/**/*.py")
    yield from folder.glob("tasks/*/experiments/*.yaml")
