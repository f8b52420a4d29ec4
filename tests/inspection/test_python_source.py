import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from app.compose import Composed, compose, load_config
from app.composing.experiments import experiment_names
from app.inspection.python_code import Entry, Expression, imports, laid_out, quoted
from app.inspection.python_source import python_source
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.run import RunConfig
from tests.choosing import UNINSTALLED, choosing
from tests.gate.test_corpus import RIGHT, overrides_of

ROOT = Path(__file__).parents[2]

OPTIONS = [choosing(group, name) for group, named in options.items() for name in named if name not in UNINSTALLED]
VALUES = [list(overrides_of(yaml.safe_load(text))) for text in RIGHT]


@pytest.fixture(scope="module")
def right() -> list[Composed]:
    """Configs of every experiment, of every option, and of many values."""
    experiments = [compose(experiment=name) for name in experiment_names()]
    return [*experiments, *(found for overrides in [*OPTIONS, *VALUES] if (found := composed_or_none(overrides)))]


def composed_or_none(overrides: list[str]) -> Composed | None:
    """None for options that do not go together."""
    try:
        return compose(overrides)
    except ConfigError:
        return None


@pytest.fixture(scope="module")
def written(right: list[Composed], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text of each."""
    folder = tmp_path_factory.mktemp("written")
    for number, composed in enumerate(right):
        (folder / f"config_{number}.py").write_text(python_source(composed.config, composed.tree))
    return folder


def executed(text: str) -> RunConfig:
    names: dict[str, Any] = {}
    exec(text, names)
    config = names["config"]
    assert isinstance(config, RunConfig)
    return config


def run(*command: str) -> str:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_text_gives_an_equal_config(right: list[Composed], written: Path) -> None:
    assert len(right) > 0.9 * (len(OPTIONS) + len(VALUES)) > 180
    for number, composed in enumerate(right):
        text = (written / f"config_{number}.py").read_text()
        assert executed(text) == composed.config, text


@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.filter_too_much])
@given(st.lists(st.sampled_from([*OPTIONS, *VALUES]), min_size=2, max_size=4))
def test_so_it_does_for_any_mixture(parts: list[list[str]]) -> None:
    composed = composed_or_none([word for part in parts for word in part])
    assume(composed is not None)
    assert composed is not None
    assert executed(python_source(composed.config, composed.tree)) == composed.config
    assert executed(python_source(composed.config)) == composed.config, "without the tree too"


def test_mypy_and_ruff_have_nothing_to_add(written: Path) -> None:
    files = sorted(map(str, written.glob("*.py")))
    assert run("mypy", "--no-error-summary", *files) == ""
    for width in ("88", "120"):
        run("ruff", "format", "--isolated", "--check", "--line-length", width, str(written))
        run("ruff", "check", "--isolated", "--select", "E4,E7,E9,F,I,UP", "--line-length", width, str(written))


def test_it_needs_nothing_but_the_schemas(written: Path) -> None:
    code = "import sys, runpy; runpy.run_path(sys.argv[1]); assert not {'torch', 'lightning'} & {*sys.modules}"
    done = subprocess.run([sys.executable, "-c", code, str(written / "config_3.py")], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_only_what_differs_from_the_defaults_is_written() -> None:
    composed = compose(["optimizer_spec=sgd", "optimizer_spec.momentum=0.9", "trainer.max_epochs=7"])

    assert (
        python_source(composed.config, composed.tree)
        == """\
from app.schemas.optimizers import SGDSpec
from app.schemas.run import RunConfig
from app.schemas.trainer import TrainerConfig
from app.tasks.digits.config import DigitsTaskConfig

config = RunConfig(
    task=DigitsTaskConfig(),
    trainer=TrainerConfig(max_epochs=7),
    optimizer_spec=SGDSpec(momentum=0.9),
)
"""
    )
    assert python_source(load_config()).endswith("\nconfig = RunConfig(task=DigitsTaskConfig())\n")


def test_an_interpolation_stands_beside_what_it_gave() -> None:
    chosen = ["scheduler_spec=cosine_annealing", "scheduler_spec.T_max=${trainer.max_epochs}", "trainer.max_epochs=7"]
    composed = compose([*chosen, "metrics.top3={id: accuracy, top_k: 3}"])

    text = python_source(composed.config, composed.tree)

    assert "        T_max=7,  # ${trainer.max_epochs}\n" in text
    assert "            num_classes=10,  # ${task.num_classes}\n" in text, "presets interpolate too"
    assert "#" not in python_source(composed.config)


@pytest.mark.parametrize(
    ("typed", "variable"),
    [
        ("very-secret", "WANDB_API_KEY"),
        ("${oc.env:MY_KEY}", "MY_KEY"),
        ("${oc.env:NO_KEY,very-secret}", "WANDB_API_KEY"),
    ],
)
def test_a_secret_is_read_from_the_environment(typed: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "very-secret")
    composed = compose(["logger=[wandb]", f"logger.wandb.api_key={typed}"])

    text = python_source(composed.config, composed.tree)

    assert "very-secret" not in text
    assert text.startswith("import os\n\nfrom pydantic import SecretStr\n\nfrom app.")
    assert f'api_key=SecretStr(os.environ["{variable}"])' in text
    monkeypatch.setenv(variable, "very-secret")
    assert executed(text) == composed.config


@pytest.mark.parametrize("text", ["", "it's", 'say "so"', "'\"'\"", "a\\", "tab\tend\n", "\x07é→", "\\'", '"'])
def test_texts_are_quoted_as_ruff_does(text: str, tmp_path: Path) -> None:
    assert eval(quoted(text)) == text
    (tmp_path / "text.py").write_text(f"text = {quoted(text)}\n", encoding="utf-8")
    run("ruff", "format", "--isolated", "--check", str(tmp_path))


def test_what_is_too_long_has_one_entry_a_line() -> None:
    def call(width: int) -> Expression:
        return Expression("Part(", [Entry("name=", Expression("1" * width))], ")")

    assert laid_out("config = ", call(88 - len("config = Part(name=)"))).count("\n") == 0
    assert laid_out("config = ", call(89 - len("config = Part(name=)"))).count("\n") == 2
    assert laid_out("x = ", Expression("(", [Entry("", Expression("1"))], ")")) == "x = (1,)"


def test_two_classes_of_one_name_are_told_apart() -> None:
    names: Mapping[str, list[tuple[str, str]]] = {"b": [("Part", "Part2")], "a": [("Part", "Part")]}
    assert imports(names) == "from a import Part\nfrom b import Part as Part2"
