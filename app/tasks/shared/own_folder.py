"""Data that is generated, or read from a folder of the user's own: how either becomes the splits of a task."""

from abc import abstractmethod
from typing import ClassVar, Final, Generic, TypeVar

from app.data_formats.errors import DataFileError
from app.data_formats.image_folder import image_files
from app.schemas.own_folder import OwnFolderTaskConfig
from app.schemas.phases import Split
from app.schemas.problems import shown_path
from app.schemas.splitting import SplitConfig
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.images import ImageDataModule
from app.tasks.shared.splitting import train_alone, train_and_val

SplitConfigT = TypeVar("SplitConfigT", bound=SplitConfig)
OwnFolderTaskConfigT = TypeVar("OwnFolderTaskConfigT", bound=OwnFolderTaskConfig)


_LEAST: Final = 2
"""Samples that train and val can be drawn from."""


class OwnFolderDataModule(
    ImageDataModule[SplitConfigT, OwnFolderTaskConfigT], Generic[SplitConfigT, OwnFolderTaskConfigT]
):
    """Images held in memory. Where a folder has no val of its own, that is a part of train."""

    images_in: ClassVar[str] = "."
    """The folder, in that of a split, in which its images lie."""

    @abstractmethod
    def samples(self, split: Split) -> InMemoryDataset:
        """All samples of `train` or `test`, or of `val` where the task's folder has it, as they are.

        Raises:
            DataFileError: when a folder lacks something, or one of its files is damaged.
        """

    def prepare_data(self) -> None:
        """Nothing to fetch: data is generated in less than a second, and a folder is there."""

    def setup(self, stage: str) -> None:
        """Generate or read what the stage needs.

        Raises:
            DataFileError: when a folder lacks something, or one of its files is damaged.
        """
        if stage in ("fit", "validate"):
            samples, config = self.samples("train"), self.datamodule_config
            if self.task.optional_folder("val") is None:
                self._require_enough(len(samples))
                train, val = train_and_val(len(samples), config)
                self.datasets["val"] = samples.part(val)
            else:
                train = train_alone(len(samples), config)
                self.datasets["val"] = self.samples("val")
            self.datasets["train"] = samples.part(train, self.augmentation())
        elif stage == "predict" and (folder := self.task.optional_folder("predict")) is not None:
            self.datasets["predict"] = self.read_inputs(image_files(folder / self.images_in))
        else:
            self.datasets["test"] = self.datasets["predict"] = self.samples("test")

    def _require_enough(self, size: int) -> None:
        """A val is drawn from train, which has to keep a sample itself."""
        folder, val = self.task.split_folder("train"), self.task.split_folder("val")
        if size < _LEAST and folder is not None and val is not None:
            instead = f"{_LEAST} images at least, of which val gets one, or a val of its own in {shown_path(val)}"
            raise DataFileError(folder, "", found=f"{size} image{'s' * (size != 1)}", expected=instead)
