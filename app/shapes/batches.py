"""The batches of a trial: as a datamodule's config declares them, from a datamodule that reads no data."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final, cast, get_args

from lightning import LightningDataModule
from torch.utils._pytree import tree_map
from torch.utils.data import DataLoader, Dataset

from app.schemas.batch import BatchSpec
from app.schemas.datamodule import DataModuleConfig
from app.schemas.phases import Split
from app.schemas.task import TaskConfig
from app.shapes.fake import FEW, Values
from app.tasks.shared.datamodule import BaseDataModule, Loaders
from app.tasks.shared.datasets import Batch

_COUNT: Final = 2
"""Batches of a split."""

_SMALL_BATCH: Final = 2**18
"""Numbers up to which a batch of real values is as large as the run's: a step of them takes no time."""


class DeclaredBatches(BaseDataModule[DataModuleConfig, TaskConfig]):
    """Two batches for each split: one as large as the run's, then one of a few samples.

    It stands in for the run's own datamodule, which may import much and look for files as soon as it is made.
    """

    def __init__(self, config: DataModuleConfig, task: TaskConfig, values: Values) -> None:
        super().__init__(config, task)
        self.values = values
        self.declared: BatchSpec = config.batch(task)
        self._few = values.batch(self.declared, FEW)
        self.datasets = {split: self._samples(split) for split in get_args(Split)}

    def prepare_data(self) -> None:
        """There is none."""

    def setup(self, stage: str) -> None:
        """The datasets are there."""

    def train_dataloader(self) -> DataLoader[Any]:
        """The training batches."""
        return self._batches("train")

    def val_dataloader(self) -> Loaders:
        """The batches of val, of each dataset where there are several."""
        return self._of_each_dataset("val")

    def test_dataloader(self) -> Loaders:
        """The batches of test, of each dataset where there are several."""
        return self._of_each_dataset("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        """The batches of predict."""
        return self._batches("predict")

    def test_fingerprint(self) -> str:
        """The task's: nothing else may be tested on."""
        return self.task.test_fingerprint or ""

    def _samples(self, split: Split) -> Dataset[Any]:
        return _Samples(self._few, _COUNT * self.datamodule_config.loader(split).batch_size)

    def _of_each_dataset(self, split: Split) -> Loaders:
        names = self.datamodule_config.dataset_names(split)
        return [self._batches(split) for _ in names] if len(names) > 1 else self._batches(split)

    def _batches(self, split: Split) -> DataLoader[Any]:
        size = self.datamodule_config.loader(split).batch_size
        largest = max(prod(spec.shape) for spec in (self.declared.input, *self.declared.targets.values()))
        if not self.values.fake and size * largest > _SMALL_BATCH:
            size = FEW
        batches = [self.values.batch(self.declared, size), self.values.batch(self.declared, FEW)]
        return cast(DataLoader[Any], _Batches(batches, self._samples(split)))


class _Batches:
    """A loader of batches that are there already. Lightning would take a list for a collection of loaders."""

    def __init__(self, batches: Sequence[Batch], dataset: Dataset[Any]) -> None:
        self._batches = batches
        self.dataset = dataset
        self.batch_size = len(batches[0].inputs)

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)


class _Samples(Dataset[Batch]):
    """As many samples as there are in the batches, of which few differ."""

    def __init__(self, few: Batch, count: int) -> None:
        self._few = few
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> Batch:
        if not -self._count <= place < self._count:
            raise IndexError(place)
        return cast(Batch, tree_map(lambda tensor: tensor[place % FEW], self._few))


STAND_INS: Final = {DeclaredBatches: LightningDataModule, _Batches: DataLoader, _Samples: Dataset}
"""The classes here that modules meet, and what they would meet in a run."""
