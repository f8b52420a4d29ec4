"""`app new schema package.Class`: a typed schema of a class that is there, as a start for a better one.

Alone among the commands that train nothing this one imports the class, and so torch, to look at it.
"""

import inspect
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from app.scaffold.files import written
from app.scaffold.kinds import KINDS, Kind
from app.scaffold.layout import ADVICE, find_ruff, laid_out
from app.scaffold.names import class_name
from app.scaffold.signatures import NEEDED, Argument, arguments_of, inputs_of, summary_of
from app.scaffold.written_types import NAMED, constrained, written_type, written_value
from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.problems import (
    AppError,
    ConfigError,
    Problem,
    did_you_mean,
    first_line,
    missing_extra,
    shown_path,
)
from app.schemas.registry import Group, groups, options
from app.tasks import import_task_configs

_WIDTH: Final = 116


def new_schema(path: str, *, group: str | None = None, name: str | None = None, file: str | None = None) -> str:
    """The text of the schema; written into `file` when one is given, which must not be there yet.

    Raises:
        ConfigError: when there is no such class or free name, or the file is none of Python.
        AppError: when the class needs what no config could hold.
    """
    if find_spec("docstring_parser") is None:
        message = missing_extra("docstring-parser", "dev")
        raise ConfigError([Problem(path="", message=message, source=path, code=Code.ENVIRONMENT)])
    if file is not None and not file.endswith(".py"):
        raise _refused("expected a file of Python, whose name ends in .py", f"--file {file}")
    import_task_configs()
    target = _class_at(path)
    owner = _group_of(target, group, path)
    text = laid_out(_text(target, path, owner, _name(target, owner, name)), Path(file or "schema.py").absolute())
    if file is None:
        return text.rstrip("\n")
    with written({Path(file).absolute(): text}, {}):
        pass
    known = "it is known once a task's config.py imports it"
    return "\n".join([f"wrote {shown_path(Path(file))}; {known}", *([] if find_ruff() else [ADVICE])])


def _class_at(path: str) -> type:
    module, _, name = path.rpartition(".")
    if not all(part.isidentifier() for part in (*module.split("."), name)):
        raise _refused("expected package.Class, as in torch.optim.SGD", path)
    try:
        with redirect_stdout(sys.stderr):  # what it prints is no part of the schema
            there = import_module(module)
            found: Any = getattr(there, name, None)
            others = dir(there)
    except (Exception, SystemExit) as error:  # whatever the module does
        raise _refused(f"cannot be imported: {type(error).__name__}: {first_line(error)}", path) from error
    if found is None:
        raise _refused(f"expected package.Class, found no such class{did_you_mean(name, others)}", path)
    if not isinstance(found, type):
        raise _refused(f"is no class; a schema is one of a class, and {name} is a {type(found).__name__}", path)
    return found


def _group_of(target: type, name: str | None, path: str) -> Group:
    """The group that was named, one of `KINDS`, or that the class's bases tell."""
    if name is None:
        bases = {f"{base.__module__}.{base.__qualname__}" for base in target.__mro__}
        name = next((known for known, kind in KINDS.items() if kind.live in bases), None)
        if name is None:
            raise _refused(f"its bases tell of no group; say which: --group {'|'.join(KINDS)}", path)
    return groups[name]


def _name(target: type, group: Group, name: str | None) -> str:
    """What the option is called: as it was said, or after the class, as other options of the group are."""
    called = name or re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", target.__name__).casefold()
    if name is None and group.name in ("loss", "scheduler_spec"):
        called = called.removesuffix("_loss").removesuffix("_lr")
    if called in options[group.name]:
        schema = options[group.name][called].schema
        message = f"{group.name}={called} is {schema.__module__}.{schema.__name__}; another one needs --name <name>"
        raise _refused(message, f"--name {name}" if name else called)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", called):
        raise _refused("expected small letters, digits and '_'", f"--name {called}")
    return called


def _text(target: type, path: str, group: Group, name: str) -> str:
    kind = KINDS[group.name]
    fields: list[str] = []
    left_out: dict[str, str] = {}
    try:
        arguments = arguments_of(target)
    except (ValueError, TypeError) as error:  # as of classes that are written in C
        raise _refused(f"does not say what it takes: {first_line(error)}", path) from error
    for argument in arguments:
        reason = kind.given.get(argument.name) or _unfit(argument, group.base, kind)
        if reason is None:
            fields += ["", *_field(argument, target, group.base)]
            continue
        left_out[argument.name] = reason
        if argument.default is NEEDED and argument.name not in kind.given:
            raise AppError(f"{path} needs '{argument.name}', which {reason}; write a class around it that does without")
    base = group.base
    body = [f"class {_schema_name(target, group)}({base.__name__}):"]
    body += [*_docstring(summary_of(target) or f"What can be configured of `{path}`.")]
    body += [*_comment("; ".join(f"{name} ({reason})" for name, reason in left_out.items()))]
    body += [*_outputs(target, base, kind), *fields]
    code = "\n".join([f'@register("{group.name}", "{name}", target="{path}")', "@schema", *body])
    return f'"""The schema of `{path}`."""\n\n{_imports(code, base)}\n\n\n{code}\n'


