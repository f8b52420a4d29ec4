import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.mypy import _judging

ROOT = Path(__file__).parents[1]

SETTINGS = """\
[tool.mypy]
strict = true
plugins = ["app.mypy"]
mypy_path = "$MYPY_CONFIG_FILE_DIR"
follow_imports = "skip"  # of torch and the like, which take mypy half a minute

[[tool.mypy.overrides]]
module = "app.*"
follow_imports = "silent"
"""

CALLS = """\
from typing import Final

import app
from app import load_config
from app.compose import compose as made
from app.schemas.problems import ConfigError

LOW: Final = "optimizer_spec.lr=-1"
task = "task=digits"

# Right ones, and what only running the program tells.
load_config()
load_config(["module=mlp", "optimizer_spec.lr=3e-4"], None)
load_config([task, "trainer=no_such"][:1])
load_config(["checkpoint=not/there/yet.ckpt", "optimizer_spec.lr=0.1"])
load_config(["trainer.max_epochs=${oc.env:NO_SUCH_VARIABLE}"])


def unknown(word: str, words: list[str], name: str) -> None:
    load_config(words)
    load_config([*words], experiment=name)
    load_config([word, f"optimizer_spec.lr={name}", "optimizer_spec.momentum=0.9"])
    load_config(["trainer.max_epochs=many", *words])
    load_config([word, "optimizer_spec.lr=fast"])
    load_config(["callbacks=[early_stopping]", "callbacks.early_stopping.monitor=val/nothing", word])
    load_config(["scheduler_spec=cosine_annealing", "scheduler_spec.T_max=${trainer.no_such}", word])
    # error: optimizer_spec: no option 'sdg'; did you mean 'sgd'?
    load_config(["optimizer_spec=sdg", *words])
    # error: trainer.max_epochs: expected a whole number of at least -1, found 'many'
    load_config([*words, "trainer.max_epochs=many"])
    # error: optimizer_spec.nesterov: expected true or false, found 3
    made(["optimizer_spec=sgd", "optimizer_spec.nesterov=3"], name)
    # error: seed_params.sed: SeedParams has no such field; did you mean 'seed'?
    made(["seed_params.sed=3"], base={})
    # error: expected key=value
    load_config(["trainer.max_epochs"], words[0])
    # error: experiment: no experiment 'digits/robst'; did you mean 'digits/robust'?
    load_config(words, "digits/robst")


# error: optimizer_spec.lr: expected a number above 0, found 'fast'
load_config(["optimizer_spec.lr=fast"])
# error: optimizer_spec.lr: expected a number above 0, found -1
app.load_config(overrides=[LOW])
# error: experiment: no experiment 'digits/robst'; did you mean 'digits/robust'?
app.load_config(experiment="digits/robst")
# error: experiment: no experiment 'digits/robst'; did you mean 'digits/robust'?
made(("trainer.max_epochs=3", "experiment=digits/robst"))
# error: metrics.precision_at_fixed_recall.min_recall: needs a value
made(["metrics=[precision_at_fixed_recall]"])
config = load_config(
    [
        "module=mlp",
        # error: trainer.max_epochs: expected a whole number of at least -1, found 2.5
        "trainer.max_epochs=2.5",
        # error: optimizer_spec.momentun: AdamWSpec has no such field
        "optimizer_spec.momentun=0.9",
    ]
)
try:
    load_config(["trainer=no_such"])  # type: ignore[config]  # wrong on purpose
except ConfigError:
    pass
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project elsewhere, with a copy of this package that tests may change."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "app", folder / "app", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "pyproject.toml").write_text(SETTINGS)
    return folder


def checked(project: Path, text: str, name: str = "calls.py") -> dict[int, str]:
    """What mypy reports of a program, by line."""
    (project / name).write_text(text)
    command = [sys.executable, "-m", "mypy", "--no-error-summary", name]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    errors = [re.fullmatch(rf"{name}:(\d+): error: (.+)  \[config\]", line) for line in done.stdout.splitlines()]
    assert all(errors), done.stdout
    return {int(error[1]): error[2] for error in errors if error}


def test_wrong_texts_are_errors_where_they_stand_and_nothing_else_is(project: Path) -> None:
    lines = CALLS.splitlines()
    expected = {
        number + 1: line.strip().removeprefix("# error: ")
        for number, line in enumerate(lines, start=1)
        if line.strip().startswith("# error: ")
    }

    found = checked(project, CALLS)

    assert len(expected) > 10
    assert found.keys() == expected.keys()
    assert [(line, message) for line, message in found.items() if not message.startswith(expected[line])] == []


def test_a_verdict_is_given_anew_when_an_experiment_changes(project: Path) -> None:
    program = 'from app import load_config\n\nload_config(["trainer.max_epochs=7"], experiment="digits/new")\n'
    assert "no experiment 'digits/new'" in checked(project, program, "later.py")[3]

    file = project / "app/tasks/digits/experiments/new.yaml"
    file.write_text("# @package _global_\nseed_params: {seed: 3}\n")
    assert checked(project, program, "later.py") == {}

    file.write_text("# @package _global_\nseed_params: {seed: three}\n")
    message = checked(project, program, "later.py")[3]
    assert message.startswith("seed_params.seed: expected a whole number")
    assert message.endswith("   app/tasks/digits/experiments/new.yaml:2:15"), "what is wrong is in the file"


def test_a_verdict_is_given_anew_when_a_schema_changes(project: Path) -> None:
    program = 'from app import load_config\n\nload_config(["datamodule.augmentations.random_affine.max_rotation=20"])\n'
    schema = project / "app/schemas/augmentations/images.py"
    before = schema.read_text()
    assert checked(project, program, "later.py") == {}

    schema.write_text(
        before.replace(
            "max_rotation: Annotated[float, Ge(0), Le(180)]", "max_rotation: Annotated[float, Ge(0), Le(10)]"
        )
    )
    assert "a number of at least 0 and of at most 10, found 20" in checked(project, program, "later.py")[3]

    schema.write_text(f"{before}\nraise RuntimeError('not finished')\n")
    assert checked(project, program, "later.py")[3] == "cannot be checked: RuntimeError: not finished"
    schema.write_text(before)
    assert checked(project, program, "later.py") == {}


def test_a_verdict_is_given_anew_when_what_gives_it_changes(project: Path) -> None:
    code = (
        "import sys; from app.checks.override_texts import findings; findings(('optimizer_spec.lr=fast',));"
        "print(*(module.__file__ for name, module in sys.modules.items() if name.partition('.')[0] == 'app'))"
    )
    environment = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    package = project / "app"
    judging = {*map(Path, done.stdout.split())}

    assert len(judging) > 30
    # It holds nothing but a sentence.
    assert judging - {*_judging(package)} == {package / "checks/__init__.py"}


def test_mypy_imports_no_torch_for_it(project: Path) -> None:
    (project / "one.py").write_text('from app import load_config\n\nload_config(["optimizer_spec.lr=fast"])\n')
    code = "import sys; from mypy import api; print(api.run(['one.py'])[0], {'torch', 'lightning'} & {*sys.modules})"
    environment = {**os.environ, "PYTHONPATH": str(project)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert "found 'fast'" in done.stdout
    assert done.stdout.rstrip().endswith("set()")
