"""Optimizers built from their specs take real steps."""

import io
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from app.builders.optimizers import build_optimizer, build_optimizers
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import (
    AdamWSpec,
    LBFGSSpec,
    MuonSpec,
    OptimizerSpec,
    ParamGroupSpec,
    ParamwiseConfig,
    SGDSpec,
    SparseAdamSpec,
)
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.schedulers import CyclicLRSpec, OneCycleLRSpec, ReduceLROnPlateauSpec, StepLRSpec


class WordScore(nn.Module):
    """An embedding, whose gradient may be sparse, without anything after it."""

    def __init__(self, *, sparse: bool) -> None:
        super().__init__()
        self.words = nn.Embedding(4, 2, sparse=sparse)

    def forward(self, tokens: Tensor) -> Tensor:
        scores: Tensor = self.words(tokens)
        return scores


def model_for(name: str) -> nn.Module:
    torch.manual_seed(0)
    match name:
        case "muon":
            return nn.Linear(3, 2, bias=False)
        case "sparse_adam":
            return WordScore(sparse=True)
        case _:
            return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def message_of(spec: OptimizerSpec, model: nn.Module) -> str:
    with pytest.raises(ConfigError) as caught:
        build_optimizer(spec, model)
    return str(caught.value)


@pytest.mark.parametrize("name", options["optimizer_spec"])
def test_every_optimizer_takes_a_step_that_lowers_the_loss(name: str) -> None:
    model = model_for(name)
    inputs = torch.tensor([0, 1, 2]) if name == "sparse_adam" else torch.ones(5, 3)
    optimizer = build_optimizer(options["optimizer_spec"][name].schema(), model)
    assert type(optimizer).__name__ == options["optimizer_spec"][name].target.rpartition(".")[2]

    def closure() -> float:
        optimizer.zero_grad()
        loss = (model(inputs) - 1).square().mean()
        loss.backward()
        value: float = loss.item()
        return value

    before = closure()
    for _ in range(3):
        optimizer.step(closure)

    assert closure() < before


def test_values_reach_the_optimizer() -> None:
    optimizer = build_optimizer(SGDSpec(lr=0.5, momentum=0.9, nesterov=True), nn.Linear(3, 2))
    (group,) = optimizer.param_groups
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.5, 0.9, True)
    assert group["param_names"] == ["weight", "bias"]


def test_lbfgs_gets_one_group() -> None:
    assert len(build_optimizer(LBFGSSpec(filter_requires_grad=True), nn.Linear(3, 2)).param_groups) == 1


def test_a_groups_values_win_over_the_optimizers() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    spec = AdamWSpec(lr=1e-3, params={"0": ParamGroupSpec(lr=1e-5, betas=(0.8, 0.9), amsgrad=True)})

    first, rest = build_optimizer(spec, model).param_groups

    assert (first["lr"], first["betas"], first["amsgrad"], first["weight_decay"]) == (1e-5, (0.8, 0.9), True, 0.01)
    assert (rest["lr"], rest["betas"], rest["amsgrad"]) == (1e-3, (0.9, 0.999), False)


def test_the_optimizers_state_is_plain_enough_for_a_checkpoint() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = build_optimizer(AdamWSpec(params={".0": ParamGroupSpec(lr=1e-5)}), model)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)

    restored = build_optimizer(AdamWSpec(params={".0": ParamGroupSpec(lr=1.0)}), model)
    restored.load_state_dict(torch.load(buffer, weights_only=True))

    assert restored.param_groups[0]["lr"] == 1e-5


def test_muon_names_the_parameters_that_are_no_matrices() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 2))
    assert message_of(MuonSpec(), model) == (
        "optimizer_spec: muon trains matrices only, found '0.weight (2, 1, 3, 3)', '0.bias (2,)' and '1.bias (2,)';"
        " freeze them and set filter_requires_grad, or choose another optimizer"
    )


def test_muon_trains_the_matrices_of_a_model_whose_rest_is_frozen() -> None:
    model = nn.Linear(3, 2)
    model.bias.requires_grad = False
    (group,) = build_optimizer(MuonSpec(filter_requires_grad=True), model).param_groups
    assert group["param_names"] == ["weight"]


def test_sparse_adam_names_the_parameters_with_dense_gradients() -> None:
    assert message_of(SparseAdamSpec(), nn.Sequential(WordScore(sparse=True), nn.Linear(2, 1))) == (
        "optimizer_spec: sparse_adam trains embeddings made with sparse=True only, found '1.weight' and '1.bias';"
        " freeze them and set filter_requires_grad, or choose another optimizer"
    )
    assert "'words.weight'" in message_of(SparseAdamSpec(), WordScore(sparse=False))


def test_a_model_without_parameters_is_refused() -> None:
    assert message_of(AdamWSpec(), nn.ReLU()) == "optimizer_spec: nothing to train: ReLU has no parameters"


@pytest.mark.parametrize("filtered", [False, True])
def test_a_wholly_frozen_model_is_refused(filtered: bool) -> None:
    model = nn.Linear(3, 2).requires_grad_(False)
    assert message_of(AdamWSpec(filter_requires_grad=filtered), model) == (
        "optimizer_spec: nothing to train: all parameters of Linear are frozen ('weight' and 'bias')"
    )


