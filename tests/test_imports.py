"""What an answer costs: everything before training imports none of the packages that take seconds."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

HEAVY = {
    "lightning",
    "matplotlib",
    "mlflow",
    "pytorch_lightning",
    "sklearn",
    "tensorboard",
    "torch",
    "torchmetrics",
    "wandb",
}

HYDRA = {"antlr4", "hydra", "hydra_zen", "omegaconf"}
"""What takes as long to import as all the rest of an answer: only jobs, sweeps and unusual words need it."""

_REPORT = """
import json, sys
print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))
"""
_COMMAND = """
import sys
from app.cli import main
try:
    status = main(sys.argv[1:])
except SystemExit as end:
    status = end.code
print(status or 0)
"""


ANSWERS: list[tuple[list[str], int, str]] = [
    (["--help"], 0, "optimizer_spec"),
    (["--cfg", "job"], 0, "max_epochs:"),
    (["--info", "defaults"], 0, "optimizer_spec/adamw"),
    (["check"], 0, "no problem"),
    (["check", "logger=[csv,wandb,tensorboard]", "module=mlp"], 0, "no problem"),
    (["check", "optimizer_spec.lr=banana"], 2, "optimizer_spec.lr: expected a number above 0, found 'banana'"),
    (["optimizer_spec.lrr=0.1"], 2, "did you mean 'lr'?"),
    (["module=digits/cnm"], 2, "no option 'digits/cnm'"),
    (["--multirun", "optimizer_spec.lr=0.1,fast"], 2, "optimizer_spec.lr: expected a number above 0"),
]
"""Command lines with the exit status and a part of what they print."""


def run(code: str, arguments: Sequence[str] = (), **environment: str) -> tuple[list[str], str, set[str]]:
    """The lines that the code printed, its errors, and the packages that were imported when it ended."""
    done = subprocess.run(
        [sys.executable, "-c", code + _REPORT, *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
        cwd=Path(__file__).parent.parent,
    )
    *lines, packages = done.stdout.splitlines()
    return lines, done.stderr, set(json.loads(packages))


def test_the_package_by_itself_imports_nothing() -> None:
    _, _, packages = run("import app")
    assert packages & {"hydra", "hydra_zen", "omegaconf", "pydantic", *HEAVY} == set()


def test_a_public_name_imports_what_it_needs_and_no_more() -> None:
    _, _, packages = run("from app import AppError, ConfigError, Problem")
    assert packages & {"hydra", "omegaconf", "pydantic", *HEAVY} == set()
    _, _, packages = run("from app import RunConfig, check, load_config")
    assert packages & (HEAVY | HYDRA) == set()
    assert "pydantic" in packages
    _, _, packages = run("from app import Run, load_from_config")
    assert packages >= {"lightning", "torch"}, "what is looked for would be found"


def test_every_public_name_is_there() -> None:
    import app

    named: dict[str, Any] = {name: getattr(app, name) for name in app.__all__ if name != "__version__"}
    assert all(thing.__name__ == name for name, thing in named.items())
    assert set(app.__all__) <= set(dir(app))
    with pytest.raises(AttributeError, match="module 'app' has no attribute 'lode_config'"):
        app.lode_config  # type: ignore[attr-defined]  # noqa: B018  # the point


@pytest.mark.parametrize(
    "code",
    [
        "import app; app.load_config(['module=mlp', 'callbacks=[early_stopping]'])",
        "from app.schemas import run, registry; [option.tree for option in registry.options['callbacks'].values()]",
        "from app.tasks.digits.config import DigitsTaskConfig; import app; app.RunConfig(task=DigitsTaskConfig())",
    ],
    ids=["by overrides", "every callback's", "in Python"],
)
def test_making_a_config_imports_nothing_heavy(code: str) -> None:
    _, _, packages = run(code)
    assert packages & HEAVY == set()
    assert "pydantic" in packages


@pytest.mark.parametrize(("arguments", "status", "said"), ANSWERS, ids=[" ".join(answer[0]) for answer in ANSWERS])
def test_an_answer_imports_nothing_heavy(arguments: list[str], status: int, said: str) -> None:
    lines, errors, packages = run(_COMMAND, arguments)
    assert lines[-1] == str(status)
    assert said in "\n".join([*lines, errors])
    assert packages & HEAVY == set()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--cfg", "job"],
        ["check"],
        ["check", "optimizer_spec=sgd", "optimizer_spec.lr=banana"],
        ["--cfg", "job", "experiment=digits/robust", "trainer.max_epochs=3"],
        ["module=digits/cnm"],
    ],
    ids=" ".join,
)
def test_an_answer_about_one_config_does_without_hydra(arguments: list[str]) -> None:
    _, _, packages = run(_COMMAND, arguments)
    assert packages & HYDRA == set()


def test_a_check_without_types_and_shapes_starts_no_process() -> None:
    _, _, packages = run(_COMMAND, ["check"])
    assert packages & {"concurrent", "multiprocessing", "subprocess"} == set()


def test_what_only_hydra_knows_is_asked_of_it() -> None:
    for arguments in (["--info", "config"], ["--cfg", "job", "hydra.run.dir=x"], ["--cfg", "job", "logger=[csv]"]):
        _, _, packages = run(_COMMAND, arguments)
        assert "hydra" in packages, arguments


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("app check optimizer_spec=ada", {"optimizer_spec=adam", "optimizer_spec=adamw"}),
        ("app optimizer_spec.l", {"optimizer_spec.lr="}),
        ("app module=mlp optimizer_spec=sgd optimizer_spec.mom", {"optimizer_spec.momentum="}),
        ("app experiment=digits/robust trainer.max_epochs=", {"trainer.max_epochs=40"}),
    ],
)
def test_completion_imports_neither_hydra_nor_anything_heavy(line: str, offered: set[str]) -> None:
    lines, _, packages = run(_COMMAND, ["-sc", "query=bash"], COMP_LINE=line, COMP_POINT=str(len(line)))
    assert set(lines) >= offered
    assert packages & (HEAVY | HYDRA) == set()
