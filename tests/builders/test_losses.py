"""Losses built from their configs: every field arrives, values are torch's own to the last bit."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Generator, Tensor, nn
from torch.nn import functional

from app.builders.losses import build_joint_loss
from app.losses.joint import JointLoss
from app.schemas.losses.further import FocalConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import BCEWithLogitsConfig, CrossEntropyConfig, L1Config, MSEConfig
from app.schemas.problems import ConfigError
from app.schemas.registry import options, register
from app.schemas.schema import import_path, schema

TORCHS = [name for name, option in options["loss"].items() if option.target.startswith("torch.nn.")]
OF_EVERY_TERM = {"mapping", "phases", "weight"}

OTHER_VALUES: Mapping[str, Mapping[str, Any]] = {
    "cross_entropy": {
        "reduction": "sum",
        "class_weights": (0.5, 1.0, 2.0),
        "label_smoothing": 0.1,
        "ignore_index": 1,
    },
    "nll": {"reduction": "sum", "class_weights": (0.5, 1.0, 2.0), "ignore_index": 1},
    "bce_with_logits": {"reduction": "sum", "class_weights": (0.5, 1.0, 2.0), "pos_weight": (3.0, 2.0, 1.0)},
    "bce": {"reduction": "sum", "class_weights": (0.5, 1.0, 2.0)},
    "mse": {"reduction": "sum"},
    "l1": {"reduction": "sum"},
    "smooth_l1": {"reduction": "sum", "beta": 0.3},
    "huber": {"reduction": "sum", "delta": 0.3},
    "poisson_nll": {"reduction": "sum", "log_input": False, "full": True, "eps": 0.1},
    "gaussian_nll": {"reduction": "sum", "full": True, "eps": 0.4},
    "kl_div": {"reduction": "sum", "log_target": True},
    "soft_margin": {"reduction": "sum"},
    "hinge_embedding": {"reduction": "sum", "margin": 0.7},
    "cosine_embedding": {"reduction": "sum", "margin": 0.2},
    "margin_ranking": {"reduction": "sum", "margin": 0.6},
    "multi_margin": {"reduction": "sum", "class_weights": (0.5, 1.0, 2.0), "p": 2, "margin": 0.7},
    "multi_label_margin": {"reduction": "sum"},
    "multi_label_soft_margin": {"reduction": "sum", "class_weights": (0.5, 1.0, 2.0)},
    "triplet_margin": {"reduction": "sum", "margin": 0.6, "swap": True, "p": 1.0, "eps": 0.1},
    "triplet_margin_with_distance": {"reduction": "sum", "margin": 0.6, "swap": True, "distance": "cosine"},
    "ctc": {"reduction": "sum", "blank": 2, "zero_infinity": True},
}
"""A value for each field of each loss that is not its default."""


def given_to(name: str, seed: int) -> dict[str, Tensor]:
    """Random arguments of a loss's forward, on which each of its fields matters."""
    generator = Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    scores, classes = normal(8, 3), torch.arange(8) % 3
    signs = torch.tensor([1.0, -1.0]).repeat(4)
    match name:
        case "cross_entropy" | "multi_margin":
            return {"input": scores, "target": classes}
        case "nll":
            return {"input": scores.log_softmax(dim=1), "target": classes}
        case "bce_with_logits" | "multi_label_soft_margin":
            return {"input": scores, "target": (normal(8, 3) > 0).float()}
        case "bce":
            return {"input": scores.sigmoid(), "target": (normal(8, 3) > 0).float()}
        case "mse" | "l1" | "smooth_l1" | "huber":
            return {"input": scores, "target": normal(8, 3)}
        case "poisson_nll":
            return {"log_input": normal(8).exp(), "target": torch.arange(8.0)}
        case "gaussian_nll":
            return {"input": normal(8), "target": normal(8), "var": normal(8).square()}
        case "kl_div":
            return {"input": scores.log_softmax(dim=1), "target": normal(8, 3).softmax(dim=1)}
        case "soft_margin":
            return {"input": normal(8), "target": signs}
        case "hinge_embedding":
            return {"input": torch.rand(8, generator=generator), "target": signs}
        case "cosine_embedding":
            return {"input1": normal(8, 3), "input2": normal(8, 3), "target": signs}
        case "margin_ranking":
            return {"input1": normal(8), "input2": normal(8), "target": signs}
        case "multi_label_margin":
            return {"input": scores, "target": torch.tensor([[0, 2, -1], [1, -1, 0]]).repeat(4, 1)}
        case "triplet_margin" | "triplet_margin_with_distance":
            return {"anchor": normal(8, 3), "positive": normal(8, 3), "negative": normal(8, 3)}
        case "ctc":
            return {
                "log_probs": normal(5, 8, 4).log_softmax(dim=2),
                "targets": torch.tensor([[1, 3, 1], [3, 1, 3]]).repeat(4, 1),
                "input_lengths": torch.tensor([5] * 7 + [1]),  # the last one has no room for its symbols
                "target_lengths": torch.tensor([1, 2, 3, 2] + [3] * 4),
            }
    raise AssertionError(name)


