from typing import Literal

import pytest
import torch
from torch import Tensor

from app.augmentations.geometry import RandomAffine, RandomCrop, RandomErasing, RandomResizedCrop
from app.augmentations.views import ImageAugmentation, Views
from tests.augmentations.views import around, changed, images, with_a_box


def test_no_freedom_changes_nothing() -> None:
    before = images(4, 2, 6, 9)

    assert torch.allclose(_affine(before), before, atol=1e-6)
    whole = RandomResizedCrop(area=(1.0, 1.0), aspect_ratio=(1.0, 1.0))
    assert torch.allclose(changed(whole, before).images, before, atol=1e-6)


@pytest.mark.parametrize("limits", [{"max_rotation": 20.0}, {"max_shift": 1.0}, {"max_scale": 0.3}])
def test_each_image_changes_in_its_own_way(limits: dict[str, float]) -> None:
    before = images(1, 1, 8, 8).expand(3, 1, 8, 8)

    one, two, three = _affine(before, **limits)

    assert not torch.allclose(one, two)
    assert not torch.allclose(two, three)
    assert torch.equal(_affine(before, **limits)[0], one)


def test_an_image_moves_by_at_most_the_shift() -> None:
    # One bright pixel in the middle of a wide image can reach its neighbours, and no others.
    before = torch.zeros(500, 1, 5, 9)
    before[:, 0, 2, 4] = 1

    reached = _affine(before, max_shift=1.0).amax(dim=(0, 1)) > 1e-4

    assert reached.nonzero().tolist() == [[row, column] for row in (1, 2, 3) for column in (3, 4, 5)]


def test_turning_keeps_the_middle_and_the_brightness() -> None:
    before = torch.zeros(100, 1, 9, 15)
    before[:, 0, 4, 3:12] = 1

    turned = _affine(before, max_rotation=25.0)

    assert torch.allclose(turned[:, 0, 4, 7], torch.ones(100), atol=1e-4)
    # A line stays as long as it was, in a wide image too.
    assert torch.allclose(turned.sum(dim=(1, 2, 3)), torch.full((100,), 9.0), atol=0.8)


def test_growth_and_shrinking_stay_in_their_limits() -> None:
    before = torch.zeros(500, 1, 41, 41)
    before[:, :, 10:31, 10:31] = 1

    widths = _affine(before, max_scale=0.2)[:, 0, 20, :].sum(dim=1)

    assert 21 * 0.8 - 0.2 <= widths.min() < 21 * 0.82
    assert 21 * 1.18 < widths.max() <= 21 * 1.2 + 0.2


@pytest.mark.parametrize(
    "step",
    [
        RandomAffine(max_rotation=0.0, max_shift=4.0, max_scale=0.3),
        RandomCrop(padding=5),
        RandomResizedCrop(area=(0.3, 1.0)),
    ],
)
def test_masks_and_boxes_go_where_the_image_goes(step: ImageAugmentation) -> None:
    views = with_a_box(200, 24, 32, (9, 6, 20, 15))

    moved = changed(step, views)

    assert moved.mask is not None
    assert moved.boxes is not None
    assert moved.labels is not None
    assert moved.mask.dtype == torch.int64
    # Interpolated brightness and nearest values part ways at the rim alone.
    rims = (moved.images[:, 0] - moved.mask).abs().flatten(1).sum(dim=1)
    assert rims.max() < 40
    assert len({str(box.tolist()) for box in moved.boxes[:, 0]}) > 50
    for pixels, box, label in zip(moved.images[:, 0], moved.boxes[:, 0], moved.labels[:, 0], strict=True):
        found = around(pixels)
        assert found is not None, "so large a box does not leave the image"
        assert box.tolist() == pytest.approx(found, abs=1.1)
        assert label == 7
    assert moved.boxes[:, 1].eq(0).all()
    assert moved.labels[:, 1].eq(-1).all()


