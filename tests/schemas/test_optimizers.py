"""The optimizer group against torch itself, and its rules."""

import inspect
from typing import Any

import pytest
import torch

from app.builders.targets import live_class
from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.optimizers import (
    AdadeltaSpec,
    AdamSpec,
    AdamWSpec,
    ASGDSpec,
    LBFGSSpec,
    MaximizeSpec,
    MuonSpec,
    NAdamSpec,
    OptimizerSpec,
    ParamFactors,
    ParamGroupSpec,
    ParamwiseConfig,
    RAdamSpec,
    RMSpropSpec,
    RpropSpec,
    SGDSpec,
)
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import Option, leaf_fields, options
from app.schemas.rules import remarks

OURS = {"params", "paramwise", "filter_requires_grad"}
SHARED_BY_GROUPS = {
    "foreach",
    "fused",
    "capturable",
    "differentiable",
    # Adagrad fills its sums from the constructor's argument, whatever a group says.
    "initial_accumulator_value",
}

spec_of = {name: option.schema for name, option in options["optimizer_spec"].items()}


def problem_of(make: Any) -> tuple[str, str]:
    with pytest.raises(ConfigError) as caught:
        make()
    (problem,) = caught.value.problems
    return problem.path, problem.message


def test_every_optimizer_of_torch_is_an_option() -> None:
    classes = {
        cls
        for cls in vars(torch.optim).values()
        if isinstance(cls, type) and issubclass(cls, torch.optim.Optimizer) and cls is not torch.optim.Optimizer
    }
    assert len(classes) == 15
    assert {live_class(spec()) for spec in spec_of.values()} == classes


@pytest.mark.parametrize("name", spec_of)
def test_fields_and_defaults_are_those_of_torch(name: str) -> None:
    spec = spec_of[name]()
    parameters = dict(inspect.signature(live_class(spec)).parameters)
    del parameters["params"]

    fields = {field: value for field, value in leaf_fields(spec).items() if field not in OURS}

    assert fields == {parameter.name: parameter.default for parameter in parameters.values()}


def test_a_group_may_set_all_that_torch_lets_vary() -> None:
    varying: set[str] = set()
    for name, schema in spec_of.items():
        if name != "lbfgs":
            optimizer = live_class(schema())([torch.nn.Parameter(torch.ones(2, 2))])
            varying |= set(optimizer.defaults)

    assert set(field_types(ParamGroupSpec)) == varying - SHARED_BY_GROUPS


def test_initial_accumulator_value_is_read_once_for_all_groups() -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.Adagrad([{"params": [parameter], "initial_accumulator_value": 5.0}])
    assert optimizer.state[parameter]["sum"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", sorted(spec_of.keys() - {"lbfgs"}))
def test_a_group_takes_every_value_of_its_optimizer(name: str) -> None:
    spec = spec_of[name]()
    values: dict[str, Any] = {
        field: value
        for field, value in leaf_fields(spec).items()
        if field in field_types(ParamGroupSpec) and value is not None
    }
    assert len(values) >= 3

    group = ParamGroupSpec(**values)

    assert spec_of[name](params={".head": group}).params == {".head": group}


def test_a_value_that_the_optimizer_does_not_have_is_refused_in_a_group() -> None:
    assert problem_of(lambda: SGDSpec(params={".head": ParamGroupSpec(betas=(0.9, 0.99))})) == (
        "SGDSpec.params[.head].betas",
        "SGDSpec has no such field; its groups may set lr, weight_decay, momentum, dampening, nesterov, maximize",
    )
    assert problem_of(lambda: AdamSpec(params={".head": ParamGroupSpec(beta2_decay=-0.5)})) == (
        "AdamSpec.params[.head].beta2_decay",
        "AdamSpec has no such field; did you mean 'weight_decay'?",
    )


def test_a_groups_value_must_be_of_the_optimizers_own_type() -> None:
    assert problem_of(lambda: AdamWSpec(params={".head.cls": ParamGroupSpec(eps=(None, 1e-3))})) == (
        "AdamWSpec.params[.head.cls].eps",
        "expected a number of at least 0, found the list [None, 0.001]",
    )
    assert problem_of(lambda: AdadeltaSpec(params={"head": ParamGroupSpec(eps=0.0)})) == (
        "AdadeltaSpec.params.head.eps",
        "expected a number above 0, found 0.0",
    )


def test_a_group_must_pass_the_optimizers_rules_together_with_its_other_values() -> None:
    assert problem_of(lambda: SGDSpec(nesterov=True, momentum=0.9, params={".head": ParamGroupSpec(momentum=0.0)})) == (
        "SGDSpec.params[.head].momentum",
        "nesterov needs a momentum above 0 and a dampening of 0, found momentum 0.0 and dampening 0.0",
    )
    assert SGDSpec(momentum=0.9, params={".head": ParamGroupSpec(nesterov=True)}).params[".head"].nesterov


def test_the_optimizers_own_fault_is_not_told_again_for_each_group() -> None:
    path, _ = problem_of(lambda: SGDSpec(nesterov=True, params={".head": ParamGroupSpec(lr=0.1)}))
    assert path == "SGDSpec.nesterov"


def test_lbfgs_takes_no_groups() -> None:
    assert problem_of(lambda: LBFGSSpec(params={".head": ParamGroupSpec(betas=(0.9, 0.9))})) == (
        "LBFGSSpec.params",
        "LBFGSSpec takes no parameter groups: it finds one step for all parameters together",
    )


@pytest.mark.parametrize("values", [{"momentum": 0.0}, {"momentum": 0.9, "dampening": 0.1}])
def test_nesterov_needs_momentum_without_dampening(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Nesterov momentum requires a momentum and zero dampening"):
        torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], nesterov=True, **values)

    path, message = problem_of(lambda: SGDSpec(nesterov=True, **values))

    assert path == "SGDSpec.nesterov"
    assert message.startswith("needs a momentum above 0 and a dampening of 0, found momentum")
    assert SGDSpec(nesterov=True, momentum=0.9).nesterov


