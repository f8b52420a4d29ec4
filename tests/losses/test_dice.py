"""Soft Dice against the formula, written out in NumPy."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.losses.dice import DiceLoss
from app.losses.inputs import LossInputError

Array = NDArray[np.float64]


def scores(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def softmax(array: Array) -> Array:
    powers = np.exp(array)
    share: Array = powers / powers.sum(axis=1, keepdims=True)
    return share


def sigmoid(array: Array) -> Array:
    share: Array = 1 / (1 + np.exp(-array))
    return share


def one_hot(classes: Array, num_classes: int) -> Array:
    return np.stack([classes == index for index in range(num_classes)], axis=1).astype(float)


def coefficient(probabilities: Array, truth: Array, *, smooth: float = 1.0, squared: bool = False) -> float:
    power = 2 if squared else 1
    below = (probabilities**power).sum() + (truth**power).sum()
    return float((2 * (probabilities * truth).sum() + smooth) / (below + smooth))


INPUT, CLASSES = scores(2, 3, 4, 4), torch.randint(3, (2, 4, 4), generator=torch.Generator().manual_seed(1))
P, G = softmax(INPUT.numpy()), one_hot(CLASSES.numpy(), 3)


def loss(input: Tensor = INPUT, target: Tensor = CLASSES, **settings: Any) -> float:  # noqa: A002  # torch's name
    return float(DiceLoss(**settings)(input, target))


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("smooth", [1.0, 1e-3])
def test_several_classes(squared: bool, smooth: float) -> None:
    each = [coefficient(P[:, k], G[:, k], smooth=smooth, squared=squared) for k in range(3)]
    assert loss(squared=squared, smooth=smooth) == pytest.approx(1 - np.mean(each))


def test_each_sample_on_its_own() -> None:
    each = [coefficient(P[n, k], G[n, k]) for n in range(2) for k in range(3)]
    assert loss(per_sample=True) == pytest.approx(1 - np.mean(each))


def test_without_the_background() -> None:
    assert loss(include_background=False) == pytest.approx(1 - np.mean([coefficient(P[:, k], G[:, k]) for k in (1, 2)]))


def test_without_the_pixels_to_ignore() -> None:
    counted = (CLASSES != 2).numpy()[:, None]
    each = [coefficient(P[:, [k]] * counted, G[:, [k]] * counted) for k in range(3)]
    assert loss(ignore_index=2) == pytest.approx(1 - np.mean(each))
    assert loss(target=CLASSES.where(CLASSES != 2, 255), ignore_index=255) == pytest.approx(1 - np.mean(each))


@pytest.mark.parametrize("per_sample", [False, True])
def test_generalized(per_sample: bool) -> None:
    def of(p: Array, g: Array) -> float:
        sizes = g.sum(axis=(0, 2, 3))
        weights = 1 / sizes**2 / (1 / sizes**2).sum()
        overlap = (weights * (p * g).sum(axis=(0, 2, 3))).sum()
        below = (weights * (p + g).sum(axis=(0, 2, 3))).sum()
        return float((2 * overlap + 1) / (below + 1))

    each = [of(P[[n]], G[[n]]) for n in range(2)] if per_sample else [of(P, G)]
    assert loss(generalized=True, per_sample=per_sample) == pytest.approx(1 - np.mean(each))


@pytest.mark.parametrize("shape", [(2, 4, 4), (2, 1, 4, 4), (6,)])
def test_yes_or_no(shape: tuple[int, ...]) -> None:
    given, target = scores(*shape), (scores(*shape, seed=1) > 0).long()
    expected = 1 - coefficient(sigmoid(given.numpy()), target.numpy().astype(float))
    assert loss(given, target, kind="binary") == pytest.approx(expected)
    assert loss(given, target.double(), kind="binary") == pytest.approx(expected)


def test_many_labels() -> None:
    target = (scores(2, 3, 4, 4, seed=1) > 0).long()
    p, g = sigmoid(INPUT.numpy()), target.numpy().astype(float)
    each = [coefficient(p[:, k], g[:, k]) for k in range(3)]
    assert loss(target=target, kind="multilabel") == pytest.approx(1 - np.mean(each))


def test_right_and_sure_costs_nothing() -> None:
    sure = 1000 * torch.tensor(one_hot(CLASSES.numpy(), 3))
    assert loss(sure) == pytest.approx(0)
    assert loss(sure, generalized=True, squared=True) == pytest.approx(0)


def test_a_class_that_is_nowhere_is_no_division_by_zero() -> None:
    nothing = torch.zeros_like(CLASSES)
    for settings in ({}, {"generalized": True}, {"ignore_index": 0}, {"per_sample": True}):
        given = INPUT.clone().requires_grad_()
        value = DiceLoss(**settings)(given, nothing)
        value.backward()
        assert value.isfinite()
        assert given.grad is not None
        assert given.grad.isfinite().all()


def test_gradients_are_right() -> None:
    given = INPUT[:1, :, :2, :2].clone().requires_grad_()
    for settings in ({}, {"generalized": True, "squared": True}):
        dice = DiceLoss(**settings)  # type: ignore[arg-type]  # any of the settings
        assert torch.autograd.gradcheck(dice, (given, CLASSES[:1, :2, :2]))


def test_half_precision_is_summed_up_in_full() -> None:
    large, target = scores(1, 2, 300, 300).bfloat16(), torch.zeros(1, 300, 300, dtype=torch.long)
    value = DiceLoss()(large, target)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, DiceLoss()(large.double(), target).float())


WRONG: list[tuple[str, Tensor, Tensor, str]] = [
    ("binary", torch.ones(64, 1), torch.ones(64), "expected tensors of one shape, found input (64, 1), target (64,)"),
    ("multilabel", torch.ones(8, 3), torch.ones(8), "expected tensors of one shape, found input (8, 3), target (8,)"),
    ("multiclass", torch.ones(8), torch.ones(8), "expected input of shape (batch, classes, …) with 2 classes or more"),
    ("multiclass", torch.ones(8, 1, 2, 2), torch.ones(8, 2, 2), "with 2 classes or more, found (8, 1, 2, 2)"),
    (
        "multiclass",
        torch.ones(8, 3, 2, 2),
        torch.ones(8, 1, 2, 2),
        "expected target of shape (8, 2, 2) for input (8, 3,",
    ),
    ("multiclass", torch.ones(8, 3), torch.ones(8), "expected target to hold classes, as whole numbers, found (8,) fl"),
]


@pytest.mark.parametrize(("kind", "given", "target", "message"), WRONG)
def test_shapes_that_do_not_fit_are_refused(kind: Any, given: Tensor, target: Tensor, message: str) -> None:
    with pytest.raises(LossInputError) as caught:
        DiceLoss(kind=kind)(given, target)
    assert message in str(caught.value)


def test_a_class_that_the_scores_have_not_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="index 3 is out of bounds"):
        DiceLoss()(INPUT, torch.full_like(CLASSES, 3))
