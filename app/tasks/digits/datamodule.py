"""The digits data: a test split that never varies, train and val drawn from the rest, augmentation of train."""

from app.tasks.digits.config import DigitsDataModuleConfig, DigitsTaskConfig
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.digits_data import digit_splits
from app.tasks.shared.images import ImageDataModule


class DigitsDataModule(ImageDataModule[DigitsDataModuleConfig, DigitsTaskConfig]):
    """Images `(1, 8, 8)` with values between 0 and 1, and digits from 0 to 9; files are read as white on black."""

    def prepare_data(self) -> None:
        """Nothing to fetch: scikit-learn carries the images."""

    def setup(self, stage: str) -> None:
        """Read the images and fill the splits of the stage."""
        for split, found in digit_splits(stage, self.datamodule_config).items():
            changes = self.augmentation() if split == "train" else None
            self.datasets[split] = InMemoryDataset(found.images, found.digits, changes, ids=found.ids)
