"""Parameter groups by path: what is trained how, and every way a path can be wrong."""

import logging
from typing import Any

import pytest
import torch
from torch import nn

from app.builders.parameter_groups import parameter_groups
from app.models.named_parameters import abbreviated
from app.schemas.optimizers import AdamWSpec, ParamFactors, ParamGroupSpec, ParamwiseConfig
from app.schemas.problems import ConfigError


class Classifier(nn.Module):
    """A backbone of two layers and a head of two parts."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
        self.head = nn.ModuleDict({"classification_head": nn.Linear(2, 5), "scale": nn.Linear(2, 1, bias=False)})
        self.temperature = nn.Parameter(torch.ones(()))


class TiedAutoencoder(nn.Module):
    """Two layers that share one weight."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 3)
        self.decoder = nn.Linear(3, 3)
        self.decoder.weight = self.encoder.weight


def spec(*paths: str, filter_requires_grad: bool = False) -> AdamWSpec:
    rates = {path: ParamGroupSpec(lr=0.1 / place) for place, path in enumerate(paths, start=1)}
    return AdamWSpec(params=rates, filter_requires_grad=filter_requires_grad)


def names(groups: list[dict[str, Any]]) -> dict[str, list[str]]:
    return {group["name"]: [name for name, _ in group["params"]] for group in groups}


def problems_of(described: AdamWSpec, model: nn.Module) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        parameter_groups(described, model)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def test_without_paths_there_is_one_group_of_everything() -> None:
    model = Classifier()
    (group,) = parameter_groups(AdamWSpec(), model)
    assert group == {"params": list(model.named_parameters())}


def test_paths_name_submodules_and_parameters() -> None:
    groups = parameter_groups(spec(".backbone", ".head.classification_head", ".temperature"), Classifier())

    assert names(groups) == {
        "backbone": ["backbone.0.weight", "backbone.0.bias", "backbone.2.weight", "backbone.2.bias"],
        "head.classification_head": ["head.classification_head.weight", "head.classification_head.bias"],
        "temperature": ["temperature"],
        "remaining": ["head.scale.weight"],
    }
    assert [group.get("lr") for group in groups] == [0.1, 0.05, pytest.approx(0.1 / 3), None]


def test_the_leading_dot_may_be_left_out() -> None:
    model = Classifier()
    assert parameter_groups(spec("backbone"), model) == parameter_groups(spec(".backbone"), model)


def test_a_single_dot_is_the_whole_model() -> None:
    groups = parameter_groups(spec("."), Classifier())
    assert [len(group["params"]) for group in groups] == [8]


def test_a_path_covers_no_more_than_it_names() -> None:
    model = nn.ModuleDict({"layer": nn.Linear(1, 1), "layer2": nn.Linear(1, 1)})
    assert names(parameter_groups(spec(".layer"), model))["layer"] == ["layer.weight", "layer.bias"]


def test_parameters_without_a_path_are_trained_by_the_optimizers_values_and_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO):
        groups = parameter_groups(spec(".backbone"), Classifier())

    assert groups[-1]["name"] == "remaining"
    assert groups[-1].keys() == {"params", "name"}
    (record,) = caplog.records
    assert record.levelname == "INFO"
    assert record.message == (
        "the optimizer's own values train what optimizer_spec.params does not cover:"
        " 'temperature', 'head.classification_head.weight', 'head.classification_head.bias' and 1 more"
    )