def test_a_box_that_leaves_the_image_becomes_an_unused_row() -> None:
    views = with_a_box(300, 16, 16, (0, 0, 3, 3))

    moved = changed(RandomCrop(padding=6), views)

    assert moved.boxes is not None
    assert moved.labels is not None
    left = torch.tensor([around(pixels) is not None for pixels in moved.images[:, 0]])
    assert 0 < left.sum() < 300
    assert torch.equal(moved.labels[:, 0], torch.where(left, 7, -1))
    assert moved.boxes[~left].eq(0).all()
    assert (moved.boxes[left, 0, 2:] > moved.boxes[left, 0, :2]).all()


def test_a_turned_box_is_around_all_that_was_in_it() -> None:
    views = with_a_box(100, 41, 41, (12, 16, 29, 25))

    moved = changed(RandomAffine(max_rotation=60.0), views)

    assert moved.boxes is not None
    for pixels, box in zip(moved.images[:, 0], moved.boxes[:, 0], strict=True):
        assert box.tolist() == pytest.approx(around(pixels), abs=1.3)


@pytest.mark.parametrize(
    ("surroundings", "expected"),
    [("zeros", {0.0, 1.0, 2.0, 3.0}), ("edge", {1.0, 2.0, 3.0}), ("reflect", {1.0, 2.0, 3.0})],
)
def test_a_crop_shows_what_surrounds_the_image(
    surroundings: Literal["zeros", "edge", "reflect"], expected: set[float]
) -> None:
    before = torch.tensor([1.0, 2.0, 3.0]).expand(200, 1, 3, 3)

    cut = changed(RandomCrop(padding=2, surroundings=surroundings), before).images

    assert set(cut.flatten().tolist()) == expected
    rows = {tuple(image[0, 1].tolist()) for image in cut if image[0, 1].min() > 0}
    right = {"zeros": (0, 1, 2), "edge": (1, 1, 2), "reflect": (2, 1, 2)}[surroundings]
    assert (right in rows) == (surroundings != "zeros")
    assert (1, 2, 3) in rows


def test_a_mirror_is_wider_than_the_image_where_the_padding_is() -> None:
    before = torch.tensor([1.0, 2.0, 3.0]).expand(300, 1, 3, 3)

    rows = {
        tuple(row.tolist()) for row in changed(RandomCrop(padding=5, surroundings="reflect"), before).images[:, 0, 0]
    }

    assert rows == {(1, 2, 3), (2, 1, 2), (3, 2, 1), (2, 3, 2)}


def test_erasing_covers_as_much_as_it_says_and_leaves_the_targets() -> None:
    views = with_a_box(300, 40, 40, (5, 5, 35, 35))._replace(images=torch.ones(300, 3, 40, 40))

    covered = changed(RandomErasing(area=(0.1, 0.2), value=0.5), views)

    shares = covered.images.eq(0.5).float().mean(dim=(1, 2, 3))
    assert 0.07 < shares.min() < 0.12 < 0.18 < shares.max() < 0.23
    assert set(covered.images.flatten().tolist()) == {0.5, 1.0}
    assert (covered.mask, covered.boxes, covered.labels) == (views.mask, views.boxes, views.labels)


def test_a_crop_is_as_large_as_it_says() -> None:
    # The slope of a ramp tells how much the part was enlarged.
    ramp = torch.linspace(0, 1, 64).expand(300, 1, 64, 64)

    steps = changed(RandomResizedCrop(area=(0.25, 0.5), aspect_ratio=(1.0, 1.0)), ramp).images.diff(dim=3)

    widths = steps[..., 20:40].mean(dim=(1, 2, 3)) * 63
    assert 0.5 - 1e-3 < widths.min() < 0.52
    assert 0.69 < widths.max() < 0.5**0.5 + 1e-3


def _affine(before: Tensor, **limits: float) -> Tensor:
    settings = {"max_rotation": 0.0, "max_shift": 0.0, "max_scale": 0.0, **limits}
    return changed(RandomAffine(**settings), Views(before)).images
