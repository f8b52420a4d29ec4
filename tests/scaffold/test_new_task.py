"""Everything that `app new` writes into a checkout is right, trains and tests itself as it is."""

import json
import re
import shutil
import sys
from pathlib import Path

import pytest

from app.scaffold.new_task import _files
from tests.scaffold.checkout import Said, copied, run, run_all
from tests.test_imports import HEAVY

TASK = "wine_colours"
SCHEMAS = {
    "torch.optim.SGD": ["--name", "sgd_of_mine"],
    "torch.optim.Adafactor": ["--name", "adafactor_of_mine"],
    "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts": ["--name", "restarts"],
    "torch.optim.lr_scheduler.MultiStepLR": ["--name", "steps_of_mine"],
    "torch.nn.CrossEntropyLoss": ["--name", "cross_entropy_of_mine"],
    "torch.nn.TripletMarginLoss": ["--name", "triplets"],
    "torchmetrics.classification.MulticlassAccuracy": [],
    "lightning.pytorch.callbacks.EarlyStopping": ["--name", "stop_of_mine"],
    "app.models.poolings.GeMPooling": ["--group", "pooling", "--name", "gem_of_mine"],
    "app.tasks.wine_colours.own.PowerPooling": ["--group", "pooling"],
}
OWN = '''"""A class of one's own."""

from collections.abc import Sequence

from torch import Tensor, nn


class PowerPooling(nn.Module):
    """Raises to a power, and pools.

    Parameters
    ----------
    power : float, optional
        The power that each value is raised to. Larger ones are nearer to the maximum.
    form : {"mean", "max"}
        How values become one: their mean or the largest.
    dims
        The dimensions that are pooled.
    """

    def __init__(self, power: float = 3, form: str = "mean", dims: Sequence[int] = (2, 3), extra: object = 0) -> None:
        super().__init__()
        self.power, self.form, self.dims, self.extra = power, form, dims, extra

    def forward(self, maps: Tensor) -> Tensor:
        """One number for each channel."""
        return (maps**self.power).mean(dim=tuple(self.dims))
'''


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def new(checkout: Path) -> dict[str, Said]:
    """What `app new` said, by what was asked for."""
    [task] = run_all(checkout, ["new", "task", TASK])
    assert task.status == 0, task.errors
    [module] = run_all(checkout, ["new", "module", f"{TASK}/residual"])
    assert module.status == 0, module.errors
    (checkout / "app/tasks" / TASK / "own.py").write_text(OWN)
    asked = {
        "experiment": [
            *("new", "experiment", f"{TASK}/all", f"module={TASK}/network", "module.model_config.width=16"),
            *("optimizer_spec=sgd", "optimizer_spec.lr=5e-2", "callbacks=[checkpoint,early_stopping]"),
            *("metrics.top2={id: accuracy, top_k: 2}", "trainer.max_epochs=7"),
        ],
        "skeleton": ["new", "experiment", f"{TASK}/first"],
        "another": ["new", "experiment", f"{TASK}/second"],
        "based": ["new", "experiment", f"{TASK}/based", f"experiment={TASK}/wide", "scheduler_spec=exponential"],
        **{
            path: ["new", "schema", path, *more, "--file", f"app/tasks/{TASK}/schema_{place}.py"]
            for place, (path, more) in enumerate(SCHEMAS.items())
        },
    }
    said = dict(zip(asked, run_all(checkout, *asked.values()), strict=True))
    assert {name: one.errors for name, one in said.items() if one.status} == {}
    return {"task": task, "module": module, **said}


@pytest.mark.slow
def test_the_words_say_what_was_written_and_what_to_change(new: dict[str, Said]) -> None:
    assert new["task"].out.splitlines()[0] == f"wrote app/tasks/{TASK} and tests/tasks/{TASK}"
    assert f"app task={TASK}" in new["task"].out
    assert "make docs" in new["task"].out
    written = [f"app/tasks/{TASK}/{part}.py" for part in ("config", "model", "module")]
    test = f"tests/tasks/{TASK}/test_residual_module.py"
    assert new["module"].out.splitlines()[0] == f"wrote {', '.join([*written, test])}"
    assert new["skeleton"].out.splitlines()[-1] == f"Run it: app experiment={TASK}/first"


