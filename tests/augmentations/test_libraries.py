import random
from typing import Any

import numpy as np
import pytest
import torch

from app.augmentations.albumentations_transforms import AlbumentationsTransform
from app.augmentations.kornia_transforms import KorniaTransform
from app.augmentations.libraries import TransformError
from app.augmentations.views import ImageAugmentation
from app.schemas.augmentations.installed import is_installed
from tests.augmentations.views import changed, images, with_a_box

KORNIA = pytest.param(KorniaTransform, marks=pytest.mark.skipif(not is_installed("kornia"), reason="an extra"))
ALBUMENTATIONS = pytest.param(
    AlbumentationsTransform, marks=pytest.mark.skipif(not is_installed("albumentations"), reason="an extra")
)
Transform = type[KorniaTransform] | type[AlbumentationsTransform]

both = pytest.mark.parametrize("transform", [KORNIA, ALBUMENTATIONS])
NOISE: dict[Transform, tuple[str, dict[str, Any]]] = {
    KorniaTransform: ("RandomGaussianNoise", {"std": 0.1}),
    AlbumentationsTransform: ("GaussNoise", {"std_range": (0.1, 0.2)}),
}
TURN: dict[Transform, tuple[str, dict[str, Any]]] = {
    KorniaTransform: ("RandomRotation", {"degrees": 40.0}),
    AlbumentationsTransform: ("Rotate", {"limit": (-40, 40), "border_mode": 0}),
}
CROP: dict[Transform, tuple[str, dict[str, Any]]] = {
    KorniaTransform: ("CenterCrop", {"size": (4, 4)}),
    AlbumentationsTransform: ("CenterCrop", {"height": 4, "width": 4}),
}


@both
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_drawn_follows_from_our_generator_alone(transform: Transform, channels: int) -> None:
    step, before = made(transform, NOISE), images(6, channels, 8, 8)

    one = changed(step, before, seed=3).images
    for shift in (torch.rand, np.random.rand):
        shift(3)
    random.random()

    assert torch.equal(changed(step, before, seed=3).images, one)
    assert not torch.equal(changed(step, before, seed=4).images, one)
    assert one.shape == before.shape
    assert not torch.equal((one - before)[0], (one - before)[1]), "each image has its own"


@both
def test_the_global_generators_are_left_alone(transform: Transform) -> None:
    step = made(transform, NOISE)
    states = torch.get_rng_state(), keys_of_numpy(), random.getstate()

    changed(step, images(3, 1, 8, 8))

    assert torch.equal(torch.get_rng_state(), states[0])
    assert keys_of_numpy() == states[1]
    assert random.getstate() == states[2]


@both
def test_masks_go_where_the_image_goes(transform: Transform) -> None:
    views = with_a_box(20, 24, 24, (4, 8, 20, 14))

    moved = changed(made(transform, TURN), views)

    assert moved.mask is not None
    assert moved.mask.dtype == torch.int64
    assert set(moved.mask.flatten().tolist()) == {0, 1}
    apart = (moved.images[:, 0] - moved.mask).abs().flatten(1).sum(dim=1)
    assert apart.max() < 20, "interpolated brightness and nearest values part ways at the rim alone"
    assert len({tuple(mask.flatten().tolist()) for mask in moved.mask}) > 15


@both
def test_a_change_of_shape_is_refused(transform: Transform) -> None:
    with pytest.raises(TransformError) as caught:
        changed(made(transform, CROP), images(2, 1, 8, 8))

    message = "CenterCrop made images of shape 2 x 1 x 4 x 4 out of 2 x 1 x 8 x 8; the shape must stay the task's"
    assert str(caught.value) == message


@pytest.mark.parametrize("transform", [KORNIA])
def test_a_failure_names_the_transform_and_the_batch(transform: Transform) -> None:
    step = transform(transform="RandomHue", arguments={"hue": (0.1, 0.2)})

    with pytest.raises(TransformError, match="RandomHue failed on images of shape 2 x 1 x 8 x 8: "):
        changed(step, images(2, 1, 8, 8))


@pytest.mark.parametrize("transform", [KORNIA])
def test_a_list_becomes_a_tensor_where_nothing_else_is_taken(transform: Transform) -> None:
    ranges = {"center_x": (-0.3, 0.3), "center_y": (-0.3, 0.3), "gamma": (0.9, 1.0)}
    step = transform(transform="RandomFisheye", arguments=ranges)

    before = images(2, 1, 16, 16)

    assert not torch.equal(changed(step, before).images, before)


def keys_of_numpy() -> list[int]:
    keys: list[int] = np.random.get_state(legacy=False)["state"]["key"].tolist()
    return keys


def made(transform: Transform, arguments: dict[Transform, tuple[str, dict[str, Any]]]) -> ImageAugmentation:
    name, values = arguments[transform]
    return transform(transform=name, arguments=values)
