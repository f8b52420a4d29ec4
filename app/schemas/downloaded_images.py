"""Downloaded images with a class each: what the tasks on published datasets of that kind have in common."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Final, Literal

from app.schemas.constraints import NonEmptyText
from app.schemas.downloads import DownloadConfig
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.phases import Mode
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig
from app.schemas.user_paths import UserPath

SMALL_CNN: Final[Mapping[str, object]] = {
    "backbone": {"id": "conv", "channels": (16, 32, 64), "num_convolutions": 1},
    "pooling": {"id": "average"},
    "head": {"id": "linear", "num_classes": "${task.num_classes}"},
}
"""The parts of a network that learns such images within minutes on two cores."""


@schema
class PublishedImagesTaskConfig(TaskConfig):
    """Images of ten classes, one each, with the test split that they were published with."""

    abstract: ClassVar = True

    kind: Literal["multiclass"] = "multiclass"
    """Each image is of one class."""

    num_classes: Literal[10] = 10
    """The classes that the labels of the files tell apart."""

    monitor: NonEmptyText = "val/accuracy"
    """The logged value that picks the best checkpoint."""

    mode: Mode = "max"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """The share of images told right, and the F1 score averaged over the classes."""
        return {
            "accuracy": AccuracyConfig(task=self.kind, num_classes=self.num_classes, average="micro"),
            "f1": F1Config(task=self.kind, num_classes=self.num_classes, average="macro"),
        }


@schema
class DownloadedImagesConfig(SplitConfig):
    """The published test split is the task's; a part of the published training split becomes val."""

    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    data_dir: UserPath | None = None
    """The folder of the files, downloaded into it if they are not there; null is one in the user's cache folder.

    A relative one starts from where the command is run.
    """


@schema
class IDXFilesConfig:
    """The four files of a dataset in the format of MNIST, packed by gzip or plain."""

    train_images: DownloadConfig
    """The images to train and validate on."""

    train_labels: DownloadConfig
    """The class of each of them."""

    test_images: DownloadConfig
    """The images to test on."""

    test_labels: DownloadConfig
    """The class of each of them."""


@schema
class IDXImagesConfig(DownloadedImagesConfig):
    """Images and classes from four IDX files."""

    files: IDXFilesConfig
    """The files, each with its name, where it comes from and the digest that it must have."""


def published_as_idx(
    *places: str, train_images: str, train_labels: str, test_images: str, test_labels: str
) -> IDXFilesConfig:
    """The files under the names that all such datasets use, by their digests, at any of the places on the web."""
    return IDXFilesConfig(
        train_images=_published("train-images-idx3-ubyte.gz", train_images, places),
        train_labels=_published("train-labels-idx1-ubyte.gz", train_labels, places),
        test_images=_published("t10k-images-idx3-ubyte.gz", test_images, places),
        test_labels=_published("t10k-labels-idx1-ubyte.gz", test_labels, places),
    )


def _published(name: str, sha256: str, places: Sequence[str]) -> DownloadConfig:
    return DownloadConfig(file_name=name, mirrors=tuple(place + name for place in places), sha256=sha256)
