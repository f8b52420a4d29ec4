"""The tasks whose data is downloaded, on small files in the published formats: `small_downloads` makes them usable.

Beside the usual import, `small_downloads.overrides("mnist")` are the words that a user would type to train on the
files; they are already in a folder, so that nothing is served. Their test splits pass for the published ones.
"""

import gzip
import io
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, cast

import pytest
import torch
from torch import Generator, Tensor

from app.compose import compose
from app.data_formats.cifar10_binary import cifar10_bytes
from app.data_formats.idx import idx_bytes
from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig
from app.schemas.downloaded_images import DownloadedImagesConfig, IDXImagesConfig
from app.schemas.registry import leaf_fields
from app.schemas.task import TaskConfig
from app.tasks.cifar10.config import CIFAR10DataModuleConfig
from app.tasks.cifar10.datamodule import CIFAR10DataModule
from app.tasks.fashion_mnist.config import FashionMNISTDataModuleConfig
from app.tasks.fashion_mnist.datamodule import FashionMNISTDataModule
from app.tasks.mnist.config import MNISTDataModuleConfig
from app.tasks.shared.downloaded_images import IDXDataModule

_DATAMODULES: Final = {"mnist": IDXDataModule, "fashion_mnist": FashionMNISTDataModule, "cifar10": CIFAR10DataModule}
_CONFIGS: Final[Mapping[str, type[DownloadedImagesConfig]]] = {
    "mnist": MNISTDataModuleConfig,
    "fashion_mnist": FashionMNISTDataModuleConfig,
    "cifar10": CIFAR10DataModuleConfig,
}

TASKS: Final = tuple(_CONFIGS)
TRAIN, TEST = 90, 30
"""How many images the parts have; of CIFAR-10, which has several files, each file has as many as its test split."""


@dataclass(frozen=True)
class SmallDownloads:
    """A folder for each task, with the files that it would download."""

    folder: Path

    def files(self, task: str) -> dict[str, Path]:
        """The files to download by the fields of the config that describe them."""
        names = _downloads(_CONFIGS[task]())
        return {field: self.folder / task / name for field, name in names.items()}

    def overrides(self, task: str) -> list[str]:
        """What a user would type to train on the files."""
        digests = {field: sha256(file.read_bytes()).hexdigest() for field, file in self.files(task).items()}
        fields = {"data_dir": str(self.folder / task), **{f"files.{field}.sha256": d for field, d in digests.items()}}
        if task == "cifar10":
            fields["files.num_images"] = str(TEST)
        return [f"task={task}", *(f"datamodule.{name}={value}" for name, value in fields.items())]

    def config(self, task: str, **changes: Any) -> DataModuleConfig:
        """The datamodule's config with those overrides."""
        return replace(compose(self.overrides(task)).config.datamodule, **changes)


@pytest.fixture(scope="module")
def small_downloads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDownloads]:
    """Small files for every task whose data is downloaded; their test splits pass for the published ones."""
    small = SmallDownloads(tmp_path_factory.mktemp("small_downloads"))
    for task in ("mnist", "fashion_mnist"):
        _write_idx(small.files(task))
    _write_cifar10(small.files("cifar10")["archive"])
    with pytest.MonkeyPatch.context() as patch:
        for task, datamodule in _DATAMODULES.items():
            _let_pass(patch, datamodule, task, small)
        yield small


def _let_pass(patch: pytest.MonkeyPatch, datamodule: type[Any], task: str, small: SmallDownloads) -> None:
    """Give the small test split the task's own fingerprint, and any other split that which it has."""
    made = compose(small.overrides(task)).config
    live = datamodule(made.datamodule, made.task)
    live.prepare_data()
    live.setup("test")
    own, found = datamodule.test_fingerprint, live.test_fingerprint()
    assert found != made.task.test_fingerprint

    def test_fingerprint(self: Any) -> str:
        fingerprint = cast(str, own(self))
        return self.task.test_fingerprint if fingerprint == found else fingerprint

    patch.setattr(datamodule, "test_fingerprint", test_fingerprint)


def _downloads(config: DownloadedImagesConfig) -> dict[str, str]:
    if isinstance(config, IDXImagesConfig):
        return {field: cast(Any, download).file_name for field, download in leaf_fields(config.files).items()}
    assert isinstance(config, CIFAR10DataModuleConfig)
    return {"archive": config.files.archive.file_name}


def _write_idx(files: Mapping[str, Path]) -> None:
    for part, size in (("train", TRAIN), ("test", TEST)):
        images, classes = _samples(size, (28, 28), seed=size)
        for field, values in (("images", images), ("labels", classes)):
            file = files[f"{part}_{field}"]
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.compress(idx_bytes(values), mtime=0))


def _write_cifar10(file: Path) -> None:
    files = CIFAR10DataModuleConfig().files
    file.parent.mkdir()
    with tarfile.open(file, "w:gz") as archive:
        for seed, name in enumerate((*files.train, files.test)):
            content = cifar10_bytes(*_samples(TEST, (3, 32, 32), seed=seed))
            member = tarfile.TarInfo(f"{files.folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _samples(number: int, shape: tuple[int, ...], *, seed: int) -> tuple[Tensor, Tensor]:
    """Noise that is brighter in rows that tell the class, so that there is something to learn."""
    generator = Generator().manual_seed(seed)
    classes = torch.arange(number) % 10
    images = torch.randint(0, 128, (number, *shape), generator=generator)
    for image, label in zip(images, classes.tolist(), strict=True):
        image[..., 2 * label : 2 * label + 3, :] += 127
    return images.to(torch.uint8), classes.to(torch.uint8)


class OnSmallFiles:
    """Inherit before a contract, and the contract's datamodule configs are of small files."""

    task: ClassVar[TaskConfig]
    datamodule_config: ClassVar[DataModuleConfig]
    variations: ClassVar[Sequence[DataModuleConfig]]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _small_files(cls, small_downloads: SmallDownloads) -> None:
        task = cls.task.name
        cls.datamodule_config = small_downloads.config(task, dataloader=DataLoaderConfig(batch_size=32))
        cls.variations = (
            small_downloads.config(task, split_seed=9),
            small_downloads.config(task, train_val_split=(0.5, 0.5), train_fraction=0.5),
            small_downloads.config(task, augmentations={"gaussian_noise": GaussianNoiseConfig()}),
            small_downloads.config(task, dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
        )
