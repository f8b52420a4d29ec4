"""The scheduler group against torch itself, and its rules."""

import inspect
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.optimizers import AdamWSpec, LBFGSSpec, OptimizerSpec, ParamGroupSpec, SGDSpec
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import options
from app.schemas.rules import remarks
from app.schemas.schedulers import (
    ChainedSchedulerSpec,
    CompositeSpec,
    ConstantLRSpec,
    CosineAnnealingLRSpec,
    CosineAnnealingWarmRestartsSpec,
    CyclicLRSpec,
    ExponentialLRSpec,
    LinearLRSpec,
    MultiStepLRSpec,
    OneCycleLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    SequentialLRSpec,
    StepLRSpec,
    scheduler_fits_optimizer,
)

LIGHTNINGS = {"interval", "frequency", "monitor", "strict"}
NOT_DESCRIBABLE = {"LambdaLR", "MultiplicativeLR"}
TAKE_FUNCTIONS = {"scale_fn", "scale_mode"}

option_of = options["scheduler_spec"]


def problem_of(make: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        make()
    (problem,) = caught.value.problems
    return problem.path, problem.message


def test_every_scheduler_that_takes_no_function_is_an_option() -> None:
    described = {option.target.rpartition(".")[2] for option in option_of.values()}
    assert described == set(lr_scheduler.__all__) - NOT_DESCRIBABLE - {"LRScheduler"}
    assert len(described) == 13


@pytest.mark.parametrize("name", option_of)
def test_fields_and_defaults_are_those_of_torch(name: str) -> None:
    option = option_of[name]
    target = getattr(lr_scheduler, option.target.rpartition(".")[2])
    parameters = inspect.signature(target).parameters.keys() - {"optimizer", "last_epoch"} - TAKE_FUNCTIONS
    fields = field_types(option.schema).keys() - LIGHTNINGS

    assert fields == parameters
    for field in fields:
        default = inspect.signature(target).parameters[field].default
        assert inspect.signature(option.schema).parameters[field].default == default


@pytest.mark.parametrize("name", option_of)
def test_an_option_chosen_by_name_needs_no_more_values(name: str) -> None:
    option = option_of[name]
    missing = [
        name
        for name, parameter in inspect.signature(option.schema).parameters.items()
        if parameter.default is inspect.Parameter.empty and name not in option.preset
    ]
    assert not missing


def test_lightning_counts_epochs_unless_the_method_is_meant_for_steps() -> None:
    by_step = {name for name, option in option_of.items() if option.schema.interval == "step"}  # type: ignore[attr-defined]  # every option has the base's fields
    assert by_step == {"cyclic", "one_cycle"}


@pytest.mark.parametrize(
    ("milestones", "path", "message"),
    [
        ((10, 5), "milestones[1]", "must come after the milestone before it, 10, found 5"),
        ((5, 10, 10), "milestones[2]", "must come after the milestone before it, 10, found 10"),
        ((), "milestones", "expected a list, each a whole number of at least 1, that is not empty, found the list []"),
    ],
)
def test_milestones_increase(milestones: tuple[int, ...], path: str, message: str) -> None:
    found = problem_of(lambda: MultiStepLRSpec(milestones=milestones))
    assert found[0] == f"MultiStepLRSpec.{path}"
    if milestones:
        assert found[1] == message
    assert MultiStepLRSpec(milestones=(5, 10)).milestones == (5, 10)


def test_a_plateau_needs_a_monitor() -> None:
    assert problem_of(ReduceLROnPlateauSpec) == (
        "ReduceLROnPlateauSpec.monitor",
        "needs a value: the logged value whose plateau lowers the learning rate",
    )
    assert ReduceLROnPlateauSpec(monitor="val/loss").monitor == "val/loss"
    assert option_of["reduce_on_plateau"].preset == {"monitor": "${task.monitor}", "mode": "${task.mode}"}


@pytest.mark.parametrize(
    ("base_lr", "max_lr", "message"),
    [
        (0.1, 0.1, "must be below max_lr, found 0.1 and 0.1"),
        ((0.1, 0.3), 0.2, "must be below max_lr, found 0.3 and 0.2"),
        (0.1, (0.2, 0.05), "must be below max_lr, found 0.1 and 0.05"),
        ((0.1, 0.1), (1.0, 1.0, 1.0), "must be below max_lr, group by group, found lists of 2 and 3 values"),
    ],
)
def test_a_cycles_rates_are_ordered(base_lr: Any, max_lr: Any, message: str) -> None:
    assert problem_of(lambda: CyclicLRSpec(base_lr=base_lr, max_lr=max_lr)) == ("CyclicLRSpec.base_lr", message)


@pytest.mark.parametrize(("base_lr", "max_lr"), [(0.0, 0.1), ((0.0, 0.1), 0.2), ((0.0, 0.1), (0.2, 0.3))])
def test_a_cycles_rates_may_differ_by_group(base_lr: Any, max_lr: Any) -> None:
    assert CyclicLRSpec(base_lr=base_lr, max_lr=max_lr).base_lr == base_lr


def test_a_cycles_momenta_are_ordered() -> None:
    wrong: dict[str, Any] = {"base_momentum": 0.95, "max_momentum": (0.9, 0.99)}
    message = "must not be above max_momentum, found 0.95 and 0.9"
    assert problem_of(lambda: CyclicLRSpec(base_lr=0.0, max_lr=0.1, **wrong)) == ("CyclicLRSpec.base_momentum", message)
    assert problem_of(lambda: OneCycleLRSpec(max_lr=0.1, **wrong)) == ("OneCycleLRSpec.base_momentum", message)
    assert OneCycleLRSpec(max_lr=0.1, base_momentum=0.9, max_momentum=0.9).base_momentum == 0.9


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        (
            {"total_steps": 10, "epochs": 2, "steps_per_epoch": 5},
            "total_steps",
            "says the cycle's length a second time, beside epochs and steps_per_epoch; keep one",
        ),
        ({"epochs": 2}, "epochs", "says nothing without steps_per_epoch; give both, or total_steps"),
        ({"steps_per_epoch": 2}, "steps_per_epoch", "says nothing without epochs; give both, or total_steps"),
        (
            {"interval": "epoch"},
            "total_steps",
            "needs a value, the cycle's length in epochs, while interval is 'epoch'",
        ),
        (
            {"interval": "epoch", "epochs": 2, "steps_per_epoch": 5},
            "total_steps",
            "needs a value, the cycle's length in epochs, while interval is 'epoch'",
        ),
        (
            {"three_phase": True, "pct_start": 0.6},
            "pct_start",
            "must be at most 0.5 with three_phase, where rise and fall take it twice, found 0.6",
        ),
        (
            {"total_steps": 10, "pct_start": 0.1},
            "pct_start",
            "0.1 of 10 is a single step, for which torch divides by zero; change it a little",
        ),
        ({"pct_start": 1.0}, "pct_start", "expected a number of at least 0 and below 1, found 1.0"),
    ],
)
def test_one_cycles_length_and_phases_fit_together(values: dict[str, Any], path: str, message: str) -> None:
    assert problem_of(lambda: OneCycleLRSpec(max_lr=0.1, **values)) == (f"OneCycleLRSpec.{path}", message)


