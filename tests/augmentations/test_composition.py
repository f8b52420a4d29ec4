import torch
from torch import Generator

from app.augmentations.colours import GaussianNoise
from app.augmentations.composition import InTurn, OneOf, SomeOf, Sometimes
from app.augmentations.geometry import RandomCrop
from app.augmentations.views import Views
from tests.augmentations.views import changed, images, with_a_box


class Add:
    """Adds a number, and notes how many images it was given at once."""

    def __init__(self, number: float) -> None:
        self.number = number
        self.batches: list[int] = []

    def __call__(self, views: Views, _: Generator) -> Views:
        self.batches.append(len(views.images))
        return views._replace(images=views.images + self.number)


class Double:
    def __call__(self, views: Views, _: Generator) -> Views:
        return views._replace(images=2 * views.images)


def test_steps_come_one_after_another() -> None:
    assert changed(InTurn([Add(3), Double()]), torch.ones(2, 1, 1, 1)).images.flatten().tolist() == [8, 8]


def test_a_probability_is_of_each_image() -> None:
    step = Add(1)

    drawn = changed(Sometimes(step, 0.3), torch.zeros(1000, 1, 1, 1)).images

    assert 250 < drawn.sum() < 350
    assert step.batches == [drawn.sum()], "only those are computed, all at once"


def test_of_several_each_image_gets_one_by_weight() -> None:
    drawn = changed(OneOf([Add(1), Add(2), Add(4)], [1.0, 2.0, 1.0]), torch.zeros(1000, 1, 1, 1)).images

    counts = drawn.flatten().long().bincount()
    assert counts.nonzero().flatten().tolist() == [1, 2, 4]
    assert 450 < counts[2] < 550
    assert min(counts[1], counts[4]) > 200


def test_a_few_of_several_are_different_ones_in_their_order() -> None:
    drawn = changed(SomeOf([Add(1), Double(), Add(4)], 2), torch.ones(900, 1, 1, 1)).images

    # (1 + 1) * 2, 1 + 1 + 4 and 1 * 2 + 4.
    counts = drawn.flatten().long().bincount(minlength=7)
    assert counts.nonzero().flatten().tolist() == [4, 6]
    assert 250 < counts[4] < 350


def test_targets_move_with_the_images_that_are_drawn() -> None:
    views = with_a_box(100, 12, 12, (0, 0, 6, 6))

    moved = changed(Sometimes(RandomCrop(padding=3), 0.5), views)

    assert moved.mask is not None
    assert moved.boxes is not None
    assert moved.labels is not None
    assert torch.equal(moved.mask, moved.images[:, 0].long())
    still = [index for index in range(100) if torch.equal(moved.images[index], views.images[index])]
    assert 40 < len(still) < 65
    assert moved.boxes[still, 0].eq(torch.tensor([0.0, 0, 6, 6])).all()
    assert moved.boxes.any(dim=2).eq(moved.labels >= 0).all()


def test_nothing_is_changed_in_place() -> None:
    views = with_a_box(20, 8, 8, (1, 1, 4, 4))
    before = Views(*(None if part is None else part.clone() for part in views))  # type: ignore[arg-type]  # there are images

    changed(OneOf([GaussianNoise(), Sometimes(RandomCrop(padding=3), 0.5)], [1.0, 1.0]), views)

    assert all(
        torch.equal(one, other) for one, other in zip(views, before, strict=True) if one is not None is not other
    )


def test_what_is_drawn_follows_from_the_generator() -> None:
    step = InTurn([OneOf([GaussianNoise(), Add(1)], [1, 1]), SomeOf([Add(2), GaussianNoise()], 1)])
    before = images(16, 1, 4, 4)

    assert torch.equal(changed(step, before, seed=3).images, changed(step, before, seed=3).images)
    assert not torch.equal(changed(step, before, seed=3).images, changed(step, before, seed=4).images)
