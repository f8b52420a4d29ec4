"""Optimizers built from their specs take real steps."""

import io

import pytest
import torch
from torch import Tensor, nn

from app.builders.optimizers import build_optimizer
from app.schemas.optimizers import (
    AdamWSpec,
    LBFGSSpec,
    MuonSpec,
    OptimizerSpec,
    ParamGroupSpec,
    SGDSpec,
    SparseAdamSpec,
)
from app.schemas.problems import ConfigError
from app.schemas.registry import options


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
