import pytest
import torch
from torch.nn import functional

from app.augmentations.colours import (
    ColorJitter,
    GaussianBlur,
    GaussianNoise,
    Grayscale,
    Invert,
    Posterize,
    Solarize,
)
from app.augmentations.views import ImageAugmentation
from tests.augmentations.views import changed, images, with_a_box

STEPS = [GaussianNoise(), ColorJitter(hue=0.1), GaussianBlur(), Grayscale(), Invert(), Posterize(), Solarize()]
_STILL = {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: type(step).__name__)
def test_what_lies_in_the_image_stays_where_it_is(step: ImageAugmentation) -> None:
    views = with_a_box(4, 8, 8, (1, 1, 5, 5), channels=3)._replace(images=images(4, 3, 8, 8))

    after = changed(step, views)

    assert not torch.equal(after.images, views.images)
    assert after.images.shape == views.images.shape
    assert (after.mask, after.boxes, after.labels) == (views.mask, views.boxes, views.labels)
    assert torch.equal(after.images, changed(step, views).images), "the generator alone decides"


def test_noise_has_the_deviation_asked_for() -> None:
    noisy = changed(GaussianNoise(deviation=0.2), torch.zeros(1000, 1, 8, 8)).images

    assert noisy.mean().item() == pytest.approx(0, abs=0.01)
    assert noisy.std().item() == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_no_freedom_changes_nothing(channels: int) -> None:
    before = images(4, channels, 5, 7)

    assert torch.allclose(changed(ColorJitter(**_STILL), before).images, before, atol=1e-6)


def test_brightness_and_contrast_are_factors_within_their_limits() -> None:
    before = images(1, 3, 16, 16).expand(400, 3, 16, 16)
    mean = before[0].mean()

    bright = changed(ColorJitter(**{**_STILL, "brightness": 0.4}), before).images.mean(dim=(1, 2, 3)) / mean
    after = changed(ColorJitter(**{**_STILL, "contrast": 0.4}), before).images

    for factors in (bright, after.std(dim=(1, 2, 3)) / before[0].std()):
        assert 0.6 - 1e-4 <= factors.min() < 0.62 < 1.38 < factors.max() <= 1.4 + 1e-4
    assert torch.allclose(after.mean(dim=(1, 2, 3)), mean.expand(400), atol=1e-5)


def test_saturation_and_hue_leave_grey_as_it_is() -> None:
    grey = images(8, 1, 6, 6).expand(8, 3, 6, 6)

    assert torch.allclose(
        changed(ColorJitter(**{**_STILL, "saturation": 1.0, "hue": 0.5}), grey).images, grey, atol=1e-5
    )


def test_a_third_of_the_circle_makes_green_of_red() -> None:
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(4000, 3, 1, 1)

    turned = changed(ColorJitter(**{**_STILL, "hue": 0.5}), red).images.flatten(1)

    for pure in torch.eye(3):
        assert (turned - pure).abs().amax(dim=1).min() < 0.01, "every pure colour is reached"
    assert torch.allclose(turned.sum(dim=1), torch.ones(4000), atol=1e-5)


def test_a_blur_is_a_gaussian() -> None:
    point = torch.zeros(1, 1, 21, 21)
    point[..., 10, 10] = 1

    blurred = changed(GaussianBlur(sigma=(1.5, 1.5)), point).images[0, 0]

    places = torch.arange(21.0) - 10
    weights = (-(places**2) / (2 * 1.5**2)).exp()
    weights /= weights.sum()
    assert torch.allclose(blurred, weights[:, None] * weights, atol=1e-6)


def test_a_blur_neither_brightens_nor_darkens_the_margin() -> None:
    even = torch.full((3, 2, 9, 13), 0.7)

    assert torch.allclose(changed(GaussianBlur(sigma=(0.5, 3.0)), even).images, even)


def test_each_image_is_blurred_by_its_own_width() -> None:
    before = images(1, 1, 16, 16).expand(50, 1, 16, 16)

    rough = changed(GaussianBlur(sigma=(0.3, 3.0)), before).images.std(dim=(1, 2, 3))

    assert len(set(rough.tolist())) == 50
    assert rough.max() > 3 * rough.min()


def test_grey_has_the_brightness_of_the_colours() -> None:
    before = images(2, 3, 4, 4)

    grey = changed(Grayscale(), before).images

    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert torch.allclose(grey, functional.conv2d(before, weights).expand(2, 3, 4, 4))
    two_channels = images(2, 2, 4, 4)
    assert torch.equal(changed(Grayscale(), two_channels).images, two_channels)


def test_values_are_turned_over_and_rounded() -> None:
    before = torch.tensor([0.0, 0.25, 0.5, 0.9]).view(1, 1, 2, 2)

    def after(step: ImageAugmentation) -> list[float]:
        return changed(step, before).images.flatten().tolist()

    assert after(Invert()) == pytest.approx([1.0, 0.75, 0.5, 0.1])
    assert after(Solarize(threshold=0.6)) == pytest.approx([0.0, 0.25, 0.5, 0.1])
    assert after(Posterize(bits=1)) == [0.0, 0.0, 0.0, 1.0]
    assert after(Posterize(bits=2)) == pytest.approx([0.0, 1 / 3, 2 / 3, 1.0])
