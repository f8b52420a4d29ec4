"""Schedulers built from their specs give the learning rates they promise."""

import io
import re
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from app.builders.optimizers import build_optimizer
from app.builders.schedulers import build_scheduler, lightning_scheduler
from app.schemas.optimizers import AdamWSpec, ParamGroupSpec, SGDSpec
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.schedulers import (
    ChainedSchedulerSpec,
    ConstantLRSpec,
    CosineAnnealingLRSpec,
    CosineAnnealingWarmRestartsSpec,
    CyclicLRSpec,
    ExponentialLRSpec,
    LinearLRSpec,
    OneCycleLRSpec,
    PolynomialLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    SequentialLRSpec,
    StepLRSpec,
)

RESOLVED = {
    "${trainer.max_epochs}": 20,
    "${optimizer_spec.lr}": 1.0,
    "${task.monitor}": "val/loss",
    "${task.mode}": "min",
}


def chosen(name: str) -> SchedulerSpec:
    """An option as it is when chosen by name alone, in a run of 20 epochs."""
    option = options["scheduler_spec"][name]
    return cast(SchedulerSpec, option.schema(**{field: resolve(value) for field, value in option.preset.items()}))


def resolve(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(resolve, value))
    if isinstance(value, dict):
        fields = {name: resolve(item) for name, item in value.items() if name != "id"}
        return options["scheduler_spec"][value["id"]].schema(**fields)
    return RESOLVED.get(value, value) if isinstance(value, str) else value


def an_optimizer(lr: float = 1.0) -> Optimizer:
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    return torch.optim.SGD([parameter], lr=lr, momentum=0.5)


def two_groups() -> Optimizer:
    model = nn.ModuleDict({"backbone": nn.Linear(1, 1), "head": nn.Linear(1, 1)})
    return build_optimizer(AdamWSpec(lr=1.0, params={".backbone": ParamGroupSpec(lr=0.1)}), model)


def rates(scheduler: LRScheduler, times: int) -> list[float]:
    """The learning rate at the start and after each of a number of steps."""
    optimizer = scheduler.optimizer
    found = [optimizer.param_groups[0]["lr"]]
    for _ in range(times):
        optimizer.step()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(1.0)
        else:
            scheduler.step()
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("name", options["scheduler_spec"])
def test_every_scheduler_changes_the_rate_within_a_run(name: str) -> None:
    optimizer = an_optimizer()

    scheduler = build_scheduler(chosen(name), optimizer, run_steps=20)

    assert type(scheduler).__name__ == options["scheduler_spec"][name].target.rpartition(".")[2]
    assert scheduler.optimizer is optimizer
    found = rates(scheduler, 20)
    assert len(set(found)) >= 2
    assert all(0 <= rate <= 1.0001 for rate in found)


@pytest.mark.parametrize("name", options["scheduler_spec"])
def test_every_schedulers_state_survives_a_checkpoint(name: str) -> None:
    optimizer = an_optimizer()
    scheduler = build_scheduler(chosen(name), optimizer, run_steps=20)
    rates(scheduler, 7)
    buffer = io.BytesIO()
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}, buffer)
    expected = rates(scheduler, 8)

    resumed_optimizer = an_optimizer()
    resumed = build_scheduler(chosen(name), resumed_optimizer, run_steps=20)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    resumed.load_state_dict(state["scheduler"])
    resumed_optimizer.load_state_dict(state["optimizer"])

    assert rates(resumed, 8) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (StepLRSpec(step_size=2, gamma=0.5), [1, 1, 0.5, 0.5, 0.25]),
        (ConstantLRSpec(factor=0.5, total_iters=2), [0.5, 0.5, 1, 1]),
        (LinearLRSpec(start_factor=0.5, total_iters=2), [0.5, 0.75, 1, 1]),
        (LinearLRSpec(start_factor=1.0, end_factor=0.0, total_iters=2), [1, 0.5, 0, 0]),
        (ExponentialLRSpec(gamma=0.5), [1, 0.5, 0.25]),
        (PolynomialLRSpec(total_iters=2), [1, 0.5, 0, 0]),
        (CosineAnnealingLRSpec(T_max=2), [1, 0.5, 0]),
        (CosineAnnealingWarmRestartsSpec(T_0=2), [1, 0.5, 1, 0.5]),
        (CyclicLRSpec(base_lr=0.0, max_lr=1.0, step_size_up=2), [0, 0.5, 1, 0.5, 0]),
        (ReduceLROnPlateauSpec(monitor="val/loss", patience=1, factor=0.5), [1, 1, 1, 0.5]),
        (
            ChainedSchedulerSpec(schedulers=(ConstantLRSpec(factor=0.5, total_iters=2), ExponentialLRSpec(gamma=0.5))),
            [0.5, 0.25, 0.25, 0.125],
        ),
        (
            SequentialLRSpec(
                schedulers=(LinearLRSpec(start_factor=0.5, total_iters=2), CosineAnnealingLRSpec(T_max=2)),
                milestones=(2,),
            ),
            [0.5, 0.75, 1, 0.5, 0],
        ),
    ],
)
def test_the_learning_rates_are_those_described(spec: SchedulerSpec, expected: list[float]) -> None:
    assert rates(build_scheduler(spec, an_optimizer()), len(expected) - 1) == pytest.approx(expected, abs=1e-9)


