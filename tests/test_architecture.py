"""Who may import whom: schemas know nothing of builders, builders nothing of tasks, a task nothing of another task."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted((ROOT / "app").rglob("*.py"))
}
TASKS = sorted(file.parent.name for file in (ROOT / "app/tasks").glob("*/config.py"))
LIVE = (
    "app.losses",
    "app.metrics",
    "app.models",
    "app.callbacks",
    "app.checkpoints",
    "app.export",
    "app.augmentations",
    "app.data_formats",
    "app.downloads",
)
"""Packages of live classes, which builders configure."""

COMMANDS = {
    "app.export.command": "starts a run to export its model",
    "app.export.in_place": "makes a task's module compute what stands in a file",
}
"""What uses the live classes beside it in a run, each with what for; none of them may use it."""

SCHEMA_PACKAGES = {"annotated_types", "hydra", "hydra_zen", "omegaconf", "pydantic", "pydantic_core", "yaml"}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def below(*packages: str) -> list[str]:
    return [module for module in FILES if any(within(module, package) for package in packages)]


def test_the_files_are_found() -> None:
    assert {"app", "app.compose", "app.schemas.run", "app.builders.run", "app.tasks.digits.config"} <= FILES.keys()
    assert "digits" in TASKS
    assert imports("app.builders.run") >= {"app.schemas.run", "lightning"}
    assert "app.schemas.registry" in imports("app.tasks.digits.config")


WITHOUT_TORCH = {
    "app.tasks.tabular.tables": "the tables are a group of the task's own, and too many for its config.py",
    "app.data_formats.csv_table": "how many columns a model looks at is counted in the header of the file",
    "app.data_formats.errors": "what that raises",
}
"""What a task's config needs beside schemas, each with the reason: it is held to the same."""


@pytest.mark.parametrize(
    "module", [*below("app.schemas"), *(f"app.tasks.{task}.config" for task in TASKS), *WITHOUT_TORCH]
)
def test_what_can_be_configured_is_said_without_what_is_built(module: str) -> None:
    further = set() if within(module, "app.schemas") else WITHOUT_TORCH.keys()
    assert ours(module) <= {*below("app.schemas"), *further}
    assert others(module) <= SCHEMA_PACKAGES


def test_no_reason_is_given_for_what_no_config_needs() -> None:
    needed = {name for task in TASKS for name in ours(f"app.tasks.{task}.config")}
    for _ in WITHOUT_TORCH:
        needed |= {further for name in needed for further in ours(name)}
    assert WITHOUT_TORCH.keys() <= needed


@pytest.mark.parametrize("module", below("app.builders"))
def test_builders_reach_tasks_only_through_targets(module: str) -> None:
    assert ours(module) <= {*below("app.schemas", "app.builders", *LIVE), "app.run_directory"}


@pytest.mark.parametrize("module", sorted({*below(*LIVE)} - COMMANDS.keys()))
def test_live_classes_know_neither_builders_nor_tasks(module: str) -> None:
    assert ours(module) <= {*below("app.schemas", *LIVE), "app.run_directory"} - COMMANDS.keys()


@pytest.mark.parametrize("module", below("app.models"))
def test_models_can_be_used_without_configs(module: str) -> None:
    assert ours(module) <= {*below("app.models"), "app.schemas.problems"}


@pytest.mark.parametrize("module", below(*(f"app.tasks.{task}" for task in TASKS)))
def test_a_task_knows_no_other_task(module: str) -> None:
    task = module.split(".")[2]
    assert ours(module) <= set(below("app.schemas", "app.builders", *LIVE, "app.tasks.shared", f"app.tasks.{task}"))


@pytest.mark.parametrize("module", below("app.tasks.shared"))
def test_what_tasks_share_knows_no_task(module: str) -> None:
    assert ours(module) <= set(below("app.schemas", "app.builders", *LIVE, "app.tasks.shared"))


@pytest.mark.parametrize("module", [module for module in FILES if module not in ("app", "app.__main__", "app.cli")])
def test_nothing_depends_on_the_command_line(module: str) -> None:
    assert ours(module).isdisjoint({"app", "app.cli", "app.__main__"})


def test_no_module_needs_itself() -> None:
    order = list(TopologicalSorter({module: imports(module, while_loading=True) for module in FILES}).static_order())
    assert order.index("app.schemas.schema") < order.index("app.compose") < order.index("app.cli")


def ours(module: str) -> set[str]:
    return {name for name in imports(module) if within(name, "app")} - {module}


def others(module: str) -> set[str]:
    """The third-party packages that a module imports."""
    packages = {name.partition(".")[0] for name in imports(module)}
    return packages - set(sys.stdlib_module_names) - {"app"}


@cache
def imports(module: str, *, while_loading: bool = False) -> set[str]:
    """The modules that a module imports: anywhere in it, or only while it is itself being imported."""
    return set(_imports(ast.parse(FILES[module].read_text()), while_loading=while_loading))


def _imports(node: ast.AST, *, while_loading: bool) -> Iterator[str]:
    match node:
        case ast.Import(names=names):
            yield from (name.name for name in names)
        case ast.ImportFrom(module=str(package), names=names, level=0):
            yield package
            yield from {f"{package}.{name.name}" for name in names} & FILES.keys()
        case ast.ImportFrom():
            raise AssertionError("imports name their whole path")
        case ast.FunctionDef() | ast.AsyncFunctionDef() if while_loading:
            return
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise) if while_loading:
            for statement in otherwise:
                yield from _imports(statement, while_loading=while_loading)
        case _:
            for child in ast.iter_child_nodes(node):
                yield from _imports(child, while_loading=while_loading)
