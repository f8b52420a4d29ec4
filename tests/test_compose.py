"""Configs typed, written and made in Python are equal, everything wrong is reported, and nothing heavy is imported."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.compose import compose_sweep, load_config
from app.schemas.callbacks import CheckpointConfig, EarlyStoppingConfig
from app.schemas.modules import MLPModuleConfig
from app.schemas.optimizers import AdamWSpec, SGDSpec
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.run import RunConfig
from app.schemas.schedulers import CosineAnnealingLRSpec
from app.schemas.seed import SeedParams
from app.schemas.trainer import TrainerConfig
from app.tasks.digits.config import CNNConfig, CNNModuleConfig, DigitsTaskConfig
from app.tasks.tabular.config import TabularTaskConfig
from tests.gate.conftest import Write, experiment, folder

__all__ = ["experiment", "folder"]

TASK = DigitsTaskConfig()
SAME: list[tuple[list[str], str, RunConfig]] = [
    ([], "{}", RunConfig(task=TASK)),
    (
        ["optimizer_spec.lr=3e-4"],
        "optimizer_spec: {lr: 3e-4}",
        RunConfig(task=TASK, optimizer_spec=AdamWSpec(lr=3e-4)),
    ),
    (
        ["optimizer_spec=sgd", "optimizer_spec.momentum=0.9", "optimizer_spec.lr=0.1"],
        "defaults: [override /optimizer_spec: sgd]\noptimizer_spec: {momentum: 0.9, lr: 0.1}",
        RunConfig(task=TASK, optimizer_spec=SGDSpec(lr=0.1, momentum=0.9)),
    ),
    (
        ["module=mlp", "seed_params.seed=7"],
        "defaults: [override /module: mlp]\nseed_params: {seed: 7}",
        RunConfig(task=TASK, module=MLPModuleConfig(), seed_params=SeedParams(seed=7)),
    ),
    (
        ["module.model_config={channels: [8], dropout: 0}"],
        "module:\n  model_config:\n    channels: [8]\n    dropout: 0",
        RunConfig(task=TASK, module=CNNModuleConfig(model_config=CNNConfig(channels=(8,), dropout=0))),
    ),
    (
        ["trainer.max_epochs=3", "scheduler_spec=cosine_annealing"],
        "defaults: [override /scheduler_spec: cosine_annealing]\ntrainer: {max_epochs: 3}",
        RunConfig(task=TASK, trainer=TrainerConfig(max_epochs=3), scheduler_spec=CosineAnnealingLRSpec(T_max=3)),
    ),
    (
        ["callbacks=[checkpoint,early_stopping]", "callbacks.early_stopping.patience=9", "logger=null"],
        (
            "defaults:\n - override /callbacks: [checkpoint, early_stopping]\n - override /logger: []\n"
            "callbacks: {early_stopping: {patience: 9}}"
        ),
        RunConfig(
            task=TASK,
            callbacks={
                "checkpoint": CheckpointConfig(monitor="val/loss", mode="min"),
                "early_stopping": EarlyStoppingConfig(monitor="val/loss", mode="min", patience=9),
            },
            logger={},
        ),
    ),
]


@pytest.mark.parametrize(("typed", "written", "made"), SAME)
def test_typed_written_and_made_in_python_are_equal(
    experiment: Write, typed: list[str], written: str, made: RunConfig
) -> None:
    chosen = experiment(written)
    assert load_config(typed) == load_config([chosen]) == load_config(experiment=chosen.partition("=")[2]) == made


def test_everything_wrong_is_reported_at_once_wherever_it_was_set(experiment: Write) -> None:
    chosen = experiment("trainer:\n  max_epochs: many\nfoo: 1\ndefaults: [override /logger: [cvs]]\n")
    with pytest.raises(ConfigError) as caught:
        load_config([chosen, "optimizer_spec=adamm", "task.mode=max", "seed_params.seed=-1", "+bar=2", "a b=3"])  # type: ignore[config]  # refused, as the test says

    assert {problem.path: problem.source for problem in caught.value.problems} == {
        "trainer.max_epochs": "digits/experiments/x.yaml:2:3",
        "foo": "digits/experiments/x.yaml:3:1",
        "defaults[0]": "digits/experiments/x.yaml:4:12",
        "optimizer_spec": "optimizer_spec=adamm",
        "task.mode": "task.mode=max",
        "seed_params.seed": "seed_params.seed=-1",
        "bar": "+bar=2",
        "": "a b=3",
    }


def test_a_rule_between_parts_is_blamed_on_what_was_set() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["scheduler_spec=cosine_annealing", "scheduler_spec.T_max=3", "trainer.max_epochs=9"])  # type: ignore[config]  # refused, as the test says

    (problem,) = caught.value.problems
    assert (problem.path, problem.source) == ("scheduler_spec.T_max", "scheduler_spec.T_max=3")


@pytest.mark.parametrize("name", options["optimizer_spec"])
def test_the_chosen_option_keeps_its_type(name: str) -> None:
    assert type(load_config([f"optimizer_spec={name}"]).optimizer_spec) is options["optimizer_spec"][name].schema


@pytest.mark.parametrize("none", ["scheduler_spec=null", "scheduler_spec=[]"])
def test_an_optional_part_is_left_out_again(none: str) -> None:
    assert load_config(["scheduler_spec=step", none]).scheduler_spec is None


DIGITS = {"digits/cnn", "digits/default", "mlp", "parts"}
DETECTION = {"detection/default", "detection/resnet", "mlp", "parts"}


@pytest.mark.parametrize(
    ("task", "choice", "of_another", "fitting"),
    [
        ("tabular", "module=segmentation/default", "segmentation", {"mlp", "parts", "tabular/default"}),
        ("digits", "module=detection/default", "detection", DIGITS),
        ("digits", "module=multi_head/default", "multi_head", DIGITS),
        ("digits", "datamodule=retrieval/default", "retrieval", {"digits/default"}),
        ("detection", "module=segmentation/default", "segmentation", DETECTION),
        ("detection", "module=digits/default", "digits", DETECTION),
        # of the same schema as options that fit
        ("digits", "module=tabular/default", "tabular", DIGITS),
        ("digits", "module={id: tabular/default}", "tabular", DIGITS),
        ("mnist", "module=cifar10/resnet", "cifar10", {"mlp", "parts", "mnist/default", "mnist/cnn"}),
    ],
)
def test_an_option_of_another_task_is_one_problem(task: str, choice: str, of_another: str, fitting: set[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([f"task={task}", choice, "optimizer_spec.lr=-1"])

    first, other = caught.value.problems
    assert (first.path, first.source) == (choice.partition("=")[0], choice)
    found, expected = first.message.split("; expected ")
    assert found == f"is of task {of_another}, but the task is {task}"
    assert {*re.findall("'(.*?)'", expected)} == fitting
    assert other.path == "optimizer_spec.lr"


@pytest.mark.parametrize("wrong", ["task.name=mnist", "module.id=mnist/default", "module.id=digits/cnn"])
def test_a_wrong_field_is_not_taken_for_another_choice(wrong: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([wrong])

    [problem] = caught.value.problems
    assert problem.path == wrong.partition("=")[0]


def test_a_part_of_another_task_made_in_python_is_one_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        RunConfig(task=TabularTaskConfig(), module=CNNModuleConfig())

    [problem] = caught.value.problems
    assert (problem.path, problem.message.partition(";")[0]) == (
        "RunConfig.module",
        "is of task digits, but the task is tabular",
    )


def test_the_last_of_two_choices_counts() -> None:
    assert load_config(["optimizer_spec=sgd", "optimizer_spec=adam"]) == load_config(["optimizer_spec=adam"])


def test_one_composition_does_not_leak_into_the_next() -> None:
    before = load_config()
    load_config(["optimizer_spec.params={head: {lr: 0.5}}", "callbacks.checkpoint.save_top_k=7", "hydra.run.dir=x"])

    assert load_config() == before


@pytest.mark.parametrize(
    "setting",
    [
        "hydra.launcher.x=1",
        "hydra.sweeper.max_batch_size=many",
        "hydra.run.dir=${nothing}",
        "hydra.job.env_set={A: b}",
        "hydra.callbacks.x._target_=os.system",
        "+hydra.callbacks={x: {_target_: os.system}}",
        "hydra/job_logging=none",
        "hydra.mode=MULTIRUN",
    ],
)
def test_of_hydra_itself_only_what_is_listed_can_be_set(setting: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([setting])

    (problem,) = caught.value.problems
    assert problem.path.startswith("hydra.")
    assert problem.source == setting


def test_a_sweep_is_refused_before_its_first_job_for_every_wrong_value() -> None:
    with pytest.raises(ConfigError) as caught:
        compose_sweep(["optimizer_spec.lr=0.1,-1,fast", "trainer.max_epochs=1,2"])

    assert {problem.source for problem in caught.value.problems} == {"optimizer_spec.lr=-1", "optimizer_spec.lr=fast"}


def test_a_sweep_gives_the_config_of_every_job() -> None:
    jobs = compose_sweep(["optimizer_spec.lr=0.1,0.2", "optimizer_spec=adam,sgd"])

    assert [(job.config.optimizer_spec.lr, type(job.config.optimizer_spec).__name__) for job in jobs] == [
        (0.1, "AdamSpec"),
        (0.1, "SGDSpec"),
        (0.2, "AdamSpec"),
        (0.2, "SGDSpec"),
    ]


def test_a_sweep_may_leave_an_optional_part_out() -> None:
    jobs = compose_sweep(["scheduler_spec=[],step"])

    assert [job.config.scheduler_spec is None for job in jobs] == [True, False]


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(("-c", code) if code else ("-m", "app")), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_composing_and_refusing_import_neither_torch_nor_lightning(tmp_path: Path) -> None:
    code = """
