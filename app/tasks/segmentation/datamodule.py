"""The segmentation data: drawn shapes, or a folder of images and masks; a fixed test split either way."""

from typing import Final

import torch

from app.data_formats.image_folder import read_image_folder
from app.schemas.phases import Split
from app.tasks.segmentation.config import SegmentationDataModuleConfig, SegmentationTaskConfig
from app.tasks.segmentation.shapes import draw_pictures
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.images import between_0_and_1
from app.tasks.shared.own_folder import OwnFolderDataModule

_FOR_TRAINING: Final = {"number": 1000, "seed": 1}
"""How many pictures of shapes are split into train and val, and the seed that they are drawn from."""

_FOR_TESTING: Final = {"number": 250, "seed": 2}
"""The test split: changing either makes it another task."""


class SegmentationDataModule(OwnFolderDataModule[SegmentationDataModuleConfig, SegmentationTaskConfig]):
    """Images `(channels, height, width)` with values between 0 and 1, and the class of each pixel `(height, width)`."""

    images_in = "images"

    def samples(self, split: Split) -> InMemoryDataset:
        """Pictures of shapes, or what lies in the split's folder.

        Raises:
            DataFileError: when the folder lacks something, or one of its files is damaged.
        """
        folder = self.task.split_folder(split)
        if folder is None:
            pictures, classes = draw_pictures(**(_FOR_TESTING if split == "test" else _FOR_TRAINING))
            return InMemoryDataset(between_0_and_1(torch.from_numpy(pictures)), torch.from_numpy(classes).long())
        found = read_image_folder(folder, input_shape=self.task.input_shape, num_classes=self.task.num_classes)
        ids = [str(file) for file in found.files]
        return InMemoryDataset(torch.from_numpy(found.images), torch.from_numpy(found.masks), ids=ids)
