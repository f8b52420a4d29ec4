"""Poolings against torch's own, and the generalised mean between them."""

import pytest
import torch
from torch.nn import functional

from app.models.poolings import AveragePooling, GeMPooling, MaxPooling

FEATURES = torch.rand(2, 3, 5, 4)


def test_average_and_max_are_torchs() -> None:
    torch.testing.assert_close(AveragePooling()(FEATURES), functional.adaptive_avg_pool2d(FEATURES, 1).flatten(1))
    torch.testing.assert_close(MaxPooling()(FEATURES), functional.adaptive_max_pool2d(FEATURES, 1).flatten(1))


def test_a_generalised_mean_of_power_1_is_the_average() -> None:
    torch.testing.assert_close(GeMPooling(power=1.0)(FEATURES), AveragePooling()(FEATURES))


def test_a_generalised_mean_approaches_the_maximum() -> None:
    largest = MaxPooling()(FEATURES)
    means = [GeMPooling(power=power, learnable=False)(FEATURES) for power in (1.0, 3.0, 10.0, 80.0)]
    distances = [float((largest - mean).max()) for mean in means]
    assert distances == sorted(distances, reverse=True)
    assert 0 <= distances[-1] < 0.05


def test_a_generalised_mean_of_power_2_is_the_root_mean_square() -> None:
    expected = FEATURES.square().mean(dim=(2, 3)).sqrt()
    torch.testing.assert_close(GeMPooling(power=2.0)(FEATURES), expected)


@pytest.mark.parametrize("learnable", [False, True])
def test_the_power_is_trained_if_wanted(learnable: bool) -> None:
    pooling = GeMPooling(learnable=learnable)
    features = FEATURES.clone().requires_grad_()
    pooling(features).sum().backward()
    assert (pooling.power.grad is not None and bool(pooling.power.grad != 0)) is learnable


def test_negative_values_count_as_the_smallest_positive_one() -> None:
    pooled = GeMPooling(eps=0.5)(torch.full((1, 1, 2, 2), -3.0))
    torch.testing.assert_close(pooled, torch.tensor([[0.5]]))
