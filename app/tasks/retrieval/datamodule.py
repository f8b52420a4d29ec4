"""The digits as queries and a gallery, and in training with what each is compared with."""

from typing import Any

import torch
from torch import Generator, Tensor
from torch.utils.data import Dataset

from app.schemas.phases import Split
from app.schemas.problems import ConfigError, Problem
from app.tasks.retrieval.config import RetrievalDataModuleConfig, RetrievalTaskConfig
from app.tasks.retrieval.sampling import ROW, Companions, Pool
from app.tasks.shared.datasets import Batch, InMemoryDataset
from app.tasks.shared.digits_data import DigitImages, digit_splits
from app.tasks.shared.fingerprint import fingerprint
from app.tasks.shared.images import ImageDataModule


class RetrievalDataModule(ImageDataModule[RetrievalDataModuleConfig, RetrievalTaskConfig]):
    """Images `(1, 8, 8)` with their digit as `target`, `is_query`, and the images to compare each with.

    Those are drawn anew for each training batch, and once for each of the other splits.
    """

    def prepare_data(self) -> None:
        """Nothing to fetch: scikit-learn carries the images."""

    def setup(self, stage: str) -> None:
        """Read the images and fill the splits of the stage."""
        for split, found in digit_splits(stage, self.datamodule_config).items():
            self.datasets[split] = self._trained_on(found) if split == "train" else self._evaluated(split, found)

    def test_fingerprint(self) -> str:
        """SHA-256 over the images, digits and division of the test split; what they are compared with may vary."""
        return fingerprint(_Measured(self._dataset("test")))

    def _trained_on(self, train: DigitImages) -> InMemoryDataset:
        """The digits that training sees, with others drawn anew for each batch."""
        seen = train.at(torch.isin(train.digits, torch.tensor(self.datamodule_config.train_digits)))
        return InMemoryDataset(seen.images, _targets(seen), self._companions("train", seen), ids=seen.ids)

    def _evaluated(self, split: Split, found: DigitImages) -> InMemoryDataset:
        """A split as it is, always the same."""
        companions = self._companions(split, found)
        generator = Generator().manual_seed(self.datamodule_config.split_seed)
        whole = companions.for_evaluation(Batch(found.images, _targets(found)), generator)
        return InMemoryDataset(whole.inputs, whole.targets, ids=found.ids)

    def _companions(self, split: Split, found: DigitImages) -> Companions:
        sampling = self.datamodule_config.sampling
        pool = Pool(found.images, found.digits)
        if sampling in ("pairs", "triplets") and pool.num_classes < 2:
            message = f"the split {split} has too few images: there must be two digits to tell apart"
            raise ConfigError([Problem(path="datamodule.train_val_split", message=message)])
        return Companions(pool, sampling, self.augmentation())


def every_other_of_each(digits: Tensor) -> Tensor:
    """Which images are queries: the first, third, … of each digit; the others are the gallery."""
    is_query = torch.zeros(len(digits), dtype=torch.bool)
    for digit in range(10):
        is_query[(digits == digit).nonzero().squeeze(1)[::2]] = True
    return is_query


def _targets(found: DigitImages) -> dict[str, Tensor]:
    return {
        "target": found.digits,
        "is_query": every_other_of_each(found.digits),
        ROW: torch.arange(len(found.images)),
    }


class _Measured(Dataset[Batch]):
    """The part of a dataset that its metrics are computed from."""

    def __init__(self, dataset: Dataset[Any]) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # map-style datasets have a length

    def __getitem__(self, index: int) -> Batch:
        inputs, targets = self.dataset[index]
        return Batch(inputs, {name: targets[name] for name in ("target", "is_query")})
