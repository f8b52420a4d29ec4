"""What the gate lets pass is right in an editor too."""

import pytest

from app.compose import load_config
from app.composing.experiments import experiment_names
from app.schemas.registry import Option, options
from app.schemas.schema import required_fields
from app.tasks import task_folders
from tests.choosing import NEEDED, choosing
from tests.gate.conftest import Write, experiment, folder
from tests.gate.test_corpus import RIGHT
from tests.json_schema.validating import Place, as_experiment, errors, validator

__all__ = ["experiment", "folder"]

FURTHER = [
    "optimizer_spec: {id: sgd, momentum: 0.9}",
    "defaults: [override /optimizer_spec: adam]\noptimizer_spec: {id: sgd, momentum: 0.9}",
    "defaults: [override /scheduler_spec: null]",
    "scheduler_spec: null",
    "scheduler_spec: {id: cosine_annealing, T_max: 20}",
    "defaults: [override /callbacks: []]",
    "defaults: [override /loss: focal]",
    "defaults: [override /callbacks: null, override /logger: [csv], _self_]",
    (
        "defaults: [override /callbacks: [checkpoint, early_stopping]]\n"
        "callbacks: {early_stopping: {monitor: val/loss, mode: min, patience: 9}}"
    ),
    "callbacks: {mine: {id: timer, duration: '00:01:00:00'}}",
    "callbacks: {checkpoint: {id: timer}}",
    "callbacks: {mine: {id: timer, duration: '${oc.env:NO_DURATION,00:01:00:00}'}}",
    "callbacks: {}",
    "defaults: [override /logger: [wandb]]\nlogger: {wandb: {id: abc, mode: offline}}",
    (
        "defaults: [override /module: parts, override /backbone: conv]\n"
        "module: {model_config: {backbone: {channels: [8, 16]}, head: {num_classes: '${task.num_classes}'}}}"
    ),
    "defaults: [override /module: parts]\nmodule: {model_config: {backbone: {id: conv, channels: [8]}}}",
    "defaults: [override /module: parts]\nmodule: {model_config: {backbone: {width: 8}, neck: null}}",
    "scheduler_spec: {id: step}",
    "defaults: [override /scheduler_spec: step]\nscheduler_spec: null",
    "module: {id: parts}",
    "module: {id: mlp, model_config: {hidden_dims: []}}",
    "defaults: [override /loss: [focal, dice]]\njoint_loss: {losses: {focal: {gamma: 3}, dice: {weight: 0.5}}}",
    "joint_loss: {losses: {sharp: {id: focal, kind: multiclass}}}",
    (
        "defaults: [override /scheduler_spec: chained]\n"
        "scheduler_spec: {schedulers: [{id: constant, total_iters: 2}, {id: exponential, gamma: 0.9}]}"
    ),
    (
        "defaults: [override /callbacks: [gradient_accumulation]]\n"
        "callbacks: {gradient_accumulation: {scheduling: {0: 2, 4: 4}}}"
    ),
    "optimizers:\n  centres:\n    parameters: [.head]\n    optimizer_spec: {id: sgd, lr: 0.1}",
    "defaults: [override /trainer: cpu]\ntrainer: {max_epochs: 1}",
    "run_directory: {root: 'a${task.name}b'}",
    "trainer: {max_epochs: '${oc.decode:${oc.env:EPOCHS,3}}'}",
]
"""Kinds of thing that experiments may say, beside those of the gate's own tests."""


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_is_right(name: str) -> None:
    task, _, leaf = name.partition("/")
    text = (task_folders()[task] / "experiments" / f"{leaf}.yaml").read_text()

    assert errors(text, validator(task)) == []


@pytest.mark.parametrize("text", RIGHT)
def test_right_values_are_right(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize("text", FURTHER)
def test_what_the_gate_takes_is_right(experiment: Write, text: str) -> None:
    load_config([experiment(text)])

    assert errors(text) == []


@pytest.mark.parametrize("group", options)
def test_every_option_is_right_as_it_is(group: str) -> None:
    named = [option for option in options[group].values() if _is_whole(option)]
    found = {option.name: _errors_of(option) for option in named}

    assert len(found) >= 1
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def _errors_of(option: Option) -> list[tuple[Place, str]]:
    words = choosing(option.group.name, option.name)
    task = next((word.removeprefix("task=") for word in words if word.startswith("task=")), "digits")
    return errors(as_experiment(words), validator(task))


def _is_whole(option: Option) -> bool:
    """Whether it can do without any value, or is given what it needs."""
    needs = {*required_fields(option.schema)} - option.preset.keys()
    return not needs or f"{option.group.name}={option.name}" in NEEDED