@pytest.mark.slow
def test_only_a_schema_needs_the_packages_that_it_is_about(new: dict[str, Said]) -> None:
    for name in ("task", "module", "experiment", "skeleton"):
        assert HEAVY.isdisjoint(new[name].packages)
    assert "torch" in new["torch.optim.SGD"].packages


@pytest.mark.slow
def test_all_of_it_is_as_make_check_wants_it(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    longest = "long_names" * 4
    for name in ("x", longest):
        for file, text in _files(name, checkout / "app/tasks" / name, checkout / "tests/tasks" / name).items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    try:
        new_folders = [f"{place}/tasks/{name}" for place in ("app", "tests") for name in (TASK, "x", longest)]
        for command in (["format", "--check"], ["check"]):
            done = run(checkout, sys.executable, "-m", "ruff", *command, *new_folders)
            assert done.returncode == 0, done.stdout
    finally:
        for name in ("x", longest):
            shutil.rmtree(checkout / "app/tasks" / name)
            shutil.rmtree(checkout / "tests/tasks" / name)
    folders = [f"app/tasks/{TASK}", f"tests/tasks/{TASK}"]
    done = run(checkout, sys.executable, "-m", "mypy", *folders)
    assert done.returncode == 0, done.stdout
    done = run(checkout, sys.executable, "-m", "app", "check", TASK, "--shapes")
    assert "no problem found in 6 configs" in done.stdout, done.stdout
    done = run(checkout, sys.executable, "-m", "app", "schema", "--check", TASK)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_trains_as_it_is(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    said = run_all(
        checkout,
        [f"task={TASK}", "trainer.max_epochs=8", "optimizer_spec.lr=5e-3", "hydra.run.dir=runs/default"],
        [f"task={TASK}", f"module={TASK}/residual", "trainer.max_epochs=1", "hydra.run.dir=runs/residual"],
        [f"experiment={TASK}/all", "trainer.max_epochs=1", "hydra.run.dir=runs/all"],
    )
    assert [one.status for one in said] == [0, 0, 0], [one.errors for one in said]
    result = json.loads((checkout / "runs/default/result.json").read_text())
    assert result["test"]["test/accuracy"] > 0.85
    assert json.loads((checkout / "runs/all/result.json").read_text())["test"].keys() > {"test/top2"}


@pytest.mark.slow
def test_its_own_tests_pass(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    done = run(checkout, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/tasks/{TASK}")
    assert done.returncode == 0, done.stdout
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None
    assert int(passed[1]) > 25


@pytest.mark.slow
def test_an_experiment_composes_to_what_its_overrides_do(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    assert (checkout / "app/tasks" / TASK / "experiments/all.yaml").read_text() == ALL
    assert (checkout / "app/tasks" / TASK / "experiments/based.yaml").read_text() == BASED
    code = f"""
from app import load_config
words = ["task={TASK}", "module={TASK}/network", "module.model_config.width=16", "optimizer_spec=sgd"]
words += ["optimizer_spec.lr=5e-2", "callbacks=[checkpoint,early_stopping]", "metrics.top2={{id: accuracy, top_k: 2}}"]
assert load_config([*words, "trainer.max_epochs=7"]) == load_config(experiment="{TASK}/all")
assert load_config(words) != load_config(experiment="{TASK}/all")
"""
    done = run(checkout, sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_schemas_take_what_their_classes_take(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    done = run(checkout, sys.executable, "-c", DRIFT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(len(SCHEMAS)), "0.05"]


@pytest.mark.slow
def test_a_schema_of_ones_own_class_says_what_its_docstring_does(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    place = list(SCHEMAS).index("app.tasks.wine_colours.own.PowerPooling")
    assert (checkout / "app/tasks" / TASK / f"schema_{place}.py").read_text() == POWER_POOLING


@pytest.mark.slow
def test_a_module_is_tested_where_its_task_s_data_is_written_and_not_where_it_is_downloaded(
    checkout: Path, new: dict[str, Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert new
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    written, downloaded = run_all(checkout, ["new", "module", "tabular/residual"], ["new", "module", "mnist/wide_mlp"])

    assert downloaded.status == 0, downloaded.errors
    assert "Its tests are for you to add" in downloaded.out
    test = "tests/tasks/tabular/test_residual_module.py"
    assert written.out.splitlines()[0].endswith(test)
    done = run(checkout, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def refused(checkout: Path, new: dict[str, Said]) -> dict[str, tuple[Said, bool]]:
    """What is said of what cannot be written, and whether everything is as it was afterwards."""
    assert new
    words = list(REFUSED)
    before = _state(checkout)
    said = run_all(checkout, *(["new", *word.split()] for word in words))
    after = _state(checkout)
    return {word: (one, before == after) for word, one in zip(words, said, strict=True)}


REFUSED = {
    "": "app new needs a second word: 'task', 'module', 'experiment' or 'schema'",
    "modul x": "app new needs a second word; did you mean 'module'?   modul",
    "task": "expected one name: app new task NAME",
    "task digits": "'digits' is taken; to change it, see app/tasks/digits   digits",
    "task shared": "'shared' is where tasks keep what they share   shared",
    "task Wine": (
        "'Wine' cannot be a name; expected small letters and digits, a letter first, with single '_' between words"
        "   Wine"
    ),
    "task lambda": "'lambda' is a word that stands for something else   lambda",
    "task random": "'random' is a module of Python's own   random",
    "task a_name_b": "'a_name_b' has a part that Hydra takes for a place that it fills in   a_name_b",
    "task wines trainer.max_epochs=3": "only a new experiment takes overrides   trainer.max_epochs=3",
    "task wines --name x": "only a new schema takes flags   --name",
    "module residual": "expected <task>/<name>, as in ",
    "module wine_color/big": "no task 'wine_color'; did you mean 'wine_colours'?   wine_color/big",
    "module wine_colours/network": "'network' is taken   wine_colours/network",
    "module wine_colours/module": "app/tasks/wine_colours/config.py has a name ModuleConfig already;",
    "experiment wine_colours/wide": "'wide' is taken   wine_colours/wide",
    "experiment wine_colours/../x": "'../x' cannot be a name; expected small letters and digits, a letter first, with",
    "experiment wine_colours/new experiment=wine_colours/wide": (
        "gives the same config as experiment=wine_colours/wide; expected overrides that change it"
        "   wine_colours/new experiment=wine_colours/wide"
    ),
    "experiment wine_colours/new module=wine_colours/default": (
        "gives the same config as task=wine_colours; expected overrides that change it"
    ),
    "experiment wine_colours/new optimizer_spec.lrr=1": "optimizer_spec.lrr: AdamWSpec has no such field; did you mean",
    "experiment wine_colours/new task=digits": "task: is another task than the experiment's, wine_colours",
    "experiment wine_colours/new hydra.run.dir=x": "hydra.run.dir: is for the command line alone;",
    "experiment wine_colours/new logger=wandb logger.wandb.api_key=abc": (
        "logger.wandb.api_key: is a secret, which belongs in no file: ${oc.env:NAME} reads it from the environment"
        "   logger.wandb.api_key=********"
    ),
    "schema torch.optim.SGDD": "expected package.Class, found no such class; did you mean 'SGD'?   torch.optim.SGDD",
    "schema torch.optim.SGD": "optimizer_spec=sgd is app.schemas.optimizers.SGDSpec; another one needs --name",
    "schema torch.nn.Linear": "its bases tell of no group; say which: --group optimizer_spec|",
    "schema torch.nn.Linear --group hed": "--group takes 'optimizer_spec', 'scheduler_spec', 'loss', ",
    "schema torch.optim.lr_scheduler.LambdaLR": (
        "torch.optim.lr_scheduler.LambdaLR needs 'lr_lambda', which holds what no config can say"
    ),
    "schema torch.optim.SGD --name other --file app/tasks/digits/config.py": (
        "app/tasks/digits/config.py is there already, and nothing is overwritten"
    ),
}
"""Words behind `app new`, and how what is said of them begins."""


@pytest.mark.slow
@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_written_is_refused_and_nothing_is(words: str, refused: dict[str, tuple[Said, bool]]) -> None:
    said, as_before = refused[words]

    assert said.errors.startswith(REFUSED[words])
    assert said.status in (1, 2)
    assert as_before


@pytest.mark.slow
def test_what_app_check_says_no_to_is_taken_back(checkout: Path, new: dict[str, Said]) -> None:
    assert new
    config = checkout / "app/tasks/digits/config.py"
    text = config.read_text()
    config.write_text(f"{text}\nif open(__file__).read().count('WideModuleConfig') > 1:\n    1 / 0\n")
    before = _state(checkout)
    try:
        [said] = run_all(checkout, ["new", "module", "digits/wide"])
        after = _state(checkout)
    finally:
        config.write_text(text)

    assert said.status == 1
    assert said.errors.startswith("nothing was written, for app schema digits said")
    assert after == before


def _state(checkout: Path) -> dict[str, bytes]:
    files = [file for folder in ("app", "tests") for file in (checkout / folder).rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files if "__pycache__" not in file.parts}


ALL = """\
# @package _global_
# yaml-language-server: $schema=../experiments.schema.json
# …
defaults:
  - override /module: wine_colours/network
  - override /optimizer_spec: sgd
  - override /callbacks: [checkpoint, early_stopping]

module:
  model_config:
    width: 16

optimizer_spec:
  lr: 0.05

metrics:
  top2: {id: accuracy, top_k: 2}

trainer:
  max_epochs: 7
"""

BASED = """\
# @package _global_
# yaml-language-server: $schema=../experiments.schema.json
# …
defaults:
  - wide
  - override /scheduler_spec: exponential
"""

DRIFT = """
import glob, importlib
from app import load_config
from app.builders.targets import live_class
from app.scaffold.kinds import KINDS
from app.schemas.annotations import field_types
from app.schemas.registry import options
from app.schemas.schema import import_path
from tests.schemas import test_registry_targets as drift

count = 0
for file in sorted(glob.glob("app/tasks/wine_colours/schema_*.py")):
    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
    for named in options.values():
        for option in named.values():
            if option.schema.__module__ == module.__name__:
                count += 1
                arguments, _ = drift.arguments_of(option.target)
                told = drift.defaults_of(option.schema)
                own = {name: told[name] for name in told if name not in field_types(option.group.base) or name == "lr"}
                assert own.keys() <= arguments.keys(), option
                required = {name for name, default in arguments.items() if default is drift.NOTHING}
                assert required <= own.keys() | KINDS[option.group.name].given.keys(), option
                assert {name for name in own if own[name] != arguments[name]} == set(), option
                drift.OURS[import_path(option.schema)] = option.schema
                drift.test_the_types_of_fields_are_narrow(import_path(option.schema))
                drift.test_a_schema_and_each_of_its_fields_say_what_they_are(import_path(option.schema))
words = ["optimizer_spec=sgd_of_mine", "optimizer_spec.lr=0.05", "scheduler_spec=restarts", "scheduler_spec.T_0=4"]
words += ["loss=[cross_entropy_of_mine]", "callbacks=[stop_of_mine]", "callbacks.stop_of_mine.monitor=val/loss"]
words += ["metrics=[multiclass_accuracy]", "metrics.multiclass_accuracy.num_classes=3", "task=wine_colours"]
print(count, load_config(words).optimizer_spec.lr)
"""

POWER_POOLING = '''"""The schema of `app.tasks.wine_colours.own.PowerPooling`."""

from typing import Literal

from app.schemas.parts.kinds import PoolingConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@register("pooling", "power_pooling", target="app.tasks.wine_colours.own.PowerPooling")
@schema
class PowerPoolingConfig(PoolingConfig):
    """Raises to a power, and pools."""

    # Left out: extra (holds what no config can say: object).

    power: float = 3.0
    """The power that each value is raised to."""

    form: Literal["mean", "max"] = "mean"
    """How values become one: their mean or the largest."""

    dims: tuple[int, ...] = (2, 3)
    """The dimensions that are pooled."""
'''