def made_directly(name: str, values: Mapping[str, Any]) -> nn.Module:
    """Torch's own class with the same settings, in torch's words."""
    arguments = dict(values)
    if "class_weights" in arguments:
        arguments["weight"] = torch.tensor(arguments.pop("class_weights"))
    if "pos_weight" in arguments:
        arguments["pos_weight"] = torch.tensor(arguments.pop("pos_weight"))
    if arguments.pop("distance", None) == "cosine":
        arguments["distance_function"] = lambda one, other: 1 - functional.cosine_similarity(one, other)
    if name == "kl_div":
        arguments.setdefault("reduction", "batchmean")
    loss: nn.Module = getattr(nn, options["loss"][name].target.rpartition(".")[2])(**arguments)
    return loss


def joint(**losses: LossConfig) -> JointLoss:
    return build_joint_loss(JointLossConfig(losses=losses))


def value_of(config: LossConfig, given: Mapping[str, Tensor]) -> Tensor:
    outputs = {output: given[argument] for argument, output in config.output_of().items()}
    total, _ = joint(term=config)(outputs, "train")
    assert isinstance(total, Tensor)
    return total


def test_a_value_is_tried_for_every_field() -> None:
    assert OTHER_VALUES.keys() == set(TORCHS)
    for name, values in OTHER_VALUES.items():
        defaults = {field.name: field.default for field in dataclasses.fields(options["loss"][name].schema)}
        assert values.keys() == defaults.keys() - OF_EVERY_TERM
        assert all(value != defaults[field] for field, value in values.items())


@pytest.mark.parametrize("name", TORCHS)
def test_values_are_torchs_own(name: str) -> None:
    values = OTHER_VALUES[name]
    for seed in range(3):
        given = given_to(name, seed)
        for settings in ({}, values):
            assert torch.equal(
                value_of(options["loss"][name].schema(**settings), given), made_directly(name, settings)(**given)
            )


@pytest.mark.parametrize(("name", "field"), [(name, field) for name in TORCHS for field in OTHER_VALUES[name]])
def test_every_field_arrives_and_matters(name: str, field: str) -> None:
    given = given_to(name, seed=0)
    with_all = OTHER_VALUES[name]
    without = {other: value for other, value in with_all.items() if other != field}

    value = value_of(options["loss"][name].schema(**without), given)

    assert torch.equal(value, made_directly(name, without)(**given))
    assert not torch.equal(value, value_of(options["loss"][name].schema(**with_all), given))


@pytest.mark.parametrize("distance", ["euclidean", "chebyshev"])
def test_triplets_are_measured_by_the_chosen_distance(distance: str) -> None:
    given = given_to("triplet_margin_with_distance", seed=0)
    expected = nn.TripletMarginLoss(p={"euclidean": 2.0, "chebyshev": float("inf")}[distance])(**given)
    config = options["loss"]["triplet_margin_with_distance"].schema(distance=distance)
    torch.testing.assert_close(value_of(config, given), expected)


@pytest.mark.parametrize("name", sorted(set(options["loss"]) - set(TORCHS) - {"location_focal"}))
def test_our_own_losses_are_built_with_their_fields(name: str) -> None:
    others: dict[str, dict[str, Any]] = {
        "dice": {"kind": "multilabel", "smooth": 2.0, "squared": True, "generalized": True, "per_sample": True},
        "focal": {"kind": "binary", "gamma": 3.0, "alpha": 0.3, "ignore_index": 5, "reduction": "sum"},
        "contrastive": {"margin": 2.0, "reduction": "sum"},
        "ntxent": {"temperature": 0.2},
        "supervised_contrastive": {"temperature": 0.2},
        "location_box": {"form": "l1"},
        "location_centerness": {},
    }
    loss: Any = joint(term=options["loss"][name].schema(**others[name]))["term"]
    assert {field: getattr(loss, field) for field in others[name]} == others[name]


