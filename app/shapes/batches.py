"""The batches of a trial: as a datamodule's config declares them, from a datamodule that reads no data."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any, Final, cast

from torch.utils.data import DataLoader

from app.schemas.batch import BatchSpec
from app.schemas.datamodule import DataModuleConfig
from app.schemas.phases import Split
from app.schemas.task import TaskConfig
from app.shapes.fake import FEW, Values
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import Batch

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

    def prepare_data(self) -> None:
        """There is none."""

    def setup(self, stage: str) -> None:
        """There are no datasets."""

    def train_dataloader(self) -> DataLoader[Any]:
        """The training batches."""
        return self._batches("train")

    def val_dataloader(self) -> DataLoader[Any]:
        """The batches of val, of each dataset where there are several."""
        return self._of_each_dataset("val")

    def test_dataloader(self) -> DataLoader[Any]:
        """The batches of test, of each dataset where there are several."""
        return self._of_each_dataset("test")

    def _of_each_dataset(self, split: Split) -> DataLoader[Any]:
        names = self.datamodule_config.dataset_names(split)
        return cast(DataLoader[Any], [self._batches(split) for _ in names]) if len(names) > 1 else self._batches(split)

    def _batches(self, split: Split) -> DataLoader[Any]:
        size = self.datamodule_config.loader(split).batch_size
        largest = max(prod(spec.shape) for spec in (self.declared.input, *self.declared.targets.values()))
        if not self.values.fake and size * largest > _SMALL_BATCH:
            size = FEW
        batches = [self.values.batch(self.declared, size), self.values.batch(self.declared, FEW)]
        return cast(DataLoader[Any], _Batches(batches))


class _Batches:
    """A loader of batches that are there already. Lightning would take a list for a collection of loaders."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Batch]:
        return iter(self._batches)

    def __len__(self) -> int:
        return len(self._batches)
