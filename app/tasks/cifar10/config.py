"""What can be configured about the CIFAR-10 task. Nothing here imports torch."""

from dataclasses import field
from typing import Annotated, Literal

from annotated_types import MinLen

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.images import HorizontalFlipConfig, RandomCropConfig
from app.schemas.constraints import FileName, PositiveInt
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.downloaded_images import SMALL_CNN, DownloadedImagesConfig, PublishedImagesTaskConfig
from app.schemas.downloads import DownloadConfig
from app.schemas.modules import PartsModuleConfig
from app.schemas.registry import register
from app.schemas.schema import schema

register(
    "module",
    "cifar10/default",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config=SMALL_CNN,
)(PartsModuleConfig)
register(
    "module",
    "cifar10/resnet",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config={
        "backbone": {"id": "small_resnet", "depth": 20},
        "pooling": {"id": "average"},
        "head": {"id": "linear", "num_classes": "${task.num_classes}"},
    },
)(PartsModuleConfig)


@register("task", "cifar10", target="app.tasks.cifar10.config.CIFAR10TaskConfig")
@schema
class CIFAR10TaskConfig(PublishedImagesTaskConfig):
    """Small colour photos (Krizhevsky, 2009): 50,000 to train on, 10,000 to test."""

    name: Literal["cifar10"] = "cifar10"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `cifar10/...`."""

    input_shape: tuple[Literal[3], Literal[32], Literal[32]] = (3, 32, 32)
    """Channels (red, green, blue), height and width of an image; its values lie between 0 and 1."""

    test_fingerprint: Literal["8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"] = (
        "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"
    )
    """SHA-256 of the test split, the file `test_batch.bin`; testing on anything else is refused."""

    def class_names(self) -> tuple[str, ...]:
        """The things that images show, from 0 on."""
        return ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@schema
class CIFAR10FilesConfig:
    """The archive, and what is in it."""

    archive: DownloadConfig = field(
        default_factory=lambda: DownloadConfig(
            file_name="cifar-10-binary.tar.gz",
            mirrors=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        )
    )
    """The binary version, 170 MB; not needed where its folder is."""

    folder: FileName = "cifar-10-batches-bin"
    """The folder that the archive consists of, unpacked beside it."""

    train: Annotated[tuple[FileName, ...], MinLen(1)] = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
    """The files in it to train and validate on."""

    test: FileName = "test_batch.bin"
    """The file in it to test on."""

    num_images: PositiveInt = 10000
    """How many images each file holds."""


@register("datamodule", "cifar10/default", target="app.tasks.cifar10.datamodule.CIFAR10DataModule")
@schema
class CIFAR10DataModuleConfig(DownloadedImagesConfig):
    """The published archive; the original test split, and a random tenth of the others as val."""

    files: CIFAR10FilesConfig = field(default_factory=CIFAR10FilesConfig)
    """The archive, where it comes from and the digest that it must have, and the names of the files in it."""

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=128))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {"random_crop": RandomCropConfig(), "horizontal_flip": HorizontalFlipConfig()}
    )
    """Moved by up to four pixels, and mirrored half of the time (He et al., 2016, section 4.2)."""
