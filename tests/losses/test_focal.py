"""Focal loss against the formula, written out in NumPy, and against torch's cross entropies."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from app.losses.focal import FocalLoss
from app.losses.inputs import LossInputError

GENERATOR = torch.Generator().manual_seed(0)
SCORES = torch.randn(6, 3, generator=GENERATOR, dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 2, 1, 0])
LABELS = (torch.randn(6, 3, generator=GENERATOR) > 0).long()
MAPS = torch.randn(2, 3, 4, 5, generator=GENERATOR, dtype=torch.float64)
MASK = torch.randint(3, (2, 4, 5), generator=GENERATOR)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
def test_several_classes(gamma: float) -> None:
    p = np.exp(SCORES.numpy())
    p = (p / p.sum(axis=1, keepdims=True))[np.arange(6), CLASSES.numpy()]
    each = -((1 - p) ** gamma) * np.log(p)
    assert float(FocalLoss(gamma=gamma)(SCORES, CLASSES)) == pytest.approx(each.mean())
    assert float(FocalLoss(gamma=gamma, reduction="sum")(SCORES, CLASSES)) == pytest.approx(each.sum())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_yes_or_no_and_many_labels(gamma: float, alpha: float | None) -> None:
    yes = 1 / (1 + np.exp(-SCORES.numpy()))
    positive, negative = (1.0, 1.0) if alpha is None else (alpha, 1 - alpha)
    each = np.where(
        LABELS.numpy() == 1,
        -positive * (1 - yes) ** gamma * np.log(yes),
        -negative * yes**gamma * np.log(1 - yes),
    )
    many = FocalLoss(kind="multilabel", gamma=gamma, alpha=alpha)
    one = FocalLoss(kind="binary", gamma=gamma, alpha=alpha, reduction="sum")
    assert float(many(SCORES, LABELS)) == pytest.approx(each.mean())
    assert float(one(SCORES[:, 0], LABELS[:, 0])) == pytest.approx(each[:, 0].sum())


@pytest.mark.parametrize("settings", [{}, {"class_weights": (1.0, 2.0, 0.5)}, {"reduction": "sum"}])
@pytest.mark.parametrize("ignore_index", [-100, 1])
def test_without_focus_it_is_cross_entropy(settings: dict[str, Any], ignore_index: int) -> None:
    ours = FocalLoss(gamma=0.0, ignore_index=ignore_index, **settings)
    weight = torch.tensor(settings["class_weights"], dtype=torch.float64) if "class_weights" in settings else None
    reduction = settings.get("reduction", "mean")
    for given, target in ((SCORES, CLASSES), (MAPS, MASK)):
        theirs = functional.cross_entropy(given, target, weight, ignore_index=ignore_index, reduction=reduction)
        torch.testing.assert_close(ours(given, target), theirs)


def test_without_focus_it_is_binary_cross_entropy() -> None:
    theirs = functional.binary_cross_entropy_with_logits(SCORES, LABELS.double())
    torch.testing.assert_close(FocalLoss(kind="multilabel", gamma=0.0)(SCORES, LABELS), theirs)


def test_class_weights_weigh_the_mean() -> None:
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)[CLASSES]
    each = torch.stack([FocalLoss()(SCORES[[n]], CLASSES[[n]]) for n in range(6)])
    expected = (each * weights).sum() / weights.sum()
    torch.testing.assert_close(FocalLoss(class_weights=(1.0, 2.0, 0.5))(SCORES, CLASSES), expected)


@pytest.mark.parametrize("kind", ["binary", "multilabel"])
def test_labels_to_ignore_count_for_nothing(kind: Any) -> None:
    target = torch.tensor([1, 0, -100, 1, -100, 0])
    left = target != -100
    loss = FocalLoss(kind=kind)
    torch.testing.assert_close(loss(SCORES[:, 0], target), loss(SCORES[left, 0], target[left]))


@pytest.mark.parametrize("target", [torch.full((6,), -100), torch.tensor([-100, 1, -100, -100, -100, -100])])
def test_what_is_ignored_has_no_gradient(target: Tensor) -> None:
    given = SCORES.clone().requires_grad_()
    loss = FocalLoss()(given, target)
    loss.backward()
    assert loss.isfinite()
    assert given.grad is not None
    assert torch.equal(given.grad.abs().sum(dim=1) > 0, target != -100)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("size", [30.0, 1000.0, 1e30])
def test_values_and_gradients_are_finite_however_sure_the_model_is(gamma: float, size: float) -> None:
    for kind, target in (("multiclass", torch.tensor([0, 1])), ("multilabel", torch.tensor([[1, 0], [0, 1]]))):
        given = (torch.tensor([[1.0, -1.0], [1.0, -1.0]]) * size).requires_grad_()  # one right, one wrong
        loss = FocalLoss(kind=kind, gamma=gamma)(given, target)  # type: ignore[arg-type]  # one of the kinds
        loss.backward()
        assert loss.isfinite()
        assert given.grad is not None
        assert given.grad.isfinite().all()
        assert given.grad[1].any(), "what is wrong is learnt from"


def test_gradients_are_right() -> None:
    given = SCORES.clone().requires_grad_()
    assert torch.autograd.gradcheck(FocalLoss(gamma=0.5, class_weights=(1.0, 2.0, 0.5)), (given, CLASSES))
    assert torch.autograd.gradcheck(FocalLoss(kind="multilabel", alpha=0.25), (given, LABELS))


def test_half_precision_is_computed_in_full() -> None:
    for kind, target in (("multiclass", CLASSES), ("multilabel", LABELS)):
        loss = FocalLoss(kind=kind)  # type: ignore[arg-type]  # one of the kinds
        value = loss(SCORES.bfloat16(), target)
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, loss(SCORES.bfloat16().float(), target))


WRONG: list[tuple[dict[str, Any], Tensor, Tensor, str]] = [
    (
        {"kind": "binary"},
        torch.ones(64, 1),
        torch.ones(64),
        "expected tensors of one shape, found input (64, 1), target",
    ),
    ({}, torch.ones(64, 1), torch.ones(64), "expected input of shape (batch, classes, …) with 2 classes or more"),
    ({}, torch.ones(8, 3), torch.ones(8, 1), "expected target of shape (8,) for input (8, 3), found (8, 1)"),
    ({"class_weights": (1.0, 2.0)}, SCORES, CLASSES, "has class_weights for 2 classes, found 3"),
]


@pytest.mark.parametrize(("settings", "given", "target", "message"), WRONG)
def test_shapes_that_do_not_fit_are_refused(
    settings: dict[str, Any], given: Tensor, target: Tensor, message: str
) -> None:
    with pytest.raises(LossInputError) as caught:
        FocalLoss(**settings)(given, target)
    assert message in str(caught.value)