def _schema_name(target: type, group: Group) -> str:
    """What the schema of a class is called: after it, and not like its family."""
    name = class_name(target.__name__) + ("Spec" if group.name.endswith("_spec") else "Config")
    return f"Own{name}" if name == group.base.__name__ else name


def _unfit(argument: Argument, base: type, kind: Kind) -> str | None:
    """Why an argument is no field."""
    type_text = written_type(argument)
    of_base = field_types(base).get(argument.name)
    if argument.name.startswith("_"):
        return "is private"
    if argument.name == "id":
        return "is the key by which options are chosen"
    if type_text is None:
        annotation = argument.annotation
        shown = "" if annotation is NEEDED else f": {inspect.formatannotation(annotation)}"
        return f"holds what no config can say{shown}".replace("typing.", "")
    narrows = argument.name in kind.narrowed and constrained(type_text, of_base) != type_text
    if not narrows and (of_base is not None or hasattr(base, argument.name)):
        return f"is the name of something else in every {base.__name__}"
    if argument.default is not NEEDED and not _fits(argument.default, type_text):
        return f"starts from what no config can say: {argument.default!r}"
    return None


def _fits(default: object, type_text: str) -> bool:
    if written_value(default) is None and default != {}:
        return False
    annotation = eval(type_text, {"Literal": Literal})  # text that was written here
    value = tuple(default) if isinstance(default, list) else str(default) if isinstance(default, Path) else default
    try:
        TypeAdapter(annotation, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        return False
    return True


def _field(argument: Argument, target: type, base: type) -> Iterator[str]:
    type_text = str(written_type(argument))
    default = ""
    if argument.default == {}:
        default = " = field(default_factory=dict)"
    elif argument.default is not NEEDED:
        default = f" = {written_value(argument.default, real=type_text.startswith('float'))}"
    mixed = argument.name != argument.name.lower() and argument.name[0].islower() and "_" not in argument.name
    code = "N815" if mixed else "E741" if argument.name in ("l", "O", "I") else None
    behind = f"  # noqa: {code}  # as the class has it" if code else ""
    yield f"    {argument.name}: {constrained(type_text, field_types(base).get(argument.name))}{default}{behind}"
    yield from _docstring(argument.said or f"What {target.__name__} takes as `{argument.name}`.")


def _outputs(target: type, base: type, kind: Kind) -> Iterator[str]:
    """Which outputs of a step go into the arguments of the method, where those are not what the base says."""
    method = getattr(target, kind.called, None) if kind.called else None
    if method is None:
        return
    usual: Mapping[str, str] = getattr(base, "arguments", {})
    if (names := inputs_of(method)) and names != [*usual]:
        entries = ", ".join(f'"{name}": "{usual.get(name, name)}"' for name in names)
        yield from ("", f"    arguments: ClassVar = {{{entries}}}")


def _docstring(text: str) -> Iterator[str]:
    first, *more = textwrap.wrap(text, _WIDTH - 8) or [""]
    if more:
        yield from (f'    """{first}', *(f"    {line}" for line in more), '    """')
    else:
        yield f'    """{first}"""'


def _comment(text: str) -> Iterator[str]:
    if text:
        yield ""
        yield from (f"    # {line}" for line in textwrap.wrap(f"Left out: {text}.", _WIDTH - 6))


def _imports(code: str, base: type) -> str:
    wanted = [("typing", name) for name in ("ClassVar", "Literal") if re.search(rf"\b{name}\b", code)]
    wanted += [("dataclasses", "field")] if "= field(" in code else []
    ours = sorted(
        {
            (base.__module__, base.__name__),
            ("app.schemas.registry", "register"),
            ("app.schemas.schema", "schema"),
            *(("app.schemas.constraints", name) for name in _constraints(code)),
        }
    )
    lines = [f"from {module} import {name}" for module, name in sorted(wanted)]
    return "\n".join([*lines, *([""] if lines else []), *(f"from {module} import {name}" for module, name in ours)])


def _constraints(code: str) -> list[str]:
    return [name for name in NAMED if re.search(rf"^    \w+: {name}\b", code, re.MULTILINE)]


def _refused(message: str, source: str) -> ConfigError:
    return ConfigError([Problem(path="", message=message, source=source, code=Code.OVERRIDE)])
