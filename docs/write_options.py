"""Write what can be chosen and set, from the schemas themselves; `make docs` calls this.

`options.md` has every group, option and field, the README a table of the groups and their options.
"""

import ast
import dataclasses
import inspect
import itertools
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from app.schemas.annotations import alternatives, element_type, field_types
from app.schemas.expectations import expected
from app.schemas.metrics.metric import MetricConfig
from app.schemas.outputs import OutputMapping
from app.schemas.phases import Mode
from app.schemas.problems import show
from app.schemas.registry import Group, Option, groups, options
from app.schemas.run import DEFAULT_OPTIONS, RunConfig, groups_in_order
from app.schemas.schema import frozen, is_schema
from app.tasks import import_task_configs

FILE: Final = Path(__file__).with_name("options.md")
README: Final = Path(__file__).parents[1] / "README.md"

_TABLE_START: Final = "<!-- options -->\n"
_TABLE_END: Final = "<!-- /options -->"

_MOST_SHOWN: Final = 20
_SHOWN_OF_MANY: Final = 8
"""Options of one group in the README's table: all of them, or as many as this when there are more."""

_OF_THE_TASK: Final = {"${task.kind}": "multiclass", "${task.num_classes}": 3}
"""What presets refer to, as a task of several classes has it."""

_COMPUTED: Final = """\
"Computed from" names the outputs of a step, and in brackets the argument that each goes into; `mapping` puts another
output into an argument. "Logs" names what stands behind the split in a logged name, `val/f1`, and in brackets whether
small or large values are the better ones. What depends on the task is shown for one of several classes.\
"""

_INTRODUCTION: Final = """\
# Every group, option and field

Written by `make docs`, from the schemas.

An option is chosen with `group=option`, a value is set with its path: `optimizer_spec=sgd optimizer_spec.lr=0.1`.
Options of `metrics`, `callbacks`, `logger` and `loss` are chosen together and stand under their names:
`callbacks=[checkpoint,early_stopping] callbacks.early_stopping.patience=9`. Another name needs the option as `id`:
`'metrics.top3={id: accuracy, top_k: 3}'`.
"""


def document() -> str:
    """The text of `options.md`."""
    import_task_configs()
    parts: dict[type, None] = {}
    lines = [_INTRODUCTION, *_run()]
    for group in groups_in_order():
        lines += _group(group, parts)
    lines += ["## Parts", "", "What stands inside the options above.", ""]
    described: set[type] = set()
    while left := [part for part in parts if part not in described]:
        for part in left:
            described.add(part)
            lines += [f"### {part.__name__}", "", _summary(part), "", *_fields(part, field_types(part), parts)]
    return "\n".join(lines).rstrip() + "\n"


def readme(text: str) -> str:
    """The README's text with its table of groups and options as it has to be."""
    import_task_configs()
    rows = [_row(f"`{group.name}`", _shortened([*_in_order(options[group.name])])) for group in groups_in_order()]
    table = "\n".join(["| group | options |", "|---|---|", *rows])
    before, _, rest = text.partition(_TABLE_START)
    _, _, after = rest.partition(_TABLE_END)
    return f"{before}{_TABLE_START}{table}\n{_TABLE_END}{after}"


def _shortened(names: Sequence[str]) -> str:
    shown = names if len(names) <= _MOST_SHOWN else names[:_SHOWN_OF_MANY]
    listed = " ".join(f"`{name}`" for name in shown)
    return listed if len(shown) == len(names) else f"{listed} and {len(names) - len(shown)} more"


def _run() -> Iterator[str]:
    yield from ("## A run", "", "| path | holds | default |", "|---|---|---|")
    for name, annotation in field_types(RunConfig).items():
        if name in DEFAULT_OPTIONS:
            default = f"`{_plainly(DEFAULT_OPTIONS[name])}`"
        else:
            default = "see below" if is_schema(annotation) else _default(RunConfig, name, {})
        yield _row(f"`{name}`", sentences(RunConfig)[name], default)
    yield ""
    for name, annotation in field_types(RunConfig).items():
        if is_schema(annotation) and name not in groups:
            yield from (f"### {name}", "", _summary(annotation), "", *_fields(annotation, field_types(annotation), {}))


def _group(group: Group, parts: dict[type, None]) -> Iterator[str]:
    named = _in_order(options[group.name])
    yield from (f"## {group.name}", "", _summary(group.base), "")
    if group.mount != group.name:
        yield from (f"What is chosen stands at `{group.mount}`.", "")
    computed = issubclass(group.base, OutputMapping)
    logs = issubclass(group.base, MetricConfig)
    more = [*(["computed from"] if computed else []), *(["logs"] if logs else [])]
    if computed:
        yield from (_COMPUTED, "")
    yield _row("option", "configures", "what it is", *more)
    yield f"|{'---|' * (3 + len(more))}"
    for name, option in named.items():
        chosen = ", ".join(f"`{key}={_plainly(value)}`" for key, value in option.preset.items())
        what = f"with {chosen}" if group.presets_only and chosen else _summary(option.schema).splitlines()[0]
        example = _example(option) if computed else None
        facts = [
            *([_computed_from(example)] if isinstance(example, OutputMapping) else []),
            *([_logged(example, name)] if isinstance(example, MetricConfig) else []),
        ]
        yield _row(f"`{group.name}={name}`", f"`{option.target}`", what, *facts)
    yield ""
    shared = field_types(group.base)
    if shared:
        yield from ("Every option has:" if not group.presets_only else "Each is this, with other defaults:", "")
        yield from _fields(group.base, shared, parts)
    seen: set[type] = {group.base}
    for option in named.values():
        own = _own_fields(option, group.base)
        if own and option.schema not in seen:
            seen.add(option.schema)
            names = ", ".join(name for name, other in named.items() if other.schema is option.schema)
            yield from (f"### {names}", "", _summary(option.schema), "")
            yield from _fields(option.schema, own, parts, option.preset)