@pytest.mark.parametrize(
    ("values", "length"),
    [
        ({}, None),
        ({"total_steps": 7}, 7),
        ({"epochs": 2, "steps_per_epoch": 5}, 10),
        ({"interval": "epoch", "total_steps": 7}, 7),
        ({"three_phase": True, "pct_start": 0.5}, None),
    ],
)
def test_one_cycles_length_is_said_in_one_of_torchs_ways_or_left_to_the_run(
    values: dict[str, Any], length: int | None
) -> None:
    assert OneCycleLRSpec(max_lr=0.1, **values).length == length


def test_torch_still_divides_by_zero_for_a_rise_of_one_step() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    with pytest.raises(ZeroDivisionError):
        lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=10, pct_start=0.1)


def test_a_sequence_has_one_milestone_between_each_two_schedulers() -> None:
    parts = (LinearLRSpec(), ExponentialLRSpec(gamma=0.9))
    assert problem_of(lambda: SequentialLRSpec(schedulers=parts, milestones=(3, 6))) == (
        "SequentialLRSpec.milestones",
        "needs one value between each two schedulers: expected 1, found 2",
    )
    assert problem_of(lambda: SequentialLRSpec(schedulers=(*parts, StepLRSpec(step_size=2)), milestones=(6, 3))) == (
        "SequentialLRSpec.milestones[1]",
        "must come after the milestone before it, 6, found 3",
    )
    assert SequentialLRSpec(schedulers=parts, milestones=(3,)).schedulers == parts
    assert SequentialLRSpec(schedulers=parts[:1], milestones=()).milestones == ()


