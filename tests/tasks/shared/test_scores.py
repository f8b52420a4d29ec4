"""The one form that scores have for losses and metrics, whichever module gives them."""

import pytest
import torch
from torch import Tensor

from app.schemas.task import TaskKind
from app.tasks.shared.scores import TargetScale, as_targets_are


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_a_single_column_is_the_score_itself(kind: TaskKind) -> None:
    column = torch.randn(4, 1)

    [scores] = as_targets_are({"logits": column}, kind).values()

    assert torch.equal(scores, column[:, 0])


def test_of_two_scores_the_difference_says_yes_as_a_softmax_would() -> None:
    logits = torch.randn(4, 2)

    scores = as_targets_are({"logits": logits}, "binary")["logits"]

    assert torch.allclose(scores.sigmoid(), logits.softmax(dim=1)[:, 1])


def test_a_number_is_called_a_prediction_where_it_stood() -> None:
    outputs = as_targets_are({"embedding": torch.randn(4, 3), "logits": torch.randn(4)}, "regression")

    assert list(outputs) == ["embedding", "prediction"]


@pytest.mark.parametrize(
    ("kind", "logits"),
    [
        ("multiclass", torch.randn(4, 2)),
        ("multilabel", torch.randn(4, 1)),
        ("binary", torch.randn(4)),
        ("binary", torch.randn(4, 1, 8, 8)),
    ],
)
def test_what_is_in_its_form_already_is_left_alone(kind: TaskKind, logits: Tensor) -> None:
    outputs = {"logits": logits, "embedding": torch.randn(4, 1)}

    left = as_targets_are(outputs, kind)

    assert all(left[name] is value for name, value in outputs.items())


def test_a_scale_is_kept_with_the_weights() -> None:
    scale, other = TargetScale(), TargetScale()
    assert scale(torch.tensor([1.5])).tolist() == [1.5]
    scale.set(mean=100.0, deviation=20.0)

    other.load_state_dict(scale.state_dict())

    assert other(torch.tensor([-1.0, 2.0])).tolist() == [80, 140]