def test_nothing_is_logged_when_the_paths_cover_everything(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        parameter_groups(spec(".backbone", ".head", ".temperature"), Classifier())
    assert not caplog.records


@pytest.mark.parametrize(
    ("path", "where", "message"),
    [
        (".backbnoe", "[.backbnoe]", "names no submodule or parameter of Classifier; did you mean '.backbone'?"),
        ("backbnoe", ".backbnoe", "names no submodule or parameter of Classifier; did you mean 'backbone'?"),
        (
            ".model.backbone",
            "[.model.backbone]",
            "names no submodule or parameter of Classifier; did you mean '.backbone'?",
        ),
        (
            ".head.clasification_head",
            "[.head.clasification_head]",
            "names no submodule or parameter of Classifier; did you mean '.head.classification_head'?",
        ),
        (
            ".xyz",
            "[.xyz]",
            "names no submodule or parameter of Classifier; it has '.backbone', '.head' and '.temperature'",
        ),
        (".backbone.1", "[.backbone.1]", "names a ReLU, which has no parameters"),
    ],
)
def test_a_path_that_names_nothing_is_refused(path: str, where: str, message: str) -> None:
    assert problems_of(spec(path), Classifier()) == [(f"optimizer_spec.params{where}", message)]


def test_every_wrong_path_is_reported_at_once() -> None:
    found = problems_of(spec(".backbnoe", ".head", ".haed", ".head.scale"), Classifier())
    assert [path for path, _ in found] == [
        "optimizer_spec.params[.backbnoe]",
        "optimizer_spec.params[.haed]",
        "optimizer_spec.params[.head.scale]",
    ]


def test_nested_paths_are_refused() -> None:
    assert problems_of(spec(".backbone", ".backbone.0"), Classifier()) == [
        (
            "optimizer_spec.params[.backbone.0]",
            (
                "overlaps with '.backbone', both cover 'backbone.0.weight' and 'backbone.0.bias';"
                " name separate parts instead"
            ),
        )
    ]


def test_one_part_spelt_in_two_ways_is_refused() -> None:
    ((path, message),) = problems_of(spec(".temperature", "temperature"), Classifier())
    assert path == "optimizer_spec.params.temperature"
    assert message == "overlaps with '.temperature', both cover 'temperature'; name separate parts instead"


def test_tied_weights_in_two_groups_are_refused() -> None:
    assert problems_of(spec(".encoder", ".decoder"), TiedAutoencoder()) == [
        (
            "optimizer_spec.params[.decoder]",
            (
                "shares parameters with '.encoder': 'encoder.weight' is 'decoder.weight';"
                " give tied weights to one group, by name"
            ),
        )
    ]


def test_tied_weights_are_trained_once() -> None:
    model = TiedAutoencoder()
    assert names(parameter_groups(spec(".decoder"), model)) == {
        "decoder": ["decoder.weight", "decoder.bias"],
        "remaining": ["encoder.bias"],
    }
    assert names(parameter_groups(spec("."), model)) == {".": ["encoder.weight", "encoder.bias", "decoder.bias"]}


def test_a_submodule_used_twice_is_found_under_both_names() -> None:
    shared = nn.Linear(2, 2)
    model = nn.ModuleDict({"first": shared, "second": shared})
    assert names(parameter_groups(spec(".second"), model)) == {"second": ["second.weight", "second.bias"]}


def test_frozen_parameters_stay_unless_they_are_filtered() -> None:
    model = Classifier()
    model.backbone[0].requires_grad_(False)

    assert len(names(parameter_groups(spec(".backbone"), model))["backbone"]) == 4
    assert names(parameter_groups(spec(".backbone", filter_requires_grad=True), model))["backbone"] == [
        "backbone.2.weight",
        "backbone.2.bias",
    ]
    (group,) = parameter_groups(AdamWSpec(filter_requires_grad=True), model)
    assert len(group["params"]) == 6


def test_a_group_emptied_by_freezing_is_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    model = Classifier()
    model.backbone.requires_grad_(False)

    groups = parameter_groups(spec(".backbone", ".head", ".temperature", filter_requires_grad=True), model)

    assert list(names(groups)) == ["head", "temperature"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == (
        "optimizer_spec.params[.backbone] is left out of the optimizer: all its parameters are frozen"
        " ('backbone.0.weight', 'backbone.0.bias', 'backbone.2.weight' and 1 more)"
    )


@pytest.mark.parametrize(
    ("count", "text"), [(1, "'a'"), (2, "'a' and 'b'"), (3, "'a', 'b' and 'c'"), (5, "'a', 'b', 'c' and 2 more")]
)
def test_many_names_are_abbreviated(count: int, text: str) -> None:
    assert abbreviated("abcde"[:count]) == text


class Normed(nn.Module):
    """Layers of every kind that a factor may be about."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.norm = nn.BatchNorm2d(2)
        self.layers = nn.ModuleList([nn.LayerNorm(4), CosineNorm()])
        self.attention = nn.MultiheadAttention(4, 2)
        self.memory = nn.LSTM(4, 4)
        self.pos_embed = nn.Parameter(torch.zeros(1, 4))


class CosineNorm(nn.Module):
    """A normalization layer that torch does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4))


def paramwise(**values: Any) -> AdamWSpec:
    return AdamWSpec(lr=0.1, weight_decay=0.5, paramwise=ParamwiseConfig(**values))


def test_norms_and_biases_can_go_without_weight_decay() -> None:
    groups = parameter_groups(paramwise(norm_decay=0.0, bias_decay=0.0), Normed())
    assert names(groups) == {
        "all": [
            "pos_embed",
            "conv.weight",
            "attention.in_proj_weight",
            "attention.out_proj.weight",
            "memory.weight_ih_l0",
            "memory.weight_hh_l0",
        ],
        "all/no_decay": [
            "conv.bias",
            "norm.weight",
            "norm.bias",
            "layers.0.weight",
            "layers.0.bias",
            "layers.1.scale",
            "attention.in_proj_bias",
            "attention.out_proj.bias",
            "memory.bias_ih_l0",
            "memory.bias_hh_l0",
        ],
    }
    assert [(group.get("lr"), group.get("weight_decay")) for group in groups] == [(None, None), (None, 0.0)]


