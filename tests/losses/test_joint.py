"""The joint loss: which terms are computed, from what, and how they are summed up."""

import pickle

import pytest
import torch
from torch import Tensor, nn

from app.losses.inputs import LossInputError
from app.losses.joint import JointLoss, Term
from app.schemas.outputs import MissingOutputError

OUTPUTS = {"prediction": torch.tensor([1.0, 2.0]), "target": torch.tensor([2.0, 4.0])}
MAPPING = {"input": "prediction", "target": "target"}


def term(loss: nn.Module, **values: object) -> Term:
    return Term(loss=loss, mapping=MAPPING, **values)  # type: ignore[arg-type]  # any of the fields


def l1_and_mse(*, normalize_weights: bool = True) -> JointLoss:
    """Of `OUTPUTS`, the absolute error is 1.5 and the squared one 2.5."""
    terms = {"l1": term(nn.L1Loss(), weight=1.0), "mse": term(nn.MSELoss(), weight=3.0, phases=("train", "val"))}
    return JointLoss(terms, normalize_weights=normalize_weights)


def test_the_total_is_the_weighted_mean_of_the_terms() -> None:
    total, values = l1_and_mse()(OUTPUTS, "train")
    assert values == {"l1": 1.5, "mse": 2.5}
    assert total == (1.5 + 3 * 2.5) / 4


def test_without_normalization_it_is_their_weighted_sum() -> None:
    total, values = l1_and_mse(normalize_weights=False)(OUTPUTS, "train")
    assert (total, values) == (1.5 + 3 * 2.5, {"l1": 1.5, "mse": 2.5})


def test_weights_are_normalized_over_the_terms_of_the_phase() -> None:
    losses = l1_and_mse()
    assert losses.tags("test") == ("l1",)
    assert losses(OUTPUTS, "test") == (1.5, {"l1": 1.5})


def test_a_term_alone_is_the_total_to_the_last_bit() -> None:
    outputs = {"prediction": torch.randn(9), "target": torch.randn(9)}
    total, values = JointLoss({"mse": term(nn.MSELoss(), weight=0.3)})(outputs, "train")
    assert total is values["mse"]
    assert torch.equal(total, nn.MSELoss()(outputs["prediction"], outputs["target"]))


def test_some_of_the_terms_can_be_minimised_by_an_optimizer_of_their_own() -> None:
    losses = l1_and_mse()
    assert losses(OUTPUTS, "train", only=["mse"]) == (2.5, {"mse": 2.5})
    unnormalized = l1_and_mse(normalize_weights=False)
    assert unnormalized(OUTPUTS, "train", only=["mse"]) == (7.5, {"mse": 2.5})


def test_values_that_are_there_can_be_summed_up_again() -> None:
    losses = l1_and_mse()
    total, values = losses(OUTPUTS, "train")
    assert losses.total(values) == total
    assert losses.shares(values) == {"l1": 1.5 / 4, "mse": 3 * 2.5 / 4}
    assert losses.total({"l1": values["l1"]}) == 1.5


def test_a_phase_without_terms_has_no_loss() -> None:
    losses = JointLoss({"l1": term(nn.L1Loss(), phases=("train",))})
    assert losses.tags("val") == ()
    with pytest.raises(AssertionError, match="a phase without terms has no loss"):
        losses(OUTPUTS, "val")


def test_terms_are_reached_by_their_tag() -> None:
    losses = l1_and_mse()
    assert isinstance(losses["mse"], nn.MSELoss)
    assert (list(losses), "mse" in losses, "dice" in losses) == (["l1", "mse"], True, False)
    with pytest.raises(KeyError, match="no term 'dice'; there are l1, mse"):
        losses["dice"]


@pytest.mark.parametrize("tag", ["train", "forward", "type", "keys", "losses", "double"])
def test_a_tag_may_be_the_name_of_a_method(tag: str) -> None:
    losses = JointLoss({tag: term(nn.L1Loss())})
    assert isinstance(losses[tag], nn.L1Loss)
    assert losses.eval().train()(OUTPUTS, "train") == (1.5, {tag: 1.5})


def test_gradients_flow_through_every_term() -> None:
    prediction = torch.tensor([1.0, 2.0], requires_grad=True)
    total, _ = l1_and_mse()({**OUTPUTS, "prediction": prediction}, "train")
    total.backward()
    assert prediction.grad is not None
    torch.testing.assert_close(prediction.grad, torch.tensor([-0.5 - 3 * 1, -0.5 - 3 * 2]) / 4)


def test_a_loss_learns_whether_it_trains() -> None:
    class Mode(nn.Module):
        def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002, ARG002  # as a term is called
            return torch.tensor(1.0 if self.training else 0.0)

    losses = JointLoss({"mode": term(Mode())})
    assert (losses(OUTPUTS, "train")[0], losses.eval()(OUTPUTS, "val")[0]) == (1, 0)


def test_an_output_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingOutputError) as caught:
        l1_and_mse()({"logits": torch.ones(2), "target": torch.ones(2)}, "train")
    assert str(caught.value) == (
        "joint_loss.losses.l1 needs the output 'prediction', which the step did not put out; it put out logits, target"
        " (output_keys of the module's config must name what is there)"
    )
    assert pickle.loads(pickle.dumps(caught.value)).found == caught.value.found


def test_shapes_that_torch_would_compare_each_with_all_are_refused() -> None:
    losses = JointLoss({"error": term(nn.MSELoss(), same_shape=("input", "target"))})
    with pytest.raises(LossInputError) as caught:
        losses({"prediction": torch.ones(64, 1), "target": torch.ones(64)}, "train")
    assert str(caught.value) == (
        "joint_loss.losses.error: MSELoss takes arguments of one shape, found input from 'prediction' (64, 1),"
        " target from 'target' (64,)"
    )


def test_an_error_within_a_loss_keeps_its_type_and_says_what_was_given() -> None:
    losses = JointLoss({"ce": Term(loss=nn.CrossEntropyLoss(), mapping={"input": "logits", "target": "target"})})
    with pytest.raises(ValueError, match="batch_size") as caught:
        losses({"logits": torch.ones(4, 3), "target": torch.zeros(5, dtype=torch.int64)}, "train")
    assert caught.value.__notes__ == [
        "joint_loss.losses.ce was given input from 'logits' (4, 3) float32, target from 'target' (5,) int64"
    ]


def test_a_loss_that_returns_several_numbers_is_refused() -> None:
    losses = JointLoss({"l1": term(nn.L1Loss(reduction="none"))})
    with pytest.raises(LossInputError, match=r"losses.l1: a loss is one number, L1Loss returned \(2,\)"):
        losses(OUTPUTS, "train")


def test_real_numbers_are_made_of_whole_ones_where_a_loss_needs_them() -> None:
    losses = JointLoss({"error": term(nn.HuberLoss(), real_valued=("target",))})
    prediction = torch.tensor([0.5], requires_grad=True)
    total, _ = losses({"prediction": prediction, "target": torch.tensor([1])}, "train")
    total.backward()
    assert total == 0.125
    assert prediction.grad == -0.5


def test_weights_of_a_loss_with_a_state_stand_under_its_tag() -> None:
    class Running(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("mean", torch.zeros(()))

        def forward(self, input: Tensor, target: Tensor) -> Tensor:  # noqa: A002  # as a term is called
            return (input - target).mean()

    assert list(JointLoss({"train": term(Running())}).state_dict()) == ["losses.train_loss.mean"]
