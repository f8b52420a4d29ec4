import torch

from app.schemas.splitting import SplitConfig
from app.tasks.shared.digits_data import digit_splits, read_digits


def test_every_image_is_in_one_split() -> None:
    splits = {**digit_splits("fit", SplitConfig()), **digit_splits("test", SplitConfig())}

    assert {split: len(found.images) for split, found in splits.items()} == {
        "train": 1298,
        "val": 144,
        "test": 355,
        "predict": 355,
    }
    numbers = [*splits["train"].numbers.tolist(), *splits["val"].numbers.tolist(), *splits["test"].numbers.tolist()]
    assert sorted(numbers) == list(range(1797))


def test_images_digits_and_names_stay_together() -> None:
    val = digit_splits("fit", SplitConfig(split_seed=3))["val"]

    there = read_digits().at(val.numbers)
    assert torch.equal(there.images, val.images)
    assert torch.equal(there.digits, val.digits)
    assert val.ids[0] == f"digits/{val.numbers[0]}"
