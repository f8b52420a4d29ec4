"""The digits data: a test split that never varies, train and val drawn from the rest, augmentation of train."""

from collections.abc import Sequence
from functools import partial

import torch
from sklearn.datasets import load_digits
from torch import Generator, Tensor

from app.tasks.digits.config import AugmentationConfig, DigitsDataModuleConfig, DigitsTaskConfig
from app.tasks.shared.augmentations import add_noise, random_affine
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import Augmentation, InMemoryDataset


class DigitsDataModule(BaseDataModule[DigitsDataModuleConfig, DigitsTaskConfig]):
    """Images `(1, 8, 8)` with values between 0 and 1, and digits from 0 to 9."""

    def prepare_data(self) -> None:
        """Nothing to fetch: scikit-learn carries the images."""

    def setup(self, stage: str) -> None:
        """Read the images, a few hundredths of a second's work, and fill the splits of the stage."""
        images, digits = _read()
        is_test = every_fifth_of_each(digits)
        if stage in ("fit", "validate"):
            self._split_for_training(images[~is_test], digits[~is_test])
        else:
            self.datasets["test"] = self.datasets["predict"] = InMemoryDataset(images[is_test], digits[is_test])

    def _split_for_training(self, images: Tensor, digits: Tensor) -> None:
        config = self.datamodule_config
        generator = Generator().manual_seed(config.split_seed)
        order = torch.randperm(len(images), generator=generator)
        size = round(config.train_val_split[0] * len(order))
        train, val = order[: max(1, round(config.train_fraction * size))], order[size:]
        self.datasets["train"] = InMemoryDataset(images[train], digits[train], _augmentation(config.augmentation))
        self.datasets["val"] = InMemoryDataset(images[val], digits[val])


def every_fifth_of_each(digits: Tensor) -> Tensor:
    """Which images are the test split: in the order of the file, the fifth, tenth, … of each digit.

    No random generator has a part in it, so that it is the same in every version of every library.
    """
    is_test = torch.zeros(len(digits), dtype=torch.bool)
    for digit in range(10):
        is_test[(digits == digit).nonzero().squeeze(1)[4::5]] = True
    return is_test


def _read() -> tuple[Tensor, Tensor]:
    pixels, digits = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).to(torch.float32).view(-1, 1, 8, 8) / 16
    return images, torch.from_numpy(digits).to(torch.int64)


def _augmentation(config: AugmentationConfig) -> Augmentation | None:
    steps: list[Augmentation] = []
    if config.max_rotation or config.max_shift or config.max_scale:
        steps.append(
            partial(
                random_affine,
                max_rotation=config.max_rotation,
                max_shift=config.max_shift,
                max_scale=config.max_scale,
            )
        )
    if config.noise:
        steps.append(partial(add_noise, deviation=config.noise))
    return partial(_in_turn, steps) if steps else None


def _in_turn(steps: Sequence[Augmentation], images: Tensor, generator: Generator) -> Tensor:
    for step in steps:
        images = step(images, generator)
    return images
