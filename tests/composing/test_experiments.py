"""The experiments of the repository, and how Hydra gets to see one."""

from typing import Any

import pytest
from hydra.plugins.config_source import ConfigSource

from app.compose import compose, load_config
from app.composing.experiment_source import ExperimentSource
from app.composing.experiments import experiment_names, merge, read_experiment, with_bases
from app.composing.with_hydra import register_all
from app.schemas.run import RunConfig
from tests.gate.conftest import Write, experiment, folder

__all__ = ["experiment", "folder"]


@pytest.mark.parametrize("name", experiment_names())
def test_every_experiment_passes_the_gate(name: str) -> None:
    composed = compose([], experiment=name)

    assert isinstance(composed.config, RunConfig)
    assert composed.config != load_config()
    assert composed.overrides == (f"experiment={name}",)
    assert read_experiment(name).task == composed.config.task.name


def test_hydra_is_served_an_experiment_with_what_it_builds_on(experiment: Write) -> None:
    register_all()
    experiment("defaults: [override /optimizer_spec: sgd]\ntrainer: {max_epochs: 2, min_epochs: 1}", "base")
    experiment("defaults: [base, override /logger: []]\ntrainer: {max_epochs: 3}")
    source: ConfigSource = ExperimentSource("app", "experiments://")
    served = source.load_config("experiment/digits/x")

    assert served.header["package"] == "_global_"
    assert served.config == {
        "defaults": [
            {"override /task": "digits"},
            {"override /optimizer_spec": "sgd"},
            {"override /logger": None},
            "_self_",
        ],
        "trainer": {"max_epochs": 3, "min_epochs": 1},
    }
    assert source.list("experiment/digits", None) == ["base", "x"]
    assert source.is_config("experiment/digits/x")
    assert not source.is_config("experiment/digits/../x")
    assert source.is_group("experiment/digits")


def test_a_file_that_changed_is_read_anew(experiment: Write) -> None:
    chosen = experiment("trainer: {max_epochs: 2}")
    assert load_config([chosen]).trainer.max_epochs == 2
    experiment("trainer: {max_epochs: 33}")
    assert load_config([chosen]).trainer.max_epochs == 33


def test_every_experiment_is_listed_once_with_its_bases_first(experiment: Write) -> None:
    experiment("seed_params: {seed: 1}", "a")
    experiment("defaults: [a]", "b")
    experiment("defaults: [a, b]", "c")
    experiment("defaults: [b, c, a]")

    parts, problems = with_bases(read_experiment("digits/x"))
    assert [part.name for part in parts] == ["digits/a", "digits/b", "digits/c", "digits/x"]
    assert problems == []


def test_merging_goes_entry_by_entry_and_shares_nothing() -> None:
    shared = [1]
    into: dict[str, Any] = {"a": {"b": 0, "e": 2}, "c": 3}
    merge({"a": {"b": shared}, "c": {"d": 1}}, into)
    shared.append(2)

    assert into == {"a": {"b": [1], "e": 2}, "c": {"d": 1}}