@pytest.mark.parametrize("name", ["adagrad", "adam", "adamw", "sgd"])
def test_fused_and_foreach_exclude_each_other(name: str) -> None:
    schema = spec_of[name]
    assert problem_of(lambda: schema(fused=True, foreach=True)) == (
        f"{schema.__name__}.fused",
        "true does not go together with foreach=true; choose one of the two",
    )
    assert schema(fused=True, foreach=False).fused
    assert schema(fused=False, foreach=True).foreach


@pytest.mark.parametrize("name", [name for name, spec in spec_of.items() if "differentiable" in field_types(spec)])
def test_a_differentiable_step_is_refused_as_torch_refuses_it(name: str) -> None:
    parameter = torch.nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    schema = spec_of[name]
    optimizer = live_class(schema())([parameter], differentiable=True)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad is being used in an in-place operation"):
        optimizer.step()

    assert problem_of(lambda: schema(differentiable=True)) == (
        f"{schema.__name__}.differentiable",
        "true cannot train a module: torch differentiates no step on its own parameters",
    )


def test_rprops_step_sizes_are_ordered() -> None:
    assert problem_of(lambda: RpropSpec(step_sizes=(50.0, 1e-6))) == (
        "RpropSpec.step_sizes",
        "the smallest comes first, found 50.0 and 1e-06",
    )
    assert RpropSpec(step_sizes=(1e-3, 1.0)).step_sizes == (1e-3, 1.0)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("adam", {"lr": 0.0}),
        ("adam", {"betas": (0.9, 1.0)}),
        ("adafactor", {"d": 0.5}),
        ("adafactor", {"beta2_decay": 0.8}),
        ("adadelta", {"rho": 1.0}),
        ("lbfgs", {"line_search_fn": "armijo"}),
        ("muon", {"adjust_lr_fn": "keller"}),
        ("muon", {"ns_steps": 100}),
        ("rprop", {"etas": (1.1, 1.2)}),
        ("rprop", {"etas": (0.5, 1.0)}),
        ("sgd", {"weight_decay": -0.1}),
        ("sgd", {"dampening": 1.5}),
        ("sparse_adam", {"eps": 0.0}),
    ],
)
def test_values_that_cannot_train_are_refused(name: str, values: dict[str, Any]) -> None:
    schema = spec_of[name]
    path, message = problem_of(lambda: schema(**values))
    assert path.startswith(f"{schema.__name__}.{next(iter(values))}")
    assert message.startswith("expected ")


def test_a_wrong_choice_is_told_the_nearest() -> None:
    values: dict[str, Any] = {"adjust_lr_fn": "match_rms_adam"}
    assert problem_of(lambda: MuonSpec(**values))[1].endswith("did you mean 'match_rms_adamw'?")


@pytest.mark.parametrize("base", [OptimizerSpec, MaximizeSpec])
def test_bases_cannot_be_used(base: type[OptimizerSpec]) -> None:
    path, _ = problem_of(lambda: base(lr=0.1))
    assert path == base.__name__


