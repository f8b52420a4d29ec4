"""Write what can be chosen and set, from the schemas themselves; `make docs` calls this.

`options.md` has every group, option and field, the README a table of the groups and their options.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from app.inspection.facts import computed_from, default_of, in_order, logged, own_fields, schemas_inside, what_it_is
from app.inspection.spelling import as_typed
from app.schemas.annotations import field_types
from app.schemas.descriptions import sentences, summary
from app.schemas.expectations import expected
from app.schemas.metrics.metric import MetricConfig
from app.schemas.outputs import OutputMapping
from app.schemas.registry import Group, groups, options
from app.schemas.run import DEFAULT_OPTIONS, RunConfig, groups_in_order
from app.schemas.schema import is_schema
from app.tasks import import_task_configs

FILE: Final = Path(__file__).with_name("options.md")
README: Final = Path(__file__).parents[1] / "README.md"

_TABLE_START: Final = "<!-- options -->\n"
_TABLE_END: Final = "<!-- /options -->"

_MOST_SHOWN: Final = 20
_SHOWN_OF_MANY: Final = 8
"""Options of one group in the README's table: all of them, or as many as this when there are more."""

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
            lines += [f"### {part.__name__}", "", summary(part), "", *_fields(part, field_types(part), parts)]
    return "\n".join(lines).rstrip() + "\n"


def readme(text: str) -> str:
    """The README's text with its table of groups and options as it has to be."""
    import_task_configs()
    rows = [_row(f"`{group.name}`", _shortened([*in_order(options[group.name])])) for group in groups_in_order()]
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
            default = f"`{as_typed(DEFAULT_OPTIONS[name])}`"
        else:
            default = "see below" if is_schema(annotation) else _default(RunConfig, name, {})
        yield _row(f"`{name}`", sentences(RunConfig)[name], default)
    yield ""
    for name, annotation in field_types(RunConfig).items():
        if is_schema(annotation) and name not in groups:
            yield from (f"### {name}", "", summary(annotation), "", *_fields(annotation, field_types(annotation), {}))


def _group(group: Group, parts: dict[type, None]) -> Iterator[str]:
    named = in_order(options[group.name])
    yield from (f"## {group.name}", "", summary(group.base), "")
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
        facts = [*([computed_from(option)] if computed else []), *([logged(option)] if logs else [])]
        yield _row(f"`{group.name}={name}`", f"`{option.target}`", what_it_is(option), *facts)
    yield ""
    shared = field_types(group.base)
    if shared:
        yield from ("Every option has:" if not group.presets_only else "Each is this, with other defaults:", "")
        yield from _fields(group.base, shared, parts)
    seen: set[type] = {group.base}
    for option in named.values():
        own = own_fields(option)
        if own and option.schema not in seen:
            seen.add(option.schema)
            names = ", ".join(name for name, other in named.items() if other.schema is option.schema)
            yield from (f"### {names}", "", summary(option.schema), "")
            yield from _fields(option.schema, own, parts, option.preset)


def _fields(
    schema: type, fields: Mapping[str, Any], parts: dict[type, None], preset: Mapping[str, object] | None = None
) -> Iterator[str]:
    yield from ("| field | takes | default | meaning |", "|---|---|---|---|")
    for name, annotation in fields.items():
        parts.update(dict.fromkeys(schemas_inside(annotation)))
        yield _row(f"`{name}`", expected(annotation), _default(schema, name, preset or {}), sentences(schema)[name])
    yield ""


def _default(schema: type, name: str, preset: Mapping[str, object]) -> str:
    value = default_of(schema, name, preset)
    if value is dataclasses.MISSING:
        return "needs a value"
    return "see below" if is_schema(type(value)) else f"`{as_typed(value)}`"


def _row(*cells: str) -> str:
    return f"| {' | '.join(_cell(cells))} |"


def _cell(cells: Iterable[str]) -> Iterator[str]:
    for cell in cells:
        yield " ".join(cell.split()).replace("|", "\\|")


if __name__ == "__main__":
    FILE.write_text(document())
    README.write_text(readme(README.read_text()))
