"""Images as inputs of a task: from files, for `app predict` and for folders of data, or from unsigned bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Generic

import torch
from torch import Tensor

from app.data_formats.image_file import read_image
from app.schemas.batch import TensorSpec
from app.tasks.shared.datamodule import BaseDataModule, DataModuleConfigT, TaskConfigT
from app.tasks.shared.datasets import InMemoryDataset


class ImageDataModule(BaseDataModule[DataModuleConfigT, TaskConfigT], Generic[DataModuleConfigT, TaskConfigT]):
    """The data of a task on images, which can look at image files too; its config has them as its `input_endings`."""

    def read_inputs(self, files: Sequence[Path]) -> InMemoryDataset:
        """The images, brought to the task's size, each by the name of its file as its id.

        Nothing is known of their targets, which are what the config's `batch` says of their smallest values.

        Raises:
            DataFileError: when a file is missing, damaged, or no image.
        """
        images = read_images(files, self.task.input_shape)
        declared = self.datamodule_config.batch(self.task).targets
        unknown = {name: _smallest(spec, len(files)) for name, spec in declared.items()}
        targets = unknown["target"] if unknown.keys() == {"target"} else unknown
        return InMemoryDataset(images, targets, ids=[str(file) for file in files])


def read_images(files: Sequence[Path], input_shape: Sequence[int]) -> Tensor:
    """The images in the order of the files, `(files, channels, height, width)`, values between 0 and 1.

    Each becomes grey or coloured, as the channels of `input_shape` say (1 or 3), and is stretched to its height and
    width where it has others. `app.data_formats.image_file.read_image` says what else is done to them.

    Raises:
        DataFileError: when a file is missing, damaged, or no image.
    """
    channels, height, width = input_shape
    images = torch.empty(len(files), channels, height, width)
    for place, file in enumerate(files):
        images[place] = torch.from_numpy(read_image(file, channels=channels, size=(height, width)))
    return images


def between_0_and_1(pixels: Tensor) -> Tensor:
    """Unsigned bytes as values between 0 and 1, in 32 bits."""
    return pixels.to(torch.float32).div_(255)


def _smallest(spec: TensorSpec, size: int) -> Tensor:
    return torch.full((size, *spec.shape), spec.low or 0, dtype=getattr(torch, spec.dtype))