def test_weight_decay_factors_reach_the_step() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    spec = SGDSpec(lr=0.1, weight_decay=0.5, paramwise=ParamwiseConfig(norm_decay=0.0, bias_decay=0.0))
    optimizer = build_optimizer(spec, model)
    before = {name: own.detach().clone() for name, own in model.named_parameters()}
    for own in model.parameters():
        own.grad = torch.zeros_like(own)
    optimizer.step()
    moved = [name for name, own in model.named_parameters() if not torch.equal(own, before[name])]
    assert moved == ["0.weight"]


class Parts(nn.Module):
    """Three parts, two of which share a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.head = nn.Linear(3, 3)
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.head.weight


def named(*parameters: str, spec: OptimizerSpec | None = None, **values: Any) -> NamedOptimizerSpec:
    return NamedOptimizerSpec(parameters=parameters, optimizer_spec=spec or SGDSpec(lr=0.5), **values)


def problems_of(optimizers: dict[str, NamedOptimizerSpec], main: OptimizerSpec | None = None) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        build_optimizers(main or AdamWSpec(), None, optimizers, Parts())
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_one_optimizer_is_given_as_lightning_wants_it() -> None:
    model = Parts()
    assert isinstance(build_optimizers(AdamWSpec(), None, {}, model), torch.optim.AdamW)
    both: Any = build_optimizers(AdamWSpec(), ReduceLROnPlateauSpec(monitor="val/loss"), {}, model)
    assert isinstance(both["optimizer"], torch.optim.AdamW)
    assert both["lr_scheduler"]["monitor"] == "val/loss"
    by_hand: Any = build_optimizers(AdamWSpec(), ReduceLROnPlateauSpec(monitor="val/loss"), {}, model, manual=True)
    assert by_hand["lr_scheduler"].keys() == {"scheduler", "interval", "frequency"}


def test_the_main_optimizer_trains_what_the_others_leave() -> None:
    head = named(".head", "decoder.bias", scheduler_spec=StepLRSpec(step_size=1))
    built: Any = build_optimizers(AdamWSpec(), None, {"head": head}, Parts())
    main, other = built
    assert [group["param_names"] for group in main["optimizer"].param_groups] == [["body.weight", "body.bias"]]
    assert [(group["name"], group["param_names"]) for group in other["optimizer"].param_groups] == [
        ("head", ["head.weight", "head.bias", "decoder.bias"])
    ]
    assert isinstance(main["optimizer"], torch.optim.AdamW)
    assert "lr_scheduler" not in main
    assert other["lr_scheduler"]["scheduler"].optimizer is other["optimizer"]


def test_every_parameter_that_two_optimizers_would_train_is_named() -> None:
    assert problems_of({"head": named(".haed"), "decoder": named(".head"), "other": named(".decoder")}) == [
        ("optimizers.head.parameters[0]", "names no submodule or parameter of Parts; did you mean '.head'?"),
        (
            "optimizers.other.parameters[0]",
            (
                "trains 'head.weight is decoder.weight', as optimizers.decoder does by '.head';"
                " give each to one optimizer"
            ),
        ),
    ]


def test_no_optimizer_is_left_with_nothing() -> None:
    assert problems_of({"all": named(".body", ".head", ".decoder.bias")}) == [
        ("optimizer_spec", "has nothing to train: the further optimizers train all of Parts")
    ]


def test_problems_are_told_where_the_spec_stands() -> None:
    muon = problems_of({"head": named(".head", spec=MuonSpec())})
    assert [path for path, _ in muon] == ["optimizers.head.optimizer_spec"]
    cycle = CyclicLRSpec(base_lr=(0.1, 0.2), max_lr=1.0, cycle_momentum=False)
    ((path, message),) = problems_of({"head": named(".head", scheduler_spec=cycle)})
    assert path == "optimizers.head.scheduler_spec.base_lr"
    assert message == "needs one value for each parameter group (head): expected 1, found 2"
    group = {".head": ParamGroupSpec(lr=0.1)}
    ((path, _),) = problems_of({"head": named(".head")}, AdamWSpec(params=group))
    assert path == "optimizer_spec.params[.head]"


def test_lists_for_groups_are_held_against_those_that_factors_divide() -> None:
    spec = SGDSpec(lr=0.1, weight_decay=0.1, paramwise=ParamwiseConfig(bias_decay=0.0))
    cycle = CyclicLRSpec(base_lr=(0.1,), max_lr=(1.0,), cycle_momentum=False)
    with pytest.raises(ConfigError) as caught:
        build_optimizers(spec, cycle, {}, Parts())
    assert str(caught.value).startswith(
        "scheduler_spec.base_lr: needs one value for each parameter group (all, all/no_decay): expected 2, found 1"
    )


def test_a_cycle_lasts_as_many_steps_as_its_optimizer_takes() -> None:
    head = named(".head", scheduler_spec=OneCycleLRSpec(max_lr=0.1), every_n_steps=5)
    built: Any = build_optimizers(
        AdamWSpec(), OneCycleLRSpec(max_lr=0.1), {"head": head}, Parts(), run_steps=lambda: 100
    )
    assert [part["lr_scheduler"]["scheduler"].total_steps for part in built] == [100, 20]