def composites(*parts: SchedulerSpec) -> list[Any]:
    between = tuple(range(1, len(parts)))
    return [
        lambda: ChainedSchedulerSpec(schedulers=parts),
        lambda: SequentialLRSpec(schedulers=parts, milestones=between),
    ]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            ReduceLROnPlateauSpec(monitor="val/loss"),
            "reduce_on_plateau watches a value, which no part is given; use it alone",
        ),
        (
            OneCycleLRSpec(max_lr=0.1),
            "one_cycle covers a whole run and changes where the others start; use it alone",
        ),
        (
            ChainedSchedulerSpec(schedulers=(LinearLRSpec(),)),
            "a part made of parts runs at the wrong times in torch; list its parts here",
        ),
    ],
)
def test_some_schedulers_are_no_parts_of_others(part: SchedulerSpec, message: str) -> None:
    for make in composites(ConstantLRSpec(), part):
        path, found = problem_of(make)
        assert path.endswith("Spec.schedulers[1]")
        assert found == message


@pytest.mark.parametrize("part", [CosineAnnealingWarmRestartsSpec(T_0=2), CyclicLRSpec(base_lr=0.0, max_lr=0.1)])
def test_schedulers_that_set_the_rate_anew_can_follow_others_but_not_multiply(part: SchedulerSpec) -> None:
    chained, sequential = composites(ConstantLRSpec(), part)
    assert problem_of(chained) == (
        "ChainedSchedulerSpec.schedulers[1]",
        "sets the learning rate anew each time, so nothing multiplies with it; use it alone",
    )
    assert sequential().schedulers[1] is part


@pytest.mark.parametrize(
    ("name", "value"), [("interval", "step"), ("frequency", 2), ("monitor", "val/loss"), ("strict", False)]
)
def test_a_part_leaves_lightnings_settings_to_the_scheduler_around_it(name: str, value: Any) -> None:
    told: dict[str, Any] = {name: value}
    for make in composites(ConstantLRSpec(), LinearLRSpec(**told)):
        path, message = problem_of(make)
        assert path.endswith(f"Spec.schedulers[1].{name}")
        assert message == f"has no effect on a part; set {name} of the scheduler around it"
    outer = ChainedSchedulerSpec(schedulers=(ConstantLRSpec(), LinearLRSpec()), **told)
    assert getattr(outer, name) == value


def test_a_list_of_schedulers_is_not_empty() -> None:
    for make in (lambda: ChainedSchedulerSpec(schedulers=()), lambda: SequentialLRSpec(schedulers=(), milestones=())):
        path, message = problem_of(make)
        assert path.endswith("Spec.schedulers")
        assert "not empty" in message


@pytest.mark.parametrize("base", [SchedulerSpec, CompositeSpec])
def test_bases_cannot_be_used(base: Any) -> None:
    assert problem_of(base)[0] == base.__name__


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (ConstantLRSpec, {"factor": 0.0}),
        (ConstantLRSpec, {"total_iters": 0}),
        (LinearLRSpec, {"start_factor": 0.0}),
        (LinearLRSpec, {"end_factor": 1.5}),
        (StepLRSpec, {"step_size": 0}),
        (CosineAnnealingLRSpec, {"T_max": 0}),
        (CosineAnnealingWarmRestartsSpec, {"T_0": 5, "T_mult": 0}),
        (ReduceLROnPlateauSpec, {"monitor": "val/loss", "factor": 1.0}),
        (ReduceLROnPlateauSpec, {"monitor": "val/loss", "min_lr": ()}),
    ],
)
def test_values_that_torch_refuses_or_divides_by_are_refused(schema: type, values: dict[str, Any]) -> None:
    path, message = problem_of(lambda: schema(**values))
    assert path == f"{schema.__name__}.{list(values)[-1]}"
    assert message.startswith("expected ")


