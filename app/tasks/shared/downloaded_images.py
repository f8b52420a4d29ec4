"""Datamodules of downloaded images with a class each, held in memory: read once, val split off train."""

from abc import abstractmethod
from hashlib import sha256
from pathlib import Path
from typing import Generic, Literal, TypeVar, cast

import torch
from torch import Tensor

from app.data_formats.idx import idx_bytes, read_labelled_images
from app.downloads.fetching import fetch
from app.downloads.folder import data_folder
from app.schemas.downloaded_images import DownloadedImagesConfig, IDXImagesConfig
from app.schemas.downloads import DownloadConfig
from app.schemas.task import TaskConfig
from app.tasks.shared.datasets import Augmentation, InMemoryDataset
from app.tasks.shared.images import ImageDataModule, between_0_and_1
from app.tasks.shared.splitting import train_and_val

ConfigT = TypeVar("ConfigT", bound=DownloadedImagesConfig)

Part = Literal["train", "test"]
"""One of the two parts that a dataset is published in."""


class DownloadedImagesDataModule(ImageDataModule[ConfigT, TaskConfig], Generic[ConfigT]):
    """Images of the task's shape with values between 0 and 1, and a class each.

    A task's datamodule implements `prepare_data`, `read` and `digest`.
    """

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return data_folder(self.datamodule_config.data_dir, self.task.name)

    @abstractmethod
    def read(self, part: Part) -> tuple[Tensor, Tensor]:
        """Images `(images, *input_shape)` and the class of each `(images)`, both as unsigned bytes.

        Raises:
            DataFileError: when a file is missing or damaged.
        """

    @abstractmethod
    def digest(self, images: Tensor, classes: Tensor) -> str:
        """The fingerprint of a test split that holds these, as `read` gives them."""

    def setup(self, stage: str) -> None:
        """Read the part that the stage needs."""
        if stage in ("fit", "validate"):
            self._split_for_training(*self.read("train"))
        else:
            self.datasets["test"] = self.datasets["predict"] = _samples(*self.read("test"))

    def test_fingerprint(self) -> str:
        """The digest of the test split's bytes, as they were published."""
        dataset = cast(InMemoryDataset, self._dataset("test"))
        images, classes = dataset.__getitems__(range(len(dataset)))
        return self.digest((images * 255).round().to(torch.uint8), classes.to(torch.uint8))

    def _split_for_training(self, images: Tensor, classes: Tensor) -> None:
        train, val = train_and_val(len(images), self.datamodule_config)
        # Taken out while they are bytes: as numbers for the model they are four times as large.
        self.datasets["train"] = _samples(images[train], classes[train], self.augmentation())
        self.datasets["val"] = _samples(images[val], classes[val])


class IDXDataModule(DownloadedImagesDataModule[IDXImagesConfig]):
    """Grey images from the four files that MNIST and its likes are published in."""

    def prepare_data(self) -> None:
        """Download what is not there."""
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            download: DownloadConfig = getattr(self.datamodule_config.files, name)
            fetch(download, self.folder, f"datamodule.files.{name}")

    def read(self, part: Part) -> tuple[Tensor, Tensor]:
        """The images and classes of two of the files."""
        _, *size = self.task.input_shape
        images, classes = read_labelled_images(
            *self.paths(part), size=(size[0], size[1]), num_classes=self.task.num_classes
        )
        return images[:, None], classes

    def paths(self, part: Part) -> tuple[Path, Path]:
        """The files of a part: its images, and their classes."""
        files = self.datamodule_config.files
        images, labels = (
            (files.test_images, files.test_labels) if part == "test" else (files.train_images, files.train_labels)
        )
        return self.folder / images.file_name, self.folder / labels.file_name

    def digest(self, images: Tensor, classes: Tensor) -> str:
        """SHA-256 over the digests, in hexadecimal, that the two unpacked files have: images, then classes."""
        return joint_digest(idx_bytes(images[:, 0]), idx_bytes(classes))


def joint_digest(*contents: bytes) -> str:
    """SHA-256 over the SHA-256 of each, in hexadecimal and one after another."""
    return sha256("".join(sha256(content).hexdigest() for content in contents).encode()).hexdigest()


def _samples(images: Tensor, classes: Tensor, augmentation: Augmentation | None = None) -> InMemoryDataset:
    return InMemoryDataset(between_0_and_1(images), classes.long(), augmentation)