def test_a_cycle_moves_the_momentum_the_other_way() -> None:
    optimizer = an_optimizer()
    spec = CyclicLRSpec(base_lr=0.0, max_lr=1.0, step_size_up=2, base_momentum=0.8, max_momentum=0.9)
    rates(build_scheduler(spec, optimizer), 2)
    assert optimizer.param_groups[0]["momentum"] == pytest.approx(0.8)


def test_one_cycle_takes_its_length_from_the_run() -> None:
    found = rates(build_scheduler(OneCycleLRSpec(max_lr=1.0), an_optimizer(), run_steps=21), 21)
    assert found.index(max(found)) == pytest.approx(0.3 * 21, abs=1)
    assert found[20] == min(found)


def test_one_cycle_that_is_stepped_less_often_still_ends_with_the_run() -> None:
    scheduler = build_scheduler(OneCycleLRSpec(max_lr=1.0, frequency=4), an_optimizer(), run_steps=41)
    assert cast(Any, scheduler).total_steps == 11


@pytest.mark.parametrize(("values", "length"), [({"total_steps": 7}, 7), ({"epochs": 3, "steps_per_epoch": 5}, 15)])
def test_one_cycles_own_length_wins_over_the_runs(values: dict[str, Any], length: int) -> None:
    scheduler = build_scheduler(OneCycleLRSpec(max_lr=1.0, **values), an_optimizer(), run_steps=99)
    assert cast(Any, scheduler).total_steps == length


@pytest.mark.parametrize("run_steps", [None, float("inf")])
def test_one_cycle_needs_a_run_with_an_end(run_steps: float | None) -> None:
    message = "scheduler_spec.total_steps: needs a value: the run has no end that would give the cycle's length"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_scheduler(OneCycleLRSpec(max_lr=1.0), an_optimizer(), run_steps=run_steps)


def test_a_cycle_that_torch_cannot_run_in_this_run_is_refused() -> None:
    message = "scheduler_spec.pct_start: 0.1 of 10 is a single step, for which torch divides by zero"
    with pytest.raises(ConfigError, match=re.escape(message)):
        build_scheduler(OneCycleLRSpec(max_lr=1.0, pct_start=0.1), an_optimizer(), run_steps=10)


def test_lists_give_each_parameter_group_its_own_value() -> None:
    optimizer = two_groups()
    build_scheduler(OneCycleLRSpec(max_lr=(0.25, 2.5), total_steps=10, div_factor=10.0), optimizer)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.025, 0.25])

    scheduler = build_scheduler(ReduceLROnPlateauSpec(monitor="val/loss", min_lr=(0.05, 0.5), patience=0), two_groups())
    rates(scheduler, 5)
    assert [group["lr"] for group in scheduler.optimizer.param_groups] == [0.05, 0.5]


def test_a_list_of_the_wrong_length_is_refused_with_the_groups_names() -> None:
    cyclic = CyclicLRSpec(base_lr=(0.0, 0.0, 0.0), max_lr=1.0)
    for spec, where in (
        (cyclic, "scheduler_spec.base_lr"),
        (
            SequentialLRSpec(schedulers=(LinearLRSpec(), cyclic), milestones=(3,)),
            "scheduler_spec.schedulers[1].base_lr",
        ),
    ):
        with pytest.raises(ConfigError) as caught:
            build_scheduler(spec, two_groups())
        assert str(caught.value) == (
            f"{where}: needs one value for each parameter group (backbone, remaining): expected 2, found 3"
        )


def test_lightning_is_told_when_to_step() -> None:
    optimizer = build_optimizer(SGDSpec(lr=0.1), nn.Linear(1, 1))
    spec = ReduceLROnPlateauSpec(monitor="val/f1", mode="max", frequency=2, strict=False)

    told = lightning_scheduler(spec, optimizer)

    assert isinstance(told.pop("scheduler"), ReduceLROnPlateau)  # type: ignore[misc]  # the test is done with it
    assert told == {
        "interval": "epoch",
        "frequency": 2,
        "monitor": "val/f1",
        "strict": False,
        "reduce_on_plateau": True,
    }
    assert lightning_scheduler(OneCycleLRSpec(max_lr=1.0), optimizer, run_steps=10)["interval"] == "step"
    assert not lightning_scheduler(StepLRSpec(step_size=1), optimizer)["reduce_on_plateau"]