def _example(option: Option) -> Any:
    """A config of the option as a task of several classes has it, unchecked: what it is computed from and logs."""
    config: Any = object.__new__(option.schema)
    for field in dataclasses.fields(cast(Any, option.schema)):
        factory = field.default_factory
        value: object = 2  # stands for what a user has to set
        if field.name in option.preset:
            value = _OF_THE_TASK.get(str(option.preset[field.name]), option.preset[field.name])
        elif field.default is not dataclasses.MISSING or factory is not dataclasses.MISSING:
            value = field.default if factory is dataclasses.MISSING else factory()
        object.__setattr__(config, field.name, value)
    return config


def _computed_from(config: OutputMapping) -> str:
    """The outputs that go into its arguments; an argument that is called otherwise than its output is named."""
    return ", ".join(
        f"`{output}`" if output == argument else f"`{output}` (`{argument}`)"
        for argument, output in config.output_of().items()
    )


def _logged(config: MetricConfig, name: str) -> str:
    """What is logged of a metric, as one can monitor it."""
    if config.table:
        return f"no number; a table of {', '.join(config.table)}"
    results = config.results(name)
    if len(results) > 2:
        first, mode = next(iter(results.items()))
        return f"`{first}`, … for each class{_direction(mode)}"
    return ", ".join(f"`{result}`{_direction(mode)}" for result, mode in results.items())


def _direction(mode: Mode | None) -> str:
    return "" if mode is None else f" ({mode})"


def _in_order(named: Mapping[str, Option]) -> Mapping[str, Option]:
    """The options as they are registered, those of each task together whichever task was imported first."""
    return dict(sorted(named.items(), key=lambda item: _task_of(item[1])))


def _task_of(option: Option) -> str:
    module = option.schema.__module__
    return module if module.startswith("app.tasks.") else ""


def _own_fields(option: Option, base: type) -> Mapping[str, Any]:
    """What the option's schema adds to the base of its group, or has otherwise than that."""
    shared = field_types(base)
    return {
        name: annotation
        for name, annotation in field_types(option.schema).items()
        if name not in shared
        or annotation != shared[name]
        or _default(option.schema, name, {}) != _default(base, name, {})
    }


def _fields(
    schema: type, fields: Mapping[str, Any], parts: dict[type, None], preset: Mapping[str, object] | None = None
) -> Iterator[str]:
    yield from ("| field | takes | default | meaning |", "|---|---|---|---|")
    for name, annotation in fields.items():
        parts.update(dict.fromkeys(_parts_of(annotation)))
        yield _row(f"`{name}`", expected(annotation), _default(schema, name, preset or {}), sentences(schema)[name])
    yield ""


def _default(schema: type, name: str, preset: Mapping[str, object]) -> str:
    if name in preset:
        return f"`{_plainly(preset[name])}`"
    field = next(field for field in dataclasses.fields(schema) if field.name == name)
    factory = field.default_factory
    if field.default is dataclasses.MISSING and factory is dataclasses.MISSING:
        return "needs a value"
    value = field.default if factory is dataclasses.MISSING else factory()
    return "see below" if is_schema(type(value)) else f"`{_plainly(value)}`"


def _plainly(value: object) -> str:
    """A value as a user types it."""
    value = frozen(value)
    if isinstance(value, tuple):
        return f"[{','.join(map(_plainly, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plainly(item)}" for key, item in value.items()) + "}"
    return value if isinstance(value, str) and value.strip() else show(value)


def _parts_of(annotation: Any) -> Iterator[type]:
    """The schemas inside a field's type that belong to no group."""
    for member in alternatives(annotation):
        inner = [member, element_type(member, 0), element_type(member, "")]
        for found in inner:
            if is_schema(found) and not any(issubclass(found, group.base) for group in groups.values()):
                yield found


def _summary(schema: type) -> str:
    return inspect.cleandoc(ast.get_docstring(_definitions(schema.__module__)[schema.__name__]) or "")


@cache
def sentences(schema: type) -> Mapping[str, str]:
    """The first paragraph under each field of a schema, where it was last written down."""
    found: dict[str, str] = {}
    for base in reversed(schema.__mro__):
        body = _definitions(base.__module__)[base.__name__].body if is_schema(base) else []
        for node, after in itertools.pairwise(body):
            match node, after:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text).partition("\n\n")[0]
    return found


@cache
def _definitions(module: str) -> Mapping[str, ast.ClassDef]:
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cells))} |"


def _cell(cells: Iterable[str]) -> Iterator[str]:
    for cell in cells:
        yield " ".join(cell.split()).replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(document())
    README.write_text(readme(README.read_text()))