def test_a_norms_bias_counts_as_a_norm() -> None:
    groups = parameter_groups(paramwise(norm_decay=0.5, bias_decay=0.0, bias_lr=2.0), nn.BatchNorm2d(2))
    assert names(groups) == {"all/decay_x0.5": ["weight", "bias"]}
    assert groups[0]["weight_decay"] == 0.25


def test_factors_by_path_and_pattern_are_multiplied() -> None:
    custom = {".layers": ParamFactors(lr=0.5), "*.weight": ParamFactors(lr=0.1, weight_decay=0.2)}
    groups = parameter_groups(paramwise(norm_decay=0.5, custom=custom), Normed())
    found = {group["name"]: (group.get("lr"), group.get("weight_decay")) for group in groups}
    assert found == {
        "all": (None, None),
        "all/lr_x0.1,decay_x0.2": (pytest.approx(0.01), 0.1),
        "all/lr_x0.1,decay_x0.1": (pytest.approx(0.01), 0.05),
        "all/decay_x0.5": (None, 0.25),
        "all/lr_x0.05,decay_x0.1": (pytest.approx(0.005), 0.05),
        "all/lr_x0.5,decay_x0.5": (0.05, 0.25),
    }
    assert names(groups)["all/lr_x0.05,decay_x0.1"] == ["layers.0.weight"]
    assert sum(len(group["params"]) for group in groups) == len(list(Normed().parameters()))


def test_factors_are_on_a_groups_own_values() -> None:
    groups = parameter_groups(
        AdamWSpec(
            lr=0.1,
            params={".head": ParamGroupSpec(lr=0.5, weight_decay=0.2)},
            paramwise=ParamwiseConfig(bias_decay=0.5, bias_lr=2.0),
        ),
        Classifier(),
    )
    assert [group["name"] for group in groups] == [
        "head",
        "head/lr_x2,decay_x0.5",
        "remaining",
        "remaining/lr_x2,decay_x0.5",
    ]
    assert [(group.get("lr"), group.get("weight_decay")) for group in groups] == [
        (0.5, 0.2),
        (1.0, 0.1),
        (None, None),
        (0.2, 0.005),
    ]


def test_factors_of_one_change_nothing() -> None:
    model = Normed()
    assert parameter_groups(paramwise(custom={".norm": ParamFactors()}), model) == parameter_groups(AdamWSpec(), model)


def test_a_pattern_that_matches_nothing_is_refused_with_the_nearest() -> None:
    custom = {name: ParamFactors(lr=0.1) for name in ("*.wieght", ".attenion", "zzz*", ".norm.weight")}
    assert problems_of(paramwise(custom=custom), Normed()) == [
        ("optimizer_spec.paramwise.custom[*.wieght]", "matches no parameter of Normed; did you mean '*.weight'?"),
        (
            "optimizer_spec.paramwise.custom[.attenion]",
            "names no submodule or parameter of Normed; did you mean '.attention'?",
        ),
        (
            "optimizer_spec.paramwise.custom[zzz*]",
            "matches no parameter of Normed; its parameters: 'pos_embed', 'conv.weight', 'conv.bias' and 13 more",
        ),
    ]


def test_an_optimizer_of_a_part_sees_that_part_alone() -> None:
    model = Classifier()
    trained = [(name, own) for name, own in model.named_parameters() if name.startswith("head.")]
    where = ("optimizers", "head", "optimizer_spec")
    groups = parameter_groups(spec(".head.scale"), model, trained=trained, path=where, name="head")
    assert names(groups) == {
        "head.scale": ["head.scale.weight"],
        "head/remaining": ["head.classification_head.weight", "head.classification_head.bias"],
    }
    (whole,) = parameter_groups(AdamWSpec(), model, trained=trained, path=where, name="head")
    assert whole["name"] == "head"
    with pytest.raises(ConfigError) as caught:
        parameter_groups(spec(".backbone"), model, trained=trained, path=where)
    (problem,) = caught.value.problems
    assert problem.path == "optimizers.head.optimizer_spec.params[.backbone]"
    assert problem.message == (
        "names nothing that this optimizer trains;"
        " it trains 'head.classification_head.weight', 'head.classification_head.bias' and 'head.scale.weight'"
    )
