"""Losses of embeddings against their formulas, written out in NumPy sample by sample."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.losses.contrastive import ContrastiveLoss, NTXentLoss, SupervisedContrastiveLoss, cosine_distance
from app.losses.inputs import LossInputError

Array = NDArray[np.float64]
GENERATOR = torch.Generator().manual_seed(0)
ONE = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
OTHER = torch.randn(5, 4, generator=GENERATOR, dtype=torch.float64)
SAME = torch.tensor([1, 0, 1, 0, 0])


def cosine(one: Array, other: Array) -> float:
    return float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


@pytest.mark.parametrize("margin", [0.5, 2.0, 10.0])
def test_pairs(margin: float) -> None:
    each = []
    for one, other, same in zip(ONE.numpy(), OTHER.numpy(), SAME.numpy(), strict=True):
        distance = float(np.linalg.norm(one - other))
        lacking = max(0.0, margin - distance)
        each.append(0.5 * distance**2 if same else 0.5 * lacking**2)
    assert float(ContrastiveLoss(margin=margin)(ONE, OTHER, SAME)) == pytest.approx(np.mean(each))
    assert float(ContrastiveLoss(margin=margin, reduction="sum")(ONE, OTHER, SAME)) == pytest.approx(np.sum(each))


def test_pairs_in_one_place_have_a_gradient() -> None:
    given = ONE.clone().requires_grad_()
    loss = ContrastiveLoss()(given, ONE.clone(), SAME)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 * 3 / 5)
    assert given.grad is not None
    assert given.grad.isfinite().all()


@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_two_views(temperature: float) -> None:
    views = np.concatenate([ONE.numpy(), OTHER.numpy()])
    each = []
    for i, view in enumerate(views):
        powers = {k: np.exp(cosine(view, views[k]) / temperature) for k in range(10) if k != i}
        each.append(-np.log(powers[(i + 5) % 10] / sum(powers.values())))
    assert float(NTXentLoss(temperature=temperature)(ONE, OTHER)) == pytest.approx(np.mean(each))


def test_views_are_compared_by_direction() -> None:
    loss = NTXentLoss()
    torch.testing.assert_close(loss(3 * ONE, OTHER), loss(ONE, OTHER / 7))
    assert loss(ONE, ONE) < loss(ONE, OTHER)


@pytest.mark.parametrize("classes", [[0, 0, 1, 1, 1], [0, 0, 1, 1, 2]])
def test_classes(classes: list[int]) -> None:
    embeddings = ONE.numpy()
    each = []
    for i, anchor in enumerate(embeddings):
        powers = {k: np.exp(cosine(anchor, embeddings[k]) / 0.1) for k in range(5) if k != i}
        like = [k for k in powers if classes[k] == classes[i]]
        if like:
            each.append(-np.mean([np.log(powers[k] / sum(powers.values())) for k in like]))
    assert float(SupervisedContrastiveLoss()(ONE, torch.tensor(classes))) == pytest.approx(np.mean(each))


def test_two_views_of_each_class_are_ntxent() -> None:
    both, classes = torch.cat([ONE, OTHER]), torch.arange(5).repeat(2)
    torch.testing.assert_close(
        SupervisedContrastiveLoss(temperature=0.5)(both, classes), NTXentLoss(temperature=0.5)(ONE, OTHER)
    )


def test_a_batch_in_which_nothing_is_alike_has_no_loss_and_no_gradient() -> None:
    given = ONE.clone().requires_grad_()
    loss = SupervisedContrastiveLoss()(given, torch.arange(5))
    loss.backward()
    assert loss == 0
    assert given.grad is not None
    assert torch.equal(given.grad, torch.zeros_like(given))


def test_gradients_are_right() -> None:
    one, other = ONE.clone().requires_grad_(), OTHER.clone().requires_grad_()
    assert torch.autograd.gradcheck(ContrastiveLoss(margin=2.0), (one, other, SAME))
    assert torch.autograd.gradcheck(NTXentLoss(), (one, other))
    assert torch.autograd.gradcheck(SupervisedContrastiveLoss(), (one, SAME))


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1e6])
def test_values_and_gradients_are_finite_for_any_length(scale: float) -> None:
    losses: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
        (NTXentLoss(temperature=0.01), (OTHER.float(),)),
        (SupervisedContrastiveLoss(temperature=0.01), (SAME,)),
        (ContrastiveLoss(), (scale * OTHER.float(), SAME)),
    ]
    for loss, others in losses:
        given = (scale * ONE.float()).requires_grad_()
        value = loss(given, *others)
        value.backward()
        assert value.isfinite()
        assert given.grad is not None
        assert given.grad.isfinite().all()


def test_autocast_does_not_cost_digits() -> None:
    one, other = ONE.float(), OTHER.float()
    expected = NTXentLoss(temperature=0.05)(one, other), SupervisedContrastiveLoss(temperature=0.05)(one, SAME)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = NTXentLoss(temperature=0.05)(one, other), SupervisedContrastiveLoss(temperature=0.05)(one, SAME)
    assert found == expected


def test_half_precision_is_computed_in_full() -> None:
    for value in (
        ContrastiveLoss()(ONE.bfloat16(), OTHER.bfloat16(), SAME),
        NTXentLoss()(ONE.bfloat16(), OTHER.bfloat16()),
        SupervisedContrastiveLoss()(ONE.bfloat16(), SAME),
    ):
        assert value.dtype == torch.float32


def test_cosine_distances() -> None:
    one, other = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]), torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    torch.testing.assert_close(cosine_distance(one, other), torch.tensor([0.0, 1.0, 2.0]))


WRONG: list[tuple[nn.Module, tuple[Tensor, ...], str]] = [
    (NTXentLoss(), (ONE[:1], OTHER[:1]), "needs 2 pairs to tell apart, found 1; datamodule.dataloader.drop_last=true"),
    (NTXentLoss(), (ONE, OTHER[:4]), "expected tensors of one shape, found input1 (5, 4), input2 (4, 4)"),
    (NTXentLoss(), (ONE[0], OTHER[0]), "expected input1 of shape (batch, features), found (4,)"),
    (SupervisedContrastiveLoss(), (ONE[:1], SAME[:1]), "needs 2 samples to compare, found 1"),
    (
        SupervisedContrastiveLoss(),
        (ONE, SAME[:, None]),
        "expected target of shape (5,) for embeddings (5, 4), found (5, 1)",
    ),
    (
        ContrastiveLoss(),
        (ONE, OTHER, SAME[:, None]),
        "expected target of shape (5,) for embeddings (5, 4), found (5, 1)",
    ),
    (ContrastiveLoss(), (ONE, OTHER[:1], SAME), "expected tensors of one shape, found input1 (5, 4), input2 (1, 4)"),
]


@pytest.mark.parametrize(("loss", "given", "message"), WRONG)
def test_what_cannot_be_compared_is_refused(loss: nn.Module, given: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(LossInputError) as caught:
        loss(*given)
    assert message in str(caught.value)
