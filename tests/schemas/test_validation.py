"""The gate on plain containers, DictConfigs and schema objects, and where it says that values came from."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from app.compose import load_config
from app.schemas.optimizers import AdamWSpec, OptimizerSpec, SGDSpec
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError, Problem
from app.schemas.registry import options
from app.schemas.run import RunConfig
from app.schemas.schedulers import SchedulerSpec
from app.schemas.seed import SeedParams
from app.schemas.validation import Sources, check, from_plain
from tests.choosing import choosing

ADAMW = "app.schemas.optimizers.AdamWSpec"


def problems_of(config: object, schema: type) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        check(config, schema)
    return caught.value.problems


@pytest.mark.parametrize("group", ["optimizer_spec", "scheduler_spec", "module", "trainer"])
def test_every_option_survives_being_stored(group: str) -> None:
    for name in options[group]:
        config = load_config([*choosing(group, name), "callbacks=[]", "logger=[]"])
        assert from_plain(to_plain(config)) == config


def test_what_may_be_checked_may_come_in_any_form() -> None:
    plain = {"_target_": ADAMW, "lr": 0.5}

    assert check(plain, OptimizerSpec) == AdamWSpec(lr=0.5)
    assert check(OmegaConf.create(plain), OptimizerSpec) == AdamWSpec(lr=0.5)
    assert check(AdamWSpec(lr=0.5), OptimizerSpec) == AdamWSpec(lr=0.5)
    assert check({"id": "adamw", "lr": 0.5}, OptimizerSpec) == AdamWSpec(lr=0.5)


@pytest.mark.parametrize(
    "target",
    ["os.system", "torch.optim.AdamW", "app.schemas.schedulers.StepLRSpec", "app.schemas.seed.SeedParams", 3, [1]],
)
def test_only_an_option_of_the_group_is_made(target: object) -> None:
    (problem,) = problems_of({"_target_": target}, OptimizerSpec)
    assert problem.message.startswith("expected an option of optimizer_spec, found ")


def test_a_part_of_fixed_type_takes_no_other_class() -> None:
    assert check({"_target_": "app.schemas.seed.SeedParams"}, SeedParams) == SeedParams()
    (problem,) = problems_of({"_target_": ADAMW}, SeedParams)
    assert problem.message == "expected a mapping (SeedParams), found AdamWSpec"
    (problem,) = problems_of({"_target_": ADAMW, "_partial_": True}, OptimizerSpec)
    assert problem.path == "_partial_"


def test_a_stored_config_must_name_a_schema() -> None:
    for target in ("os.system", None, "app.cli.main"):
        with pytest.raises(ConfigError, match="expected a schema of this project"):
            from_plain({"_target_": target})


def test_an_object_changed_behind_the_gates_back_is_judged_again() -> None:
    spec = SGDSpec(lr=0.5)
    vars(spec)["lr"] = -1.0

    (problem,) = problems_of(spec, OptimizerSpec)
    assert (problem.path, problem.message) == ("lr", "expected a number above 0, found -1.0")


def test_options_inside_lists_are_named_by_id() -> None:
    def sequential(*ids: dict[str, Any]) -> dict[str, Any]:
        return {"id": "sequential", "schedulers": list(ids), "milestones": [2]}

    made = check(sequential({"id": "linear"}, {"id": "step", "step_size": 2}), SchedulerSpec)
    assert to_plain(made)["schedulers"][1]["step_size"] == 2

    (problem,) = problems_of(sequential({"id": "linear"}, {"id": "stepp", "step_size": 2}), SchedulerSpec)
    assert (problem.path, problem.message) == ("schedulers[1].id", "no scheduler_spec 'stepp'; did you mean 'step'?")
    (problem,) = problems_of(sequential({"id": "linear"}, {"step_size": 2}), SchedulerSpec)
    assert problem.message.startswith("needs an id; options: ")


@pytest.mark.parametrize("text", ["a\0b", "\ud800"])
def test_texts_that_no_file_or_tool_takes_are_refused(text: str) -> None:
    (problem,) = problems_of({"root": text}, type(load_config().run_directory))
    assert problem.message == "contains characters that no text has"


def test_a_whole_config_without_its_task_is_refused_not_guessed() -> None:
    assert {problem.path for problem in problems_of({}, RunConfig)} == {"task"}


def test_a_source_is_the_last_that_set_the_value_or_something_around_it() -> None:
    sources = Sources([(("a",), "1"), (("a", "b"), "2"), (("a", "c", 0), "3"), (("d", "e"), "4"), (("d", "f"), "5")])

    assert sources.of(("a", "b")) == "2"
    assert sources.of(("a", "b", "x")) == "2"
    assert sources.of(("a", "x")) == "1"
    assert sources.of(("a", "c", "0")) == "3"
    assert sources.of(("a",)) == "1"
    assert sources.of(("d",)) == "5"
    assert sources.of(("g",)) is None


def test_what_is_set_later_around_a_value_counts() -> None:
    assert Sources([(("a", "b"), "1"), (("a",), "2")]).of(("a", "b")) == "2"