def test_the_focal_loss_of_locations_hands_its_fields_on() -> None:
    loss: Any = joint(term=options["loss"]["location_focal"].schema(gamma=3.0, alpha=0.4))["term"]
    assert (loss.focal.gamma, loss.focal.alpha) == (3.0, 0.4)


def test_class_weights_follow_the_device_and_stay_out_of_checkpoints() -> None:
    losses = joint(
        ce=CrossEntropyConfig(class_weights=(1.0, 2.0)),
        bce=BCEWithLogitsConfig(pos_weight=(3.0,), class_weights=(2.0,)),
        focal=FocalConfig(class_weights=(1.0, 2.0)),
    )
    assert losses.state_dict() == {}
    assert [buffer.tolist() for buffer in losses.buffers()] == [[1, 2], [2], [3], [1, 2]]
    assert {buffer.device.type for buffer in losses.to("meta").buffers()} == {"meta"}
    assert len(list(losses.buffers())) == 4


def test_whole_numbers_are_taken_as_targets_of_real_ones() -> None:
    scores, answers = torch.tensor([0.3, -2.0]), torch.tensor([1, 0])
    expected = functional.binary_cross_entropy_with_logits(scores, answers.float())
    total, _ = joint(bce=BCEWithLogitsConfig())({"logits": scores, "target": answers}, "val")
    assert torch.equal(total, expected)


def test_settings_of_terms_arrive() -> None:
    config = JointLossConfig(
        normalize_weights=False,
        losses={
            "near": L1Config(weight=0.5, mapping={"target": "value"}),
            "far": MSEConfig(phases=("train",)),
        },
    )
    outputs = {"prediction": torch.tensor([1.0]), "value": torch.tensor([3.0]), "target": torch.tensor([5.0])}
    total, values = build_joint_loss(config)(outputs, "train")
    assert (total, values) == (0.5 * 2 + 16, {"near": 2, "far": 16})
    assert build_joint_loss(config)(outputs, "val") == (1, {"near": 2})


def test_a_built_loss_can_be_copied() -> None:
    original = joint(ce=CrossEntropyConfig(class_weights=(1.0, 2.0)))
    copied = copy.deepcopy(original)
    assert copied["ce"] is next(iter(copied.losses.values()))
    assert copied["ce"] is not original["ce"]


class CenterLoss(nn.Module):
    """A loss with something to learn, after Wen et al. (2016)."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.centers = nn.Parameter(torch.zeros(num_classes, 2))

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        return (embedding - self.centers[target]).square().mean()


class QuantileLoss(nn.Module):
    """The pinball loss."""

    def __init__(self, *, quantile: float) -> None:
        super().__init__()
        self.quantile = quantile

    def forward(self, prediction: Tensor, target: Tensor) -> Tensor:
        missing = target - prediction
        return torch.maximum(self.quantile * missing, (self.quantile - 1) * missing).mean()


@schema
class CenterConfig(LossConfig):
    arguments: ClassVar = {"embedding": "embedding", "target": "target"}

    num_classes: int = 3


@schema
class QuantileConfig(LossConfig):
    arguments: ClassVar = {"prediction": "prediction", "target": "target"}

    quantile: float = 0.5


@pytest.fixture
def own_losses() -> Iterator[None]:
    made: dict[str, tuple[type[LossConfig], type]] = {
        "center": (CenterConfig, CenterLoss),
        "quantile": (QuantileConfig, QuantileLoss),
    }
    for name, (config, live) in made.items():
        register("loss", name, target=import_path(live))(config)
    yield
    for name, (config, _) in made.items():
        del options._registered["loss"][name]
        del options._by_schema[import_path(config)]
        ConfigStore.instance().repo.get("loss", {}).pop(f"{name}.yaml", None)  # once Hydra knows the options


@pytest.mark.usefixtures("own_losses")
def test_a_loss_of_ones_own_is_one_class_and_one_schema() -> None:
    given = {"prediction": torch.tensor([0.0, 0.0]), "target": torch.tensor([1.0, -1.0])}
    assert value_of(QuantileConfig(quantile=0.75), given) == (0.75 + 0.25) / 2


@pytest.mark.usefixtures("own_losses")
def test_a_loss_with_parameters_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        joint(l1=L1Config(), center=CenterConfig())
    assert str(caught.value) == (
        "joint_loss.losses.center: CenterLoss has parameters, which nothing would train; they belong to the model"
    )
