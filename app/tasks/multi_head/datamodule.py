"""The digits with several targets, split as the task digits has them."""

from typing import Final

import torch
from torch import Tensor

from app.tasks.multi_head.config import MultiHeadDataModuleConfig, MultiHeadTaskConfig
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.digits_data import digit_splits
from app.tasks.shared.images import ImageDataModule

LOOPS: Final = (1, 0, 0, 0, 0, 0, 1, 0, 2, 1)
"""The closed loops of each digit, from 0 to 9."""


class MultiHeadDataModule(ImageDataModule[MultiHeadDataModuleConfig, MultiHeadTaskConfig]):
    """Images `(1, 8, 8)` with values between 0 and 1, and the targets `digit`, `parity` and `loops`."""

    def prepare_data(self) -> None:
        """Nothing to fetch: scikit-learn carries the images."""

    def setup(self, stage: str) -> None:
        """Read the images and fill the splits of the stage."""
        for split, found in digit_splits(stage, self.datamodule_config).items():
            changes = self.augmentation() if split == "train" else None
            self.datasets[split] = InMemoryDataset(
                found.images, targets_of_digits(found.digits), changes, ids=found.ids
            )


def targets_of_digits(digits: Tensor) -> dict[str, Tensor]:
    """What there is to tell of each digit, by the name of the target."""
    return {"digit": digits, "parity": digits % 2, "loops": torch.tensor(LOOPS)[digits]}
