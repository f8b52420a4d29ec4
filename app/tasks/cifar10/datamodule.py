"""The CIFAR-10 data: an archive that is downloaded and unpacked once, and the files in it."""

from hashlib import sha256
from pathlib import Path

import torch
from torch import Tensor

from app.data_formats.cifar10_binary import cifar10_bytes, read_cifar10
from app.downloads.archives import extract_folder
from app.downloads.fetching import fetch
from app.tasks.cifar10.config import CIFAR10DataModuleConfig
from app.tasks.shared.downloaded_images import DownloadedImagesDataModule, Part


class CIFAR10DataModule(DownloadedImagesDataModule[CIFAR10DataModuleConfig]):
    """Images `(3, 32, 32)` with values between 0 and 1, and classes from 0 to 9."""

    @property
    def unpacked(self) -> Path:
        """The folder of the files."""
        return self.folder / self.datamodule_config.files.folder

    def prepare_data(self) -> None:
        """Download and unpack what is not there."""
        if not self.unpacked.exists():
            archive = fetch(self.datamodule_config.files.archive, self.folder, "datamodule.files.archive")
            extract_folder(archive, self.unpacked)

    def read(self, part: Part) -> tuple[Tensor, Tensor]:
        """The images and classes of the files of a part, one after another."""
        files = self.datamodule_config.files
        names = files.train if part == "train" else (files.test,)
        read = [read_cifar10(self.unpacked / name, num_images=files.num_images) for name in names]
        images, classes = zip(*read, strict=True)
        return torch.cat(images), torch.cat(classes)

    def digest(self, images: Tensor, classes: Tensor) -> str:
        """SHA-256 of the file that holds them."""
        return sha256(cifar10_bytes(images, classes)).hexdigest()
