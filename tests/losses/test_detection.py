"""Losses of detection against values computed by hand, and against torch's own losses."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from app.losses.detection import LocationBoxLoss, LocationCenternessLoss, LocationFocalLoss
from app.losses.inputs import LossInputError

LABELS = torch.tensor([[1, -1, 0], [-1, 2, -1]])
SCORES = torch.randn(2, 3, 3, generator=torch.Generator().manual_seed(0))
TRUTH = torch.tensor([0.0, 0.0, 4.0, 4.0])


def of_one(form: str, box: tuple[float, ...]) -> float:
    """The loss of one box, beside a location without an object whose box is far off."""
    boxes = torch.tensor([[box, (90.0, 90.0, 99.0, 99.0)]])
    loss = LocationBoxLoss(form=form)  # type: ignore[arg-type]  # parametrised
    return float(loss(boxes, TRUTH.expand(1, 2, 4), torch.tensor([[0, -1]])))


@pytest.mark.parametrize(
    ("form", "box", "expected"),
    [
        ("iou", (0, 0, 4, 4), 0),
        ("iou", (0, 0, 4, 2), 0.5),
        ("iou", (2, 0, 6, 4), 1 - 8 / 24),
        ("iou", (4, 0, 8, 4), 1),
        ("giou", (0, 0, 4, 4), 0),
        # The box around both has 24 of area, all of which they cover.
        ("giou", (2, 0, 6, 4), 1 - 8 / 24),
        # Of the 6 by 6 around both, 2 times 4 are in neither, and 4 in both.
        ("giou", (2, 2, 6, 6), 1 - 4 / 28 + 8 / 36),
        # They do not meet, and of the 12 by 4 around both 16 lie between.
        ("giou", (8, 0, 12, 4), 1 + 16 / 48),
        ("l1", (0, 0, 4, 4), 0),
        ("l1", (1, -1, 3, 6), (1 + 1 + 1 + 2) / 4 / 4),
    ],
)
def test_boxes_against_values_by_hand(form: str, box: tuple[float, ...], expected: float) -> None:
    assert of_one(form, box) == pytest.approx(expected, abs=1e-6)


def test_boxes_that_do_not_meet_are_drawn_together_by_the_generalised_overlap_alone() -> None:
    assert of_one("iou", (8, 0, 12, 4)) == of_one("iou", (18, 0, 22, 4)) == 1
    assert of_one("giou", (8, 0, 12, 4)) < of_one("giou", (18, 0, 22, 4)) < 2


def test_classes_are_told_yes_or_no_and_divided_by_the_number_of_objects() -> None:
    truth = torch.tensor([[[0, 1, 0], [0, 0, 0], [1, 0, 0]], [[0, 0, 0], [0, 0, 1], [0, 0, 0]]], dtype=torch.float32)
    cross_entropy = functional.binary_cross_entropy_with_logits(SCORES, truth, reduction="sum")

    plain = LocationFocalLoss(gamma=0.0, alpha=None)(SCORES, LABELS)
    assert float(plain) == pytest.approx(float(cross_entropy) / 3)
    right = torch.where(truth == 1, SCORES.sigmoid(), 1 - SCORES.sigmoid())
    weighed = (-((1 - right) ** 2) * right.log() * torch.where(truth == 1, 0.25, 0.75)).sum() / 3
    assert float(LocationFocalLoss()(SCORES, LABELS)) == pytest.approx(float(weighed))


def test_centerness_counts_where_there_is_an_object() -> None:
    scores, target = SCORES[..., 0], torch.rand(2, 3, generator=torch.Generator().manual_seed(1))
    chosen = LABELS >= 0
    expected = functional.binary_cross_entropy_with_logits(scores[chosen], target[chosen])

    assert float(LocationCenternessLoss()(scores, target, LABELS)) == pytest.approx(float(expected))


ALL = [
    (LocationFocalLoss(), (SCORES,)),
    (LocationBoxLoss(), (SCORES[..., [0, 1, 2, 0]], TRUTH.expand(2, 3, 4))),
    (LocationBoxLoss(form="l1"), (SCORES[..., [0, 1, 2, 0]], TRUTH.expand(2, 3, 4))),
    (LocationCenternessLoss(), (SCORES[..., 0], SCORES[..., 1].sigmoid())),
]


@pytest.mark.parametrize(("loss", "inputs"), ALL)
def test_a_batch_without_objects_has_a_loss_and_gradients_that_are_numbers(
    loss: nn.Module, inputs: tuple[Tensor, ...]
) -> None:
    first = inputs[0].clone().requires_grad_()

    value = loss(first, *inputs[1:], torch.full((2, 3), -1))
    value.backward()

    assert value.isfinite()
    assert first.grad is not None
    assert first.grad.isfinite().all()


@pytest.mark.parametrize(("loss", "inputs"), ALL)
def test_labels_of_another_shape_are_refused(loss: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    with pytest.raises(LossInputError, match="expected tensors of one shape"):
        loss(*inputs, LABELS[:, :2])
