import torch
from torch import Generator

from app.augmentations.flips import HorizontalFlip
from app.augmentations.geometry import RandomCrop
from app.schemas.augmentations.augmentation import PlacedTarget
from app.tasks.shared.augmentation import BatchAugmentation
from app.tasks.shared.datasets import Batch


def test_a_class_stays_and_a_mask_moves() -> None:
    images, classes = torch.rand(2, 1, 4, 4), torch.tensor([3, 5])
    masks = torch.randint(0, 4, (2, 4, 4))

    labelled = BatchAugmentation(HorizontalFlip(), {})(Batch(images, classes), Generator())
    masked = BatchAugmentation(HorizontalFlip(), {"target": "mask"})(Batch(images, masks), Generator())

    assert torch.equal(labelled.inputs, images.flip(3))
    assert labelled.targets is classes
    assert torch.equal(masked.targets, masks.flip(2))


def test_of_several_targets_those_that_are_placed_move() -> None:
    boxes = torch.tensor([[[0.0, 1, 2, 4]], [[1, 1, 3, 3]]])
    targets = {"around": boxes, "what": torch.tensor([[4], [6]]), "where": torch.tensor([1, 2])}
    placed: dict[str, PlacedTarget] = {"around": "boxes", "what": "labels"}

    flipped = BatchAugmentation(HorizontalFlip(), placed)(Batch(torch.rand(2, 1, 8, 8), targets), Generator())

    assert flipped.targets["around"].tolist() == [[[6, 1, 8, 4]], [[5, 1, 7, 3]]]
    assert flipped.targets["what"].tolist() == [[4], [6]]
    assert flipped.targets["where"] is targets["where"]


def test_the_label_of_a_box_that_left_is_that_of_an_unused_row() -> None:
    boxes = torch.tensor([0.0, 0, 2, 2]).expand(50, 1, 4)
    targets = {"boxes": boxes, "labels": torch.full((50, 1), 4)}
    augmentation = BatchAugmentation(RandomCrop(padding=6), {"boxes": "boxes", "labels": "labels"})

    moved = augmentation(Batch(torch.rand(50, 1, 8, 8), targets), Generator().manual_seed(0)).targets

    left = moved["boxes"].any(dim=2)
    assert 0 < left.sum() < 50
    assert torch.equal(moved["labels"], torch.where(left, 4, -1))