GROUPS = {".backbone": ParamGroupSpec(lr=1e-4)}


@pytest.mark.parametrize(
    ("scheduler", "optimizer", "path", "message"),
    [
        (
            OneCycleLRSpec(max_lr=0.1),
            LBFGSSpec(),
            ("scheduler_spec", "cycle_momentum"),
            "true needs an optimizer with momentum or betas; LBFGSSpec has neither",
        ),
        (
            CyclicLRSpec(base_lr=0.0, max_lr=0.1),
            AdamWSpec(params=GROUPS),
            ("scheduler_spec", "max_lr"),
            "would replace the learning rates in optimizer_spec.params and paramwise; give a list, one for each group",
        ),
        (
            CosineAnnealingLRSpec(T_max=5, eta_min=1e-4),
            AdamWSpec(params=GROUPS),
            ("scheduler_spec", "eta_min"),
            "must be below the learning rate it is reached from, 0.0001, found 0.0001",
        ),
        (
            ReduceLROnPlateauSpec(monitor="val/loss", min_lr=0.1),
            SGDSpec(lr=0.01),
            ("scheduler_spec", "min_lr"),
            "must be below the learning rate to reduce, 0.01, found 0.1",
        ),
        (
            SequentialLRSpec(
                schedulers=(LinearLRSpec(), CosineAnnealingWarmRestartsSpec(T_0=5, eta_min=1.0)), milestones=(5,)
            ),
            SGDSpec(lr=0.01),
            ("scheduler_spec", "schedulers", 1, "eta_min"),
            "must be below the learning rate it is reached from, 0.01, found 1.0",
        ),
    ],
)
def test_what_does_not_fit_the_optimizer_is_found(
    scheduler: SchedulerSpec, optimizer: OptimizerSpec, path: tuple[str | int, ...], message: str
) -> None:
    assert list(scheduler_fits_optimizer(scheduler, optimizer)) == [(path, message)]


@pytest.mark.parametrize(
    ("scheduler", "optimizer"),
    [
        (OneCycleLRSpec(max_lr=0.1), SGDSpec()),
        (OneCycleLRSpec(max_lr=0.1), AdamWSpec()),
        (OneCycleLRSpec(max_lr=0.1, cycle_momentum=False), LBFGSSpec()),
        (OneCycleLRSpec(max_lr=(0.1, 0.2)), AdamWSpec(params=GROUPS)),
        (CosineAnnealingLRSpec(T_max=5, eta_min=1e-5), AdamWSpec(params=GROUPS)),
        (ReduceLROnPlateauSpec(monitor="val/loss", min_lr=(0.1, 0.2)), SGDSpec(lr=0.01)),
        (StepLRSpec(step_size=1), AdamWSpec(params=GROUPS)),
    ],
)
def test_what_fits_the_optimizer_passes(scheduler: SchedulerSpec, optimizer: OptimizerSpec) -> None:
    assert not list(scheduler_fits_optimizer(scheduler, optimizer))


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (StepLRSpec(step_size=3), {"monitor", "strict"}),
        (ReduceLROnPlateauSpec(monitor="val/loss"), set()),
        (CyclicLRSpec(base_lr=0.1, max_lr=1.0), {"monitor", "strict", "gamma"}),
        (CyclicLRSpec(base_lr=0.1, max_lr=1.0, mode="exp_range", gamma=0.9), {"monitor", "strict"}),
        (
            OneCycleLRSpec(max_lr=1.0, cycle_momentum=False),
            {"monitor", "strict", "base_momentum", "max_momentum"},
        ),
        (OneCycleLRSpec(max_lr=1.0), {"monitor", "strict"}),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected
