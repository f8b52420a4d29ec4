"""`BaseDataModule`: everything about loading, splits and the fixed test set that the datamodules of all tasks share."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from lightning.pytorch import LightningDataModule
from torch import Generator
from torch.utils.data import DataLoader, Dataset, Sampler

from app.builders.augmentations import build_augmentations
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig
from app.schemas.phases import Split
from app.schemas.plain import to_plain
from app.schemas.problems import AppError, ConfigError, Problem
from app.schemas.task import TaskConfig
from app.tasks.shared.augmentation import BatchAugmentation
from app.tasks.shared.datasets import (
    Augmentation,
    BatchLoader,
    InMemoryDataset,
    SeededDataset,
    ShuffledSampler,
    collate,
    held_in_memory,
    with_seeded_batches,
)
from app.tasks.shared.fingerprint import FingerprintError, fingerprint
from app.tasks.shared.restoring import restored

DataModuleConfigT = TypeVar("DataModuleConfigT", bound=DataModuleConfig)
TaskConfigT = TypeVar("TaskConfigT", bound=TaskConfig)


Loaders = DataLoader[Any] | list[DataLoader[Any]]
"""A split's loader, or one for each of its datasets."""


class MissingSplitError(AppError):
    """A datamodule's `setup` left out a split that is to be loaded."""

    def __init__(self, datamodule: str, split: str, filled: tuple[str, ...]) -> None:
        self.datamodule, self.split, self.filled = datamodule, split, filled
        found = f"only {', '.join(filled)}" if filled else "nothing"
        super().__init__(f"{datamodule}.setup must put a dataset into self.datasets['{split}']; it holds {found}")

    def __reduce__(self) -> tuple[type["MissingSplitError"], tuple[str, str, tuple[str, ...]]]:
        return type(self), (self.datamodule, self.split, self.filled)


class BaseDataModule(LightningDataModule, ABC, Generic[DataModuleConfigT, TaskConfigT]):
    """The splits of a task's data, and their loaders.

    A task's datamodule implements `prepare_data` and `setup`. Only train is shuffled, in an order that is a function
    of the seed and the epoch. The test split is verified against the task's fingerprint before it is loaded.

    Each argument is a schema object, or the plain container that a checkpoint keeps of it.
    """

    def __init__(
        self,
        datamodule_config: DataModuleConfigT | Mapping[str, Any],
        task: TaskConfigT | Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.datamodule_config: DataModuleConfigT = restored(datamodule_config)
        self.task: TaskConfigT = restored(task)
        self.save_hyperparameters({"datamodule_config": to_plain(self.datamodule_config), "task": to_plain(self.task)})
        self.datasets: dict[Split, Dataset[Any]] = {}
        self.verified_fingerprint: str | None = None
        """The test split's fingerprint, once it was found to be the task's."""
        # The seed that `seed_everything` last set; kept in checkpoints, so that a resumed run goes on in its order.
        self._seed = torch.initial_seed()

    @property
    def batch_size(self) -> int:
        """Samples in a training batch, where Lightning's batch-size finder looks for it and puts what it found."""
        return self.datamodule_config.dataloader.batch_size

    @batch_size.setter
    def batch_size(self, value: int) -> None:
        loader = replace(self.datamodule_config.dataloader, batch_size=value)
        self.datamodule_config = replace(self.datamodule_config, dataloader=loader)

    @abstractmethod
    def prepare_data(self) -> None:
        """Slow work done once, such as downloads; runs in one process only, so it must not set attributes."""

    @abstractmethod
    def setup(self, stage: str) -> None:
        """Put the datasets of a stage into `self.datasets`; runs in every process.

        The stage is `fit`, which needs the splits train and val, or `validate`, `test` or `predict`. The test split
        must be the same whatever the config says.
        """

    def inputs_dataloader(self, files: Sequence[Path]) -> DataLoader[Any]:
        """The samples in files that the user names, in their order; neither `prepare_data` nor `setup` is needed."""
        return self._loader(self.read_inputs(files), self.datamodule_config.loader("predict"))

    def read_inputs(self, files: Sequence[Path]) -> Dataset[Any]:
        """The samples that `app predict` is to look at instead of the predict split, in the order of the files.

        For tasks whose config names the files' endings (`input_endings`). The samples have no targets to tell, so
        those of the dataset are zeros; its `ids`, if it has them, name the samples in what is written.

        Raises:
            AppError: when a file is damaged, or holds something else.
        """
        raise NotImplementedError(f"{type(self).__name__} must read the files whose endings its config names")

    def further_dataset(self, split: Split, name: str) -> Dataset[Any]:
        """A dataset to look at beside a split's own, as the config has it under this name.

        The split's samples, changed and held in memory; override it to read others, whose place a config derived from
        `FurtherDatasetConfig` may say.
        """
        step = build_augmentations(self.datamodule_config.further_datasets(split)[name].augmentations)
        if step is None:
            return self._dataset(split)
        changed = BatchAugmentation(step, self.datamodule_config.placed_targets)
        return held_in_memory(self._dataset(split), changed, self.datamodule_config.split_seed)

    def class_names(self) -> tuple[str, ...]:
        """What the classes are called, in the order of their indices; none where nobody says."""
        return self.task.class_names()

    def target_scale(self) -> tuple[float, float] | None:
        """Mean and deviation of the training data's targets, for models that learn in their scale; None for theirs.

        For tasks of regression; `setup("fit")` comes before.
        """
        return None

    def augmentation(self) -> Augmentation | None:
        """The random changes that the config describes, for a dataset held in memory; None where there are none."""
        config = self.datamodule_config
        step = build_augmentations(config.augmentations)
        return None if step is None else BatchAugmentation(step, config.placed_targets)

    def train_dataloader(self) -> DataLoader[Any]:
        """The train split, shuffled anew each epoch.

        Raises:
            ConfigError: when `drop_last` would leave no batch.
        """
        dataset = self._dataset("train")
        size: int = len(dataset)  # type: ignore[arg-type]  # map-style datasets have a length
        config = self.datamodule_config.dataloader
        if config.drop_last and size < config.batch_size:
            message = f"leaves nothing to train on: the {size} samples make no full batch of {config.batch_size}"
            raise ConfigError([Problem(path="datamodule.dataloader.drop_last", message=message)])
        trainer = self.trainer
        share = {} if trainer is None else {"rank": trainer.global_rank, "num_replicas": trainer.world_size}
        sampler = ShuffledSampler(size, self._seed, **share)
        # A batch of data in memory is augmented from a generator of its own anyway.
        seeded = dataset if isinstance(dataset, InMemoryDataset) else SeededDataset(dataset)
        return with_seeded_batches(self._loader(seeded, config, sampler, drop_last=config.drop_last))

    def val_dataloader(self) -> Loaders:
        """The val split, in order, and further datasets where the config names some."""
        return self._in_order("val")

    def test_dataloader(self) -> Loaders:
        """The test split, in order, and further datasets where the config names some.

        Raises:
            FingerprintError: when the split is not the one that the task pins.
        """
        self.verify_test_split()
        return self._in_order("test")

    def predict_dataloader(self) -> Loaders:
        """The predict split, in order, and further datasets where the config names some."""
        return self._in_order("predict")

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch as Lightning does; on the CPU, where dataloaders put them, there is nothing to walk through."""
        return batch if device.type == "cpu" else super().transfer_batch_to_device(batch, device, dataloader_idx)

    def teardown(self, stage: str) -> None:
        """Nothing to clean up here; for datamodules that hold files or connections."""

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on with the same order and augmentation."""
        return {"seed": self._seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on as the run did that made `state_dict`."""
        self._seed = state_dict["seed"]

    def test_fingerprint(self) -> str:
        """SHA-256 over the test split, which `setup("test")` must have filled."""
        return fingerprint(self._dataset("test"))

    def verify_test_split(self) -> None:
        """Compare the test split to the task's fingerprint, and keep what was found as `verified_fingerprint`.

        Raises:
            FingerprintError: when they differ.
        """
        self.verified_fingerprint = None
        found = self.test_fingerprint()
        if self.task.test_fingerprint not in (None, found):
            raise FingerprintError(self.task.name, found=found, expected=self.task.test_fingerprint)
        self.verified_fingerprint = found

    def _dataset(self, split: Split) -> Dataset[Any]:
        if split not in self.datasets:
            raise MissingSplitError(type(self).__name__, split, tuple(self.datasets))
        dataset = self.datasets[split]
        if len(dataset) == 0:  # type: ignore[arg-type]  # map-style datasets have a length
            raise ConfigError([Problem(path="datamodule", message=f"leaves the split {split} without a sample")])
        return dataset

    def _in_order(self, split: Split) -> Loaders:
        config = self.datamodule_config
        own = self._loader(self._dataset(split), config.loader(split))
        further = [
            self._loader(self.further_dataset(split, name), config.loader(split, name))
            for name in config.further_datasets(split)
        ]
        return [own, *further] if further else own

    def _loader(
        self,
        dataset: Dataset[Any],
        config: DataLoaderConfig,
        sampler: Sampler[int] | None = None,
        *,
        drop_last: bool = False,
    ) -> DataLoader[Any]:
        return BatchLoader(
            dataset,
            sampler=sampler,
            batch_size=config.batch_size,
            drop_last=drop_last,
            num_workers=config.num_workers,
            pin_memory=config.pin_memory,
            persistent_workers=config.persistent_workers,
            prefetch_factor=config.prefetch_factor,
            timeout=config.timeout,
            multiprocessing_context=config.multiprocessing_context,
            in_order=config.in_order,
            collate_fn=collate,
            # Without a generator of its own a loader would draw from the global one, and shift all that comes after.
            generator=Generator().manual_seed(self._seed),
        )
