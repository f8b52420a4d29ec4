"""The segmentation data: drawn shapes, or a folder of images and masks; a fixed test split either way."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from app.data_formats.image_folder import image_files, read_image_folder
from app.schemas.phases import Split
from app.tasks.segmentation.config import SegmentationDataModuleConfig, SegmentationTaskConfig
from app.tasks.segmentation.shapes import draw_pictures
from app.tasks.shared.datasets import Augmentation, InMemoryDataset
from app.tasks.shared.images import ImageDataModule, between_0_and_1
from app.tasks.shared.splitting import train_alone, train_and_val

_FOR_TRAINING: Final = {"number": 1000, "seed": 1}
"""How many pictures of shapes are split into train and val, and the seed that they are drawn from."""

_FOR_TESTING: Final = {"number": 250, "seed": 2}
"""The test split: changing either makes it another task."""


class SegmentationDataModule(ImageDataModule[SegmentationDataModuleConfig, SegmentationTaskConfig]):
    """Images `(channels, height, width)` with values between 0 and 1, and the class of each pixel `(height, width)`."""

    def prepare_data(self) -> None:
        """Nothing to fetch: shapes are drawn in less than a second, and a folder is there."""

    def setup(self, stage: str) -> None:
        """Draw or read what the stage needs.

        Raises:
            DataFileError: when a folder lacks something, or one of its files is damaged.
        """
        if stage in ("fit", "validate"):
            train, val = self._train_and_val()
            self.datasets["train"] = train.dataset(self.augmentation())
            self.datasets["val"] = val.dataset()
        elif stage == "predict" and (folder := self.task.optional_folder("predict")) is not None:
            self.datasets["predict"] = self.read_inputs(image_files(folder / "images"))
        else:
            self.datasets["test"] = self.datasets["predict"] = self._samples("test").dataset()

    def _train_and_val(self) -> tuple["_Samples", "_Samples"]:
        samples, config = self._samples("train"), self.datamodule_config
        if self.task.optional_folder("val") is not None:
            return samples.at(train_alone(len(samples.images), config)), self._samples("val")
        train, val = train_and_val(len(samples.images), config)
        return samples.at(train), samples.at(val)

    def _samples(self, split: Split) -> "_Samples":
        folder = self.task.split_folder(split)
        if folder is None:
            pictures, classes = draw_pictures(**(_FOR_TESTING if split == "test" else _FOR_TRAINING))
            return _Samples(between_0_and_1(torch.from_numpy(pictures)), torch.from_numpy(classes).long(), None)
        found = read_image_folder(folder, input_shape=self.task.input_shape, num_classes=self.task.num_classes)
        ids = [str(file) for file in found.files]
        return _Samples(torch.from_numpy(found.images), torch.from_numpy(found.masks), ids)


class _Samples(NamedTuple):
    images: Tensor
    masks: Tensor
    ids: Sequence[str] | None

    def at(self, places: Tensor) -> "_Samples":
        ids = None if self.ids is None else [self.ids[place] for place in places.tolist()]
        return _Samples(self.images[places], self.masks[places], ids)

    def dataset(self, augmentation: Augmentation | None = None) -> InMemoryDataset:
        return InMemoryDataset(self.images, self.masks, augmentation, ids=self.ids)
