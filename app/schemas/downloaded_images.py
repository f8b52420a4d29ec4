"""Downloaded images with a class each: what the tasks on published datasets of that kind have in common."""

from collections.abc import Sequence
from typing import ClassVar

from app.schemas.constraints import NonEmptyText
from app.schemas.downloads import DownloadConfig
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig


@schema
class DownloadedImagesConfig(SplitConfig):
    """The published test split is the task's; a part of the published training split becomes val."""

    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    data_dir: NonEmptyText | None = None
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