def test_a_factor_on_a_weight_decay_that_is_not_there_is_refused() -> None:
    factors = {"*.bias": ParamFactors(weight_decay=0.0)}
    assert problem_of(lambda: RpropSpec(paramwise=ParamwiseConfig(custom=factors))) == (
        "RpropSpec.paramwise.custom[*.bias].weight_decay",
        "RpropSpec has no weight decay to multiply; leave this out",
    )
    assert RpropSpec(paramwise=ParamwiseConfig(bias_lr=2.0)).own_rates() == [0.02]


def test_factors_need_groups() -> None:
    assert problem_of(lambda: LBFGSSpec(paramwise=ParamwiseConfig(bias_lr=2.0))) == (
        "LBFGSSpec.paramwise",
        "LBFGSSpec takes no parameter groups, so nothing can differ between them",
    )
    assert LBFGSSpec().own_rates() == []


def test_rates_of_parts_of_the_model_are_known() -> None:
    spec = SGDSpec(lr=1.0, params={".a": ParamGroupSpec(lr=0.5), ".b": ParamGroupSpec(momentum=0.5)})
    assert spec.own_rates() == [0.5]
    factors = ParamwiseConfig(norm_decay=0.0, custom={".c": ParamFactors(lr=0.1)})
    assert SGDSpec(lr=1.0, params=spec.params, paramwise=factors).own_rates() == pytest.approx([0.5, 0.1, 0.05])


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


def unusual(config: object) -> dict[str, str]:
    """The learning rates that a config calls unusual, with what it says."""
    return {dotted(fault.path): fault.message for fault in remarks(config) if fault.code is Code.LEARNING_RATE}


@pytest.mark.parametrize("option", options["optimizer_spec"].values(), ids=options["optimizer_spec"])
def test_the_usual_range_holds_the_default_and_ends_a_decade_before_the_hint(option: Option) -> None:
    config: type[OptimizerSpec] = option.schema
    assert config.usual_lr is not None
    lowest, highest = config.usual_lr
    assert lowest < highest
    for usual in (
        option.schema(),
        *(option.schema(lr=rate) for rate in (lowest / 9.9, lowest, highest, highest * 9.9)),
    ):
        assert unusual(usual) == {}
    for off in (lowest / 10, lowest / 1000, highest * 10, highest * 1000):
        assert unusual(option.schema(lr=off)).keys() == {"lr"}


def test_an_unusual_learning_rate_is_named_with_the_usual_ones() -> None:
    assert unusual(AdamWSpec(lr=0.3)) == {
        "lr": "0.3 is a decade or more above what is usual with AdamWSpec, 1e-05 to 0.01"
    }


def test_the_learning_rates_of_groups_are_looked_at_too() -> None:
    groups = {".head": ParamGroupSpec(lr=100.0), ".neck": ParamGroupSpec(lr=0.5), ".backbone": ParamGroupSpec(lr=1e-6)}
    assert unusual(SGDSpec(lr=0.1, params=groups)).keys() == {"params[.head].lr"}


WEIGHT_DECAY = {"paramwise.norm_decay", "paramwise.bias_decay"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SGDSpec(), WEIGHT_DECAY | {"dampening"}),
        (SGDSpec(momentum=0.9, weight_decay=0.1), set()),
        (SGDSpec(params={".head": ParamGroupSpec(momentum=0.9, weight_decay=0.1)}), set()),
        (AdamSpec(), WEIGHT_DECAY | {"decoupled_weight_decay"}),
        (AdamSpec(weight_decay=0.1), set()),
        (NAdamSpec(), WEIGHT_DECAY | {"decoupled_weight_decay"}),
        (NAdamSpec(weight_decay=0.1), set()),
        (RAdamSpec(), WEIGHT_DECAY | {"decoupled_weight_decay"}),
        (RAdamSpec(weight_decay=0.1), set()),
        (ASGDSpec(lambd=0.0, weight_decay=0.1), {"alpha"}),
        (ASGDSpec(weight_decay=0.1), set()),
        (MuonSpec(momentum=0.0), {"nesterov"}),
        (MuonSpec(), set()),
        (
            RMSpropSpec(paramwise=ParamwiseConfig(custom={".head": ParamFactors(lr=2.0)})),
            WEIGHT_DECAY | {"paramwise.custom[.head].weight_decay"},
        ),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected
