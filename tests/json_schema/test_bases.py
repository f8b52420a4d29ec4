"""An experiment that builds on others has what they chose, in an editor as for the gate."""

from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from app.compose import load_config
from app.schemas.problems import ConfigError
from benchmarks.generated_experiments import write_experiments
from tests.gate.conftest import Write, experiment, folder
from tests.json_schema.validating import errors, fresh_validator

__all__ = ["experiment", "folder"]

BASES = {
    "sgd": "defaults: [override /optimizer_spec: sgd]",
    "adam": "defaults: [override /optimizer_spec: adam]",
    "on_sgd": "defaults: [sgd]\ntrainer: {max_epochs: 3}",
    "muon_by_id": "optimizer_spec: {id: muon}",
    "mlp": "defaults: [override /module: mlp]",
    "parts": "defaults: [override /module: parts, override /backbone: conv]",
    "smoothed": "joint_loss: {losses: {smoothed: {id: cross_entropy, label_smoothing: 0.1, weight: 2}}}",
    "stopping": "defaults: [override /callbacks: [early_stopping]]\n"
    "callbacks: {early_stopping: {monitor: val/loss, mode: min}}",
    "two": "defaults: [override /module: parts]\n"
    "optimizers: {head: {parameters: [.head], optimizer_spec: {id: sgd, lr: 0.1}}}",
    "scheduled": "defaults: [override /scheduler_spec: cosine_annealing]",
    "stored": "checkpoint: some.ckpt",
    "broken": "trainer: {max_epochs: many}\ndefaults: [nothing, {}]\n"
    "callbacks: {3: {id: timer}, 'a(': {id: timer}, b: {id: x}}",
}

RIGHT = [
    "defaults: [sgd]\noptimizer_spec: {momentum: 0.5}",
    "defaults: [on_sgd]\noptimizer_spec: {momentum: 0.5}",
    "defaults: [sgd, override /optimizer_spec: adam]\noptimizer_spec: {betas: [0.5, 0.5]}",
    "defaults: [sgd, adam]\noptimizer_spec: {betas: [0.5, 0.5]}",
    "defaults: [mlp]\nmodule: {model_config: {hidden_dims: [9]}}",
    "defaults: [parts]\nmodule: {model_config: {backbone: {num_convolutions: 1}}}",
    "defaults: [parts, override /backbone: small_resnet]\nmodule: {model_config: {backbone: {width: 8}}}",
    "defaults: [smoothed]\njoint_loss: {losses: {smoothed: {label_smoothing: 0.2}}}",
    "defaults: [stopping]\ncallbacks: {early_stopping: {patience: 9}}",
    "defaults: [two]\noptimizers: {head: {every_n_steps: 2, optimizer_spec: {momentum: 0.9}}}",
    "defaults: [scheduled]\nscheduler_spec: {T_max: 50}",
    "defaults: [scheduled]\nscheduler_spec: null",
    "defaults: [scheduled, override /scheduler_spec: null]",
    "defaults: [muon_by_id, override /module: digits/cnn]\nseed_params: {seed: 3}",
]

WRONG = {
    "defaults: [sgd]\noptimizer_spec: {betas: [0.9, 0.9]}": "optimizer_spec.betas",
    "defaults: [on_sgd]\noptimizer_spec: {betas: [0.9, 0.9]}": "optimizer_spec.betas",
    "defaults: [muon_by_id]\noptimizer_spec: {betas: [0.9, 0.9]}": "optimizer_spec.betas",
    "defaults: [mlp]\nmodule: {model_config: {channels: [9]}}": "module.model_config.channels",
    "defaults: [parts]\nmodule: {model_config: {backbone: {width: 8}}}": "module.model_config.backbone.width",
    "defaults: [mlp, override /backbone: conv]": "defaults.1",
    "defaults: [smoothed]\njoint_loss: {losses: {smoothed: {gamma: 1}}}": "joint_loss.losses.smoothed.gamma",
    "defaults: [smoothed]\njoint_loss: {losses: {other: {weight: 1}}}": "joint_loss.losses.other",
    "defaults: [stopping]\ncallbacks: {checkpoint: {save_top_k: 1}}": "callbacks.checkpoint",
    "defaults: [two]\noptimizers: {head: {every: 2}}": "optimizers.head.every",
    "defaults: [scheduled]\nscheduler_spec: {step_size: 50}": "scheduler_spec.step_size",
    "defaults: [sgd, sgd]": "defaults",
}


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Draft7Validator:
    """Made once: what the bases say is the same in every test."""
    with pytest.MonkeyPatch.context() as patch:
        tasks = tmp_path_factory.mktemp("tasks")
        patch.setattr("app.composing.experiments.task_folders", lambda: {"digits": tasks / "digits"})
        made = tasks / "digits" / "experiments"
        made.mkdir(parents=True)
        _write_bases(made)
        return fresh_validator()


def _write_bases(folder: Path) -> None:
    for name, text in BASES.items():
        (folder / f"{name}.yaml").write_text(text)


@pytest.mark.parametrize("text", RIGHT)
def test_what_a_base_chose_may_be_set(experiment: Write, folder: Path, judge: Draft7Validator, text: str) -> None:
    _write_bases(folder)
    load_config([experiment(text)])

    assert errors(text, judge) == []


@pytest.mark.parametrize("text", WRONG)
def test_what_a_base_did_not_choose_is_wrong(
    experiment: Write, folder: Path, judge: Draft7Validator, text: str
) -> None:
    _write_bases(folder)
    with pytest.raises(ConfigError):
        load_config([experiment(text)])

    assert WRONG[text] in {".".join(map(str, place)) for place, _ in errors(text, judge)}


@pytest.mark.parametrize("text", ["checkpoint: some.ckpt", "resume_path: runs/x", "defaults: [stored]"])
def test_what_a_checkpoint_says_is_not_guessed(judge: Draft7Validator, text: str) -> None:
    values = "optimizer_spec: {momentum: 0.9}\ncallbacks: {timer: {interval: step}}"

    assert errors(f"{text}\n{values}", judge) == []
    assert errors(values, judge) != []


def test_bases_that_differ_leave_it_open(judge: Draft7Validator) -> None:
    assert errors("defaults: [sgd, adam]\noptimizer_spec: {momentum: 0.9}", judge) == []
    assert errors("defaults: [sgd, adam, override /optimizer_spec: adam]\noptimizer_spec: {momentum: 1}", judge) != []


def test_fifty_experiments_that_build_on_each_other_are_right(folder: Path) -> None:
    names = write_experiments(folder, 50)
    judge = fresh_validator()
    texts = {name: (folder / f"{name}.yaml").read_text() for name in names}

    assert len(texts) == 50
    assert {name: wrong for name, text in texts.items() if (wrong := errors(text, judge))} == {}