import sys
from app import load_config
from app.schemas.problems import ConfigError
load_config(["module=mlp"])
try:
    load_config(["foo=1", "optimizer_spec.lr=fast", "optimizer_spec=adamm"])
except ConfigError as error:
    assert len(error.problems) == 3
heavy = {"torch", "lightning", "torchmetrics", "sklearn", "wandb", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    done = run(code, tmp_path)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["+foo=1"], "foo: RunConfig has no such field"),
        (["experiment=../../x"], "experiment: no experiment '../../x'"),
        (["optimizer_spec.lr=${oc.env:NOPE}", "trainer.max_epochs=x"], "the environment has no variable NOPE"),
    ],
)
def test_the_command_line_refuses_with_status_2_and_leaves_nothing_behind(
    tmp_path: Path, overrides: list[str], message: str
) -> None:
    for command in (["check"], []):
        done = run("", tmp_path, *command, *overrides)

        assert done.returncode == 2
        said, silent = (done.stdout, done.stderr) if command else (done.stderr, done.stdout)
        assert message in said
        assert "Traceback" not in said
        assert silent == ""
        assert list(tmp_path.iterdir()) == []


def test_an_exploding_experiment_is_refused_on_the_command_line(experiment: Write, tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]
    chosen = experiment("\n".join(lines))
    code = f"""
import sys
from pathlib import Path
import app.composing.experiments
app.composing.experiments.task_folders = lambda: {{"digits": Path({str(tmp_path / "digits")!r})}}
from app.cli import main
sys.exit(main(sys.argv[1:]))
"""
    before = sorted(tmp_path.rglob("*"))
    done = run(code, tmp_path, chosen)

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("a0: anchors and aliases are not read; interpolate instead: ${path.to.a.value}   ")
    assert done.stderr.endswith("   digits/experiments/x.yaml:1:5\n")
    assert sorted(tmp_path.rglob("*")) == before
