import pytest
import torch

from app.augmentations.flips import HorizontalFlip, RandomRotate90, VerticalFlip
from app.augmentations.views import ImageAugmentation
from tests.augmentations.views import around, changed, images, with_a_box


@pytest.mark.parametrize(("step", "axis"), [(HorizontalFlip(), 3), (VerticalFlip(), 2)])
def test_a_flip_turns_one_axis_over(step: ImageAugmentation, axis: int) -> None:
    before = images(2, 3, 4, 6)

    assert torch.equal(changed(step, before).images, before.flip(axis))
    assert torch.equal(changed(step, changed(step, before)).images, before)


@pytest.mark.parametrize("step", [HorizontalFlip(), VerticalFlip(), RandomRotate90()])
@pytest.mark.parametrize("size", [(10, 16), (12, 12)])
def test_masks_and_boxes_go_where_the_image_goes(step: ImageAugmentation, size: tuple[int, int]) -> None:
    views = with_a_box(50, *size, (1, 2, 6, 4))

    moved = changed(step, views)

    assert moved.mask is not None
    assert moved.boxes is not None
    assert torch.equal(moved.mask, moved.images[:, 0].long())
    assert [box.tolist() for box in moved.boxes[:, 0]] == [around(pixels) for pixels in moved.images[:, 0]]
    assert moved.boxes[:, 1].eq(0).all(), "unused rows stay unused"
    assert moved.labels is not None
    assert torch.equal(moved.labels, views.labels if views.labels is not None else moved.labels)


def test_quarter_turns_are_alike_frequent() -> None:
    corner = torch.zeros(400, 1, 3, 3)
    corner[:, 0, 0, 0] = 1

    places = changed(RandomRotate90(), corner).images.flatten(1).argmax(dim=1).bincount(minlength=9)

    assert places.nonzero().flatten().tolist() == [0, 2, 6, 8]
    assert places[[0, 2, 6, 8]].min() > 70


def test_a_wide_image_stays_wide() -> None:
    before = images(30, 1, 3, 5)

    turned = changed(RandomRotate90(), before).images

    halves = [torch.equal(after, torch.rot90(image, 2, (1, 2))) for after, image in zip(turned, before, strict=True)]
    still = [torch.equal(after, image) for after, image in zip(turned, before, strict=True)]
    assert all(half != same for half, same in zip(halves, still, strict=True))
    assert any(halves)
    assert any(still)
