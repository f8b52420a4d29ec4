import pytest
import torch
from torch import Generator, Tensor

from app.tasks.shared.augmentations import add_noise, random_affine


def test_no_freedom_changes_nothing() -> None:
    images = torch.rand(4, 2, 6, 9)

    assert torch.allclose(_changed(images), images, atol=1e-6)
    assert torch.equal(add_noise(images, Generator(), deviation=0.0), images)


@pytest.mark.parametrize("limits", [{"max_rotation": 20.0}, {"max_shift": 1.0}, {"max_scale": 0.3}])
def test_each_image_changes_in_its_own_way(limits: dict[str, float]) -> None:
    images = torch.rand(1, 1, 8, 8).expand(3, 1, 8, 8)

    one, two, three = _changed(images, **limits)

    assert not torch.allclose(one, two)
    assert not torch.allclose(two, three)
    assert torch.equal(_changed(images, **limits)[0], one)


def test_an_image_moves_by_at_most_the_shift() -> None:
    # One bright pixel in the middle of a wide image can reach its neighbours, and no others.
    images = torch.zeros(500, 1, 5, 9)
    images[:, 0, 2, 4] = 1

    reached = _changed(images, max_shift=1.0).amax(dim=(0, 1)) > 1e-4

    assert reached.nonzero().tolist() == [[row, column] for row in (1, 2, 3) for column in (3, 4, 5)]


def test_turning_keeps_the_middle_and_the_brightness() -> None:
    images = torch.zeros(100, 1, 9, 15)
    images[:, 0, 4, 3:12] = 1

    turned = _changed(images, max_rotation=25.0)

    assert torch.allclose(turned[:, 0, 4, 7], torch.ones(100), atol=1e-4)
    # A line stays as long as it was, in a wide image too.
    assert torch.allclose(turned.sum(dim=(1, 2, 3)), torch.full((100,), 9.0), atol=0.8)


def test_growth_and_shrinking_stay_in_their_limits() -> None:
    images = torch.zeros(500, 1, 41, 41)
    images[:, :, 10:31, 10:31] = 1

    widths = _changed(images, max_scale=0.2)[:, 0, 20, :].sum(dim=1)

    assert 21 * 0.8 - 0.2 <= widths.min() < 21 * 0.82
    assert 21 * 1.18 < widths.max() <= 21 * 1.2 + 0.2


def test_noise_has_the_deviation_asked_for() -> None:
    noisy = add_noise(torch.zeros(1000, 1, 8, 8), Generator().manual_seed(0), deviation=0.2)

    assert noisy.mean().item() == pytest.approx(0, abs=0.01)
    assert noisy.std().item() == pytest.approx(0.2, abs=0.005)


def _changed(images: Tensor, **limits: float) -> Tensor:
    settings = {"max_rotation": 0.0, "max_shift": 0.0, "max_scale": 0.0, **limits}
    return random_affine(images, Generator().manual_seed(0), **settings)
