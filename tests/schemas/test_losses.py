"""The losses that can be chosen, and what their schemas let through."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from app.builders.targets import live_class
from app.compose import load_config
from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.losses.further import ContrastiveConfig, DiceConfig, FocalConfig, NTXentConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import (
    LEFT_OUT,
    BCEConfig,
    BCEWithLogitsConfig,
    CosineEmbeddingConfig,
    CrossEntropyConfig,
    CTCConfig,
    HuberConfig,
    KLDivConfig,
    L1Config,
    MSEConfig,
    MultiMarginConfig,
    NLLConfig,
    PoissonNLLConfig,
    SmoothL1Config,
    TripletMarginConfig,
    TripletMarginWithDistanceConfig,
)
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import Option, options
from app.schemas.rules import remarks
from app.schemas.schema import schema


def message_of(override: Any, *arguments: Any, **values: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        override(*arguments, **values)
    return str(caught.value)


def test_every_loss_of_torch_is_an_option_or_left_out_for_a_reason() -> None:
    theirs = {name for name in vars(torch.nn) if name.endswith("Loss") or "WithLoss" in name or name == "NLLLoss2d"}
    ours = {option.target for option in options["loss"].values()}
    assert len(theirs) > 20
    assert {name for name in theirs if f"torch.nn.{name}" not in ours} == LEFT_OUT.keys()


def test_no_loss_is_hidden_in_the_module_of_torchs_losses() -> None:
    from torch.nn.modules import loss

    public = {name for name, cls in vars(loss).items() if inspect.isclass(cls) and cls.__module__ == loss.__name__}
    assert {name for name in public if not name.startswith("_")} <= set(vars(torch.nn))


@pytest.mark.parametrize("option", options["loss"].values(), ids=options["loss"])
def test_an_option_declares_the_arguments_of_its_forward(option: Option) -> None:
    config: type[LossConfig] = option.schema
    forward = inspect.signature(live_class(option.schema()).forward)
    assert list(config.arguments) == list(forward.parameters)[1:]
    assert {*config.same_shape, *config.real_valued} <= config.arguments.keys()


@pytest.mark.parametrize("name", options["loss"])
def test_every_loss_can_be_left_as_it_is(name: str) -> None:
    config = options["loss"][name].schema()
    assert isinstance(config, LossConfig)
    assert (config.weight, config.mapping, config.phases) == (1.0, {}, ("train", "val", "test"))


WRONG: Sequence[tuple[type[LossConfig], dict[str, Any], str]] = [
    (CrossEntropyConfig, {"label_smoothing": 1.0}, "label_smoothing: expected a number of at least 0 and below 1"),
    (CrossEntropyConfig, {"label_smoothing": -0.1}, "label_smoothing: expected a number of at least 0 and below 1"),
    (CrossEntropyConfig, {"class_weights": ()}, "class_weights: expected a list that is not empty"),
    (CrossEntropyConfig, {"class_weights": (1.0, -1.0)}, "class_weights[1]: expected a number of at least 0"),
    (CrossEntropyConfig, {"class_weights": (0.0, 0.0)}, "class_weights: leaves no class that counts"),
    (CrossEntropyConfig, {"reduction": "none"}, "reduction: expected 'mean' or 'sum'"),
    (CrossEntropyConfig, {"weight": (1.0, 2.0)}, "weight: expected a number above 0"),
    (CrossEntropyConfig, {"weight": 0.0}, "weight: expected a number above 0"),
    (CrossEntropyConfig, {"mapping": {"targets": "label"}}, "has no argument 'targets'; did you mean 'target'?"),
    (CrossEntropyConfig, {"phases": ("train", "train")}, "phases: names train twice"),
    (BCEWithLogitsConfig, {"pos_weight": (-1.0,)}, "pos_weight[0]: expected a number of at least 0"),
    (KLDivConfig, {"reduction": "none"}, "reduction: expected 'batchmean', 'mean' or 'sum'"),
    (HuberConfig, {"delta": 0.0}, "delta: expected a number above 0"),
    (SmoothL1Config, {"beta": -1.0}, "beta: expected a number of at least 0"),
    (MultiMarginConfig, {"p": 3}, "p: expected 1 or 2"),
    (CosineEmbeddingConfig, {"margin": 1.5}, "margin: expected a number of at least -1 and of at most 1"),
    (TripletMarginConfig, {"margin": 0.0}, "margin: expected a number above 0"),
    (TripletMarginConfig, {"swap": 1}, "swap: expected true or false"),
    (TripletMarginConfig, {"p": 0.5}, "p: expected a number of at least 1"),
    (TripletMarginWithDistanceConfig, {"distance": "hamming"}, "distance: expected 'euclidean', 'cosine'"),
    (CTCConfig, {"blank": -1}, "blank: expected a whole number of at least 0"),
    (DiceConfig, {"smooth": 0.0}, "smooth: expected a number above 0"),
    (DiceConfig, {"kind": "binary", "include_background": False}, "include_background: false leaves out class 0"),
    (DiceConfig, {"kind": "binary", "generalized": True}, "generalized: weighs several classes"),
    (FocalConfig, {"gamma": -1.0}, "gamma: expected a number of at least 0"),
    (FocalConfig, {"alpha": 0.25}, "alpha: weighs positives against negatives, and kind is 'multiclass'"),
    (FocalConfig, {"kind": "binary", "class_weights": (1.0,)}, "class_weights: weigh several classes"),
    (FocalConfig, {"class_weights": (0.0,)}, "class_weights: leaves no class that counts"),
    (ContrastiveConfig, {"margin": 0.0}, "margin: expected a number above 0"),
    (NTXentConfig, {"temperature": 0.0}, "temperature: expected a number above 0"),
]


@pytest.mark.parametrize(("config", "values", "message"), WRONG, ids=lambda value: getattr(value, "__name__", None))
def test_what_could_not_train_is_refused(config: type[LossConfig], values: dict[str, Any], message: str) -> None:
    assert message in message_of(config, **values)


def test_the_legacy_arguments_are_not_there() -> None:
    for option in options["loss"].values():
        assert {"size_average", "reduce"}.isdisjoint(field_types(option.schema))


def test_targets_and_predictions_have_their_usual_outputs() -> None:
    assert CrossEntropyConfig().output_of() == {"input": "logits", "target": "target"}
    assert MSEConfig().output_of() == {"input": "prediction", "target": "target"}
    assert BCEConfig(mapping={"target": "answer"}).output_of() == {"input": "probabilities", "target": "answer"}


def test_a_joint_loss_needs_a_term_in_training() -> None:
    assert "losses: needs a term in training" in message_of(JointLossConfig)
    only_val = {"l1": L1Config(phases=("val",))}
    assert "losses: needs a term in training" in message_of(JointLossConfig, losses=only_val)


@pytest.mark.parametrize("tag", ["a.b", "", "1st", "a/b", "a b", "_x", "ä"])
def test_a_tag_is_a_name(tag: str) -> None:
    assert "expected a name of letters, digits and _" in message_of(JointLossConfig, losses={tag: L1Config()})


@pytest.mark.parametrize("tag", ["train", "forward", "type", "cross_entropy", "smooth2"])
def test_any_name_can_be_a_tag(tag: str) -> None:
    assert JointLossConfig(losses={tag: L1Config()}).tags("val") == (tag,)


def test_the_terms_of_a_phase_are_known() -> None:
    config = JointLossConfig(losses={"l1": L1Config(), "mse": MSEConfig(phases=("train", "test"))})
    assert (config.tags("train"), config.tags("val")) == (("l1", "mse"), ("l1",))


def test_losses_are_chosen_and_tuned_by_overrides() -> None:
    config = load_config(
        ["loss=[focal,cross_entropy]", "joint_loss.losses.focal.gamma=3", "joint_loss.losses.cross_entropy.weight=0.5"]
    )
    assert config.joint_loss == JointLossConfig(
        losses={"focal": FocalConfig(gamma=3.0), "cross_entropy": CrossEntropyConfig(weight=0.5)}
    )


def test_what_a_target_says_is_the_tasks_to_know() -> None:
    assert options["loss"]["dice"].preset["kind"] == options["loss"]["focal"].preset["kind"] == "${task.kind}"


@schema
class QuantileConfig(LossConfig):
    """The pinball loss."""

    quantile: float = 0.5
    """The share of targets that shall lie below the prediction."""


def test_a_loss_of_ones_own_is_a_schema_like_the_others() -> None:
    assert QuantileConfig(quantile=0.1).output_of() == {"input": "logits", "target": "target"}
    assert JointLossConfig(losses={"quantile": QuantileConfig()}).tags("train") == ("quantile",)


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


TAKEN_WRONG = [
    (CrossEntropyConfig, "probabilities", "are normalised already, and CrossEntropyConfig normalises what it gets"),
    (BCEWithLogitsConfig, "log_probabilities", "and logarithms, and BCEWithLogitsConfig normalises what it gets"),
    (FocalConfig, "probabilities", "are normalised already, and FocalConfig normalises what it gets"),
    (DiceConfig, "digit_probabilities", "are normalised already, and DiceConfig normalises what it gets"),
    (BCEConfig, "logits", "are scores that nothing has normalised yet, and BCEConfig normalises nothing"),
    (NLLConfig, "digit_logits", "are scores that nothing has normalised yet, and NLLConfig normalises nothing"),
    (NLLConfig, "probabilities", "are normalised already, and NLLConfig normalises nothing; expected 'log_probabil"),
    (KLDivConfig, "logits", "are scores that nothing has normalised yet, and KLDivConfig normalises nothing"),
]


@pytest.mark.parametrize(("config", "output", "message"), TAKEN_WRONG)
def test_scores_are_normalized_exactly_once(config: type[LossConfig], output: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config(mapping={"input": output})
    (problem,) = caught.value.problems
    assert (problem.path, problem.code) == (f"{config.__name__}.mapping.input", Code.NORMALIZED_TWICE)
    assert message in problem.message


@pytest.mark.parametrize("option", options["loss"].values(), ids=options["loss"])
def test_what_a_loss_is_usually_computed_from_is_what_it_takes(option: Option) -> None:
    config: type[LossConfig] = option.schema
    assert config.takes.keys() <= config.arguments.keys()
    for argument, taken in config.takes.items():
        assert config.arguments[argument] in taken
        for output in (*taken, "of_ones_own", *(f"digit_{form}" for form in taken)):
            assert config(mapping={argument: output}).output_of()[argument] == output


@pytest.mark.parametrize("option", options["loss"].values(), ids=options["loss"])
def test_a_loss_of_scores_or_probabilities_says_so(option: Option) -> None:
    config: type[LossConfig] = option.schema
    usual = {argument for argument, output in config.arguments.items() if output.endswith(("logits", "probabilities"))}
    margins = {"multi_margin", "multi_label_margin"}  # of scores, whatever their unit
    assert usual == config.takes.keys() or option.name in margins


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (JointLossConfig(losses={"a": CrossEntropyConfig()}), {"normalize_weights", "losses.a.weight"}),
        (JointLossConfig(losses={"a": CrossEntropyConfig(weight=2.0)}), {"losses.a.weight"}),
        (JointLossConfig(normalize_weights=False, losses={"a": CrossEntropyConfig(weight=2.0)}), set()),
        (JointLossConfig(normalize_weights=False, losses={"a": CrossEntropyConfig()}), {"normalize_weights"}),
        (
            JointLossConfig(losses={"a": CrossEntropyConfig(), "b": CrossEntropyConfig(phases=("train",))}),
            set(),
        ),
        (
            JointLossConfig(
                losses={
                    "a": CrossEntropyConfig(phases=("val",)),
                    "b": CrossEntropyConfig(phases=("train",), weight=2.0),
                }
            ),
            {"losses.a.weight", "losses.b.weight"},
        ),
        (PoissonNLLConfig(), {"eps"}),
        (PoissonNLLConfig(log_input=False), set()),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected
