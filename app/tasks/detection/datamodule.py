"""The detection data: generated scenes, or a folder with COCO-format annotations."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor

from app.data_formats.coco import CocoAnnotations, CocoImage, read_categories, read_coco
from app.data_formats.errors import DataFileError
from app.data_formats.image_folder import image_files
from app.schemas.problems import ConfigError, Problem, shown_path
from app.tasks.detection.config import DetectionDataModuleConfig, DetectionTaskConfig
from app.tasks.detection.scenes import scenes
from app.tasks.shared.datasets import Augmentation, InMemoryDataset
from app.tasks.shared.images import ImageDataModule, between_0_and_1, read_images
from app.tasks.shared.splitting import train_alone, train_and_val

_SCENES: Final = {"train": (1200, 0), "test": (300, 1)}
"""How many scenes, and the seed that they are drawn from; another test split would be another task."""

_ANNOTATIONS: Final = "annotations.json"


class DetectionDataModule(ImageDataModule[DetectionDataModuleConfig, DetectionTaskConfig]):
    """Images with values between 0 and 1, boxes in pixels of them, and classes; unused rows are zeros, of class -1."""

    def __init__(
        self,
        datamodule_config: DetectionDataModuleConfig | Mapping[str, Any],
        task: DetectionTaskConfig | Mapping[str, Any],
    ) -> None:
        super().__init__(datamodule_config, task)
        self._categories: dict[Path, tuple[str, ...]] = {}

    def prepare_data(self) -> None:
        """Nothing to fetch: scenes are drawn in less than a second, and a folder is yours."""

    def setup(self, stage: str) -> None:
        """Draw or read the images of the stage.

        Raises:
            DataFileError: when something in the task's folder is missing or damaged, or the categories differ from one
                split to another.
            ConfigError: when the annotations have other categories or more objects than the task.
        """
        if stage in ("fit", "validate"):
            train, val = self._train_and_val()
            self.datasets["train"] = train.dataset(self.augmentation())
            self.datasets["val"] = val.dataset()
        elif stage == "predict" and (folder := self.task.optional_folder("predict")) is not None:
            self.datasets["predict"] = self.read_inputs(image_files(folder))
        else:
            self.datasets["test"] = self.datasets["predict"] = self._samples("test").dataset()

    def _train_and_val(self) -> tuple["_Samples", "_Samples"]:
        samples, config = self._samples("train"), self.datamodule_config
        if self.task.optional_folder("val") is not None:
            return samples.at(train_alone(len(samples.images), config)), self._samples("val")
        train, val = train_and_val(len(samples.images), config)
        return samples.at(train), samples.at(val)

    def _samples(self, split: Literal["train", "val", "test"]) -> "_Samples":
        folder = self.task.split_folder(split)
        if folder is not None:
            return self._from_folder(folder)
        made = scenes(*_SCENES[split])
        images = between_0_and_1(torch.tensor(made.images))
        return _Samples(images, torch.tensor(made.boxes, dtype=torch.float32), torch.tensor(made.labels), None)

    def _from_folder(self, folder: Path) -> "_Samples":
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
        return _Samples(images, boxes, labels, [str(image.file) for image in annotations.images])

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


class _Samples(NamedTuple):
    images: Tensor
    boxes: Tensor
    labels: Tensor
    ids: Sequence[str] | None

    def at(self, places: Tensor) -> "_Samples":
        ids = None if self.ids is None else [self.ids[place] for place in places.tolist()]
        return _Samples(self.images[places], self.boxes[places], self.labels[places], ids)

    def dataset(self, augmentation: Augmentation | None = None) -> InMemoryDataset:
        targets = {"boxes": self.boxes, "labels": self.labels}
        return InMemoryDataset(self.images, targets, augmentation, ids=self.ids)
