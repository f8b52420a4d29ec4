"""The detection data: generated scenes, or a folder with COCO-format annotations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from app.data_formats.coco import CocoAnnotations, CocoImage, read_categories, read_coco
from app.data_formats.errors import DataFileError
from app.schemas.phases import Split
from app.schemas.problems import ConfigError, Problem, shown_path
from app.tasks.detection.config import DetectionDataModuleConfig, DetectionTaskConfig
from app.tasks.detection.scenes import scenes
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.images import between_0_and_1, read_images
from app.tasks.shared.own_folder import OwnFolderDataModule

_SCENES: Final = {"train": (1200, 0), "test": (300, 1)}
"""How many scenes, and the seed that they are drawn from; another test split would be another task."""

_ANNOTATIONS: Final = "annotations.json"


class DetectionDataModule(OwnFolderDataModule[DetectionDataModuleConfig, DetectionTaskConfig]):
    """Images with values between 0 and 1, boxes in pixels of them, and classes; unused rows are zeros, of class -1."""

    def __init__(
        self,
        datamodule_config: DetectionDataModuleConfig | Mapping[str, Any],
        task: DetectionTaskConfig | Mapping[str, Any],
    ) -> None:
        super().__init__(datamodule_config, task)
        self._categories: dict[Path, tuple[str, ...]] = {}
        self._learnt: tuple[str, ...] = ()

    def class_names(self) -> tuple[str, ...]:
        """The shapes of the scenes; of a folder the categories that were read, or learnt from."""
        return next(iter(self._categories.values()), self._learnt or super().class_names())

    def state_dict(self) -> dict[str, Any]:
        """What the classes are called, too, which images alone do not say."""
        return {**super().state_dict(), "class_names": list(self.class_names())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Know the names of the run that made `state_dict`."""
        super().load_state_dict(state_dict)
        self._learnt = tuple(state_dict.get("class_names", ()))

    def samples(self, split: Split) -> InMemoryDataset:
        """Scenes, or what lies in the split's folder.

        Raises:
            DataFileError: when something in the task's folder is missing or damaged, or the categories differ from one
                split to another.
            ConfigError: when the annotations have other categories or more objects than the task.
        """
        folder = self.task.split_folder(split)
        if folder is not None:
            return self._from_folder(folder)
        made = scenes(*_SCENES[split])
        images = between_0_and_1(torch.tensor(made.images))
        boxes, labels = torch.tensor(made.boxes, dtype=torch.float32), torch.tensor(made.labels)
        return InMemoryDataset(images, {"boxes": boxes, "labels": labels})

    def _from_folder(self, folder: Path) -> InMemoryDataset:
        file = folder / _ANNOTATIONS
        annotations = read_coco(file)
        self._categories[file] = annotations.categories
        self._require_one_list_of_categories(folder.parent)
        self._require_what_the_task_says(file, annotations)
        images = read_images([image.file for image in annotations.images], self.task.input_shape)
        boxes, labels = self._no_objects(len(images))
        for own_boxes, own_labels, image in zip(boxes, labels, annotations.images, strict=True):
            own_boxes[: len(image.boxes)] = self._stretched(image)
            own_labels[: len(image.labels)] = torch.tensor(image.labels, dtype=torch.int64)
        ids = [str(image.file) for image in annotations.images]
        return InMemoryDataset(images, {"boxes": boxes, "labels": labels}, ids=ids)

    def _require_one_list_of_categories(self, folder: Path) -> None:
        """A class is a place in the list, so with another list a model would be tested on other classes than learnt.

        Train and test are compared before there is anything to train; no file is read twice for it.
        """
        for split in ("train", "test"):
            file = folder / split / _ANNOTATIONS
            if file not in self._categories and file.exists():
                self._categories[file] = read_categories(file)
        (first, expected), *others = sorted(self._categories.items(), key=lambda item: item[0].parent.name != "train")
        for other, found in others:
            if found != expected:
                as_there = f"{', '.join(expected)}, as in {shown_path(first)}"
                raise DataFileError(other, "categories", found=", ".join(found) or "none", expected=as_there)

    def _require_what_the_task_says(self, file: Path, annotations: CocoAnnotations) -> None:
        categories = annotations.categories
        most = max((len(image.labels) for image in annotations.images), default=0)
        wrong = {}
        if len(categories) != self.task.num_classes:
            wrong["num_classes"] = f"expected {len(categories)}, the categories of {shown_path(file)}"
        if most > self.task.max_objects:
            wrong["max_objects"] = f"expected {most} at least, as an image of {shown_path(file)} has"
        if wrong:
            raise ConfigError(
                Problem(path=f"task.{name}", message=f"{message}, found {getattr(self.task, name)}")
                for name, message in wrong.items()
            )

    def _stretched(self, image: CocoImage) -> Tensor:
        """An image's boxes, as large as it becomes."""
        _, height, width = self.task.input_shape
        factors = torch.tensor([width / image.width, height / image.height] * 2)
        return torch.tensor(image.boxes).reshape(-1, 4) * factors

    def _no_objects(self, count: int) -> tuple[Tensor, Tensor]:
        """Boxes and labels of images without an object."""
        size = self.task.max_objects
        return torch.zeros(count, size, 4), torch.full((count, size), -1)
