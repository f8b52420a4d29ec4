from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from app import load_config
from app.augmentations.views import Views
from app.builders.augmentations import build_augmentations
from app.schemas.augmentations.installed import is_installed
from app.schemas.problems import ConfigError
from app.schemas.registry import options

kornia = pytest.mark.skipif(not is_installed("kornia"), reason="needs the extra kornia")
albumentations = pytest.mark.skipif(not is_installed("albumentations"), reason="needs the extra albumentations")
ALONE = sorted({*options["augmentation"]} - {"sequence", "one_of", "some_of", "kornia", "albumentations"})


def test_no_augmentations_are_none() -> None:
    assert build_augmentations({}) is None


@pytest.mark.parametrize("option", ALONE)
def test_every_option_changes_images_as_it_stands(option: str) -> None:
    before = torch.rand(64, 3, 16, 16, generator=Generator().manual_seed(0))

    after = changed(before, f"a={{id: {option}}}")

    assert not torch.equal(after, before)
    assert after.shape == before.shape
    assert after.isfinite().all()


def test_they_are_applied_in_the_order_of_the_config() -> None:
    dark = torch.full((4, 1, 8, 8), 0.2)
    rounded, turned = "{id: posterize, probability: 1.0, bits: 1}", "{id: solarize, probability: 1.0, threshold: 0.1}"

    assert set(changed(dark, f"a={rounded}", f"b={turned}").flatten().tolist()) == {0.0}
    assert set(changed(dark, f"a={turned}", f"b={rounded}").flatten().tolist()) == {1.0}


def test_probabilities_and_weights_reach_the_live_steps() -> None:
    all_of_it = "area: [1.0, 1.0], aspect_ratio: [1.0, 1.0], value: 5.0, probability: 1.0"
    steps = f"steps: {{covered: {{id: random_erasing, {all_of_it}}}, turned: {{id: invert, probability: 0.5}}}}"

    after = changed(torch.zeros(2000, 1, 2, 2), f"a={{id: one_of, probability: 0.5, {steps}, weights: {{covered: 3}}}}")

    share = {value: after[:, 0, 0, 0].eq(value).float().mean().item() for value in (5.0, 1.0, 0.0)}
    # Half are changed; three in four of those by the one, and of the others a half by the other.
    assert share == pytest.approx({5.0: 0.375, 1.0: 0.0625, 0.0: 0.5625}, abs=0.03)


def test_sequences_and_a_few_of_several_are_built() -> None:
    steps = "steps: {one: {id: invert, probability: 1.0}, other: {id: invert, probability: 1.0}}"
    black = torch.zeros(8, 1, 2, 2)

    assert set(changed(black, f"a={{id: sequence, {steps}}}").flatten().tolist()) == {0.0}
    assert set(changed(black, f"a={{id: some_of, count: 1, {steps}}}").flatten().tolist()) == {1.0}
    assert set(changed(black, f"a={{id: some_of, count: 2, {steps}}}").flatten().tolist()) == {0.0}


@kornia
def test_what_only_the_package_can_judge_is_refused_with_its_path() -> None:
    hue = "{id: kornia, transform: ColorJitter, arguments: {hue: [-3.0, 3.0]}}"

    with pytest.raises(ConfigError) as caught:
        changed(torch.zeros(1, 3, 4, 4), f"a={{id: one_of, steps: {{far: {hue}}}}}")

    [problem] = caught.value.problems
    assert problem.path == "datamodule.augmentations.a.steps.far.arguments"
    assert problem.message.startswith("ColorJitter refuses them: ")


@albumentations
def test_albumentations_says_which_argument_is_out_of_range() -> None:
    with pytest.raises(ConfigError) as caught:
        changed(
            torch.zeros(1, 3, 4, 4),
            "a={id: albumentations, transform: RandomGamma, arguments: {gamma_limit: [-5, 3]}}",
        )

    [problem] = caught.value.problems
    assert problem.path == "datamodule.augmentations.a.arguments"
    assert "gamma_limit" in problem.message


def changed(images: Tensor, *entries: str) -> Tensor:
    """What the augmentations of a config make of the images."""
    config = load_config(["augmentation=[]", *(f"datamodule.augmentations.{entry}" for entry in entries)])
    step: Any = build_augmentations(config.datamodule.augmentations)
    views: Views = step(Views(images), Generator().manual_seed(0))
    return views.images
