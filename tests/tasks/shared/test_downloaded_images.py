"""The tasks whose data is downloaded, from the first request to the tested checkpoint, on small files."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from app.compose import compose
from app.data_formats.errors import DataFileError
from app.downloads.errors import DownloadError
from app.schemas.problems import ConfigError
from app.tasks.fashion_mnist.datamodule import FashionMNISTDataModule
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.fingerprint import FingerprintError
from app.train import train
from tests.downloads.server import FileServer, file_server
from tests.tasks.contracts import DataModule, new_datamodule, runs_a_trainer
from tests.tasks.small_downloads import TASKS, TEST, TRAIN, SmallDownloads, small_downloads

__all__ = ["small_downloads"]

QUICK = [
    "callbacks=[checkpoint]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "datamodule.dataloader.batch_size=16",
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with file_server() as running:
        yield running


def live(*overrides: str) -> DataModule:
    config = compose(overrides).config
    return new_datamodule(config.datamodule, config.task)


def inputs(datamodule: DataModule, split: str) -> Tensor:
    return cast(InMemoryDataset, cast(dict[str, Any], datamodule.datasets)[split]).inputs


@runs_a_trainer
@pytest.mark.parametrize("task", TASKS)
def test_a_run_downloads_trains_and_tests(
    task: str, small_downloads: SmallDownloads, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [*small_downloads.overrides(task), "datamodule.data_dir=data", *QUICK]
    names = []
    for field, file in small_downloads.files(task).items():
        gone, there = f"{server.url}/gone", server.serve(file.name, file.read_bytes())
        overrides.append(f"datamodule.files.{field}.mirrors=['{gone}','{there}']")
        names += ["gone", file.name]

    train(compose(overrides), str(tmp_path / "run"))
    live(*overrides).prepare_data()

    assert [name for name, _ in server.requests] == names
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["test"]["test/accuracy"] >= 0.1
    pinned = compose([f"task={task}"]).config.task.test_fingerprint
    assert result["test_fingerprint"] == pinned


@pytest.mark.parametrize("task", TASKS)
def test_the_splits_are_as_large_as_the_config_says(task: str, small_downloads: SmallDownloads) -> None:
    published = TRAIN if task != "cifar10" else 5 * TEST
    words = ["datamodule.train_val_split=[0.8,0.2]", "datamodule.train_fraction=0.5"]
    datamodule = live(*small_downloads.overrides(task), *words)
    datamodule.prepare_data()
    for stage in ("fit", "test"):
        datamodule.setup(stage)

    assert {split: len(inputs(datamodule, split)) for split in ("train", "val", "test")} == {
        "train": published * 4 // 10,
        "val": published // 5,
        "test": TEST,
    }
    images = inputs(datamodule, "test")
    assert images.dtype == torch.float32
    assert 0 <= images.min().item() < 0.05 < 0.95 < images.max().item() <= 1


def test_every_image_is_in_exactly_one_split(small_downloads: SmallDownloads) -> None:
    datamodule = live(*small_downloads.overrides("cifar10"))
    datamodule.prepare_data()
    datamodule.setup("fit")
    datamodule.setup("test")

    rows = [row.numpy().tobytes() for split in ("train", "val", "test") for row in inputs(datamodule, split)]
    assert len(rows) == len(set(rows)) == 6 * TEST


def test_files_of_ones_own_names_are_read_packed_or_not(small_downloads: SmallDownloads, tmp_path: Path) -> None:
    words = ["task=mnist", f"datamodule.data_dir={tmp_path}"]
    for field, file in small_downloads.files("mnist").items():
        (tmp_path / f"my {field}").write_bytes(gzip.decompress(file.read_bytes()))
        words += [f"datamodule.files.{field}.file_name='my {field}'", f"datamodule.files.{field}.sha256=null"]
    datamodule = live(*words)

    datamodule.prepare_data()
    datamodule.setup("test")
    datamodule.verify_test_split()

    assert datamodule.verified_fingerprint == datamodule.task.test_fingerprint


def test_of_fashion_mnist_only_the_published_packing_can_be_tested_on(
    small_downloads: SmallDownloads, tmp_path: Path
) -> None:
    words = ["task=fashion_mnist", f"datamodule.data_dir={tmp_path}"]
    for field, file in small_downloads.files("fashion_mnist").items():
        (tmp_path / file.name).write_bytes(gzip.decompress(file.read_bytes()))
        words.append(f"datamodule.files.{field}.sha256=null")
    datamodule = live(*words)
    assert isinstance(datamodule, FashionMNISTDataModule)
    datamodule.setup("fit")
    datamodule.setup("test")

    with pytest.raises(FingerprintError):
        datamodule.verify_test_split()


def test_a_folder_that_lacks_a_file_is_named(tmp_path: Path) -> None:
    words = [
        f"datamodule.files.{part}_{what}.mirrors=[]" for part in ("train", "test") for what in ("images", "labels")
    ]

    with pytest.raises(DownloadError) as caught:
        live("task=mnist", f"datamodule.data_dir={tmp_path}", *words).prepare_data()
    assert f"put the file into {tmp_path} by hand (SHA-256 440fcabf" in str(caught.value)
    with pytest.raises(DataFileError, match=r"train-images-idx3-ubyte\.gz: .*nothing to read: No such file"):
        live("task=mnist", f"datamodule.data_dir={tmp_path}").setup("fit")


def test_without_a_folder_the_users_cache_has_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    folders = [cast(Any, live(f"task={task}")).folder for task in TASKS]

    assert folders == [tmp_path / "typed-lightning-app" / task for task in TASKS]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("files.train_images.file_name=../x", "expected a file's name without folders, found '../x'"),
        ("files.train_images.mirrors=['ftp://x/y']", "expected an address that begins with 'https://' or 'http://'"),
        ("files.train_images.sha256=440F", "expected a SHA-256 of 64 small hexadecimal digits, found '440F'"),
        ("files.train_image.sha256=null", "did you mean 'train_images'?"),
        ("train_val_split=[1.0,0.0]", "train_val_split"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_starts(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        compose(["task=mnist", f"datamodule.{override}"])

    assert message in str(caught.value)


@pytest.mark.parametrize("task", TASKS)
def test_pictures_become_inputs_of_the_tasks_size(task: str, tmp_path: Path) -> None:
    files = [tmp_path / "red.png", tmp_path / "small.jpg"]
    Image.new("RGB", (64, 40), (255, 0, 0)).save(files[0])
    Image.new("L", (5, 5), 255).save(files[1])
    datamodule = live(f"task={task}")

    read = cast(InMemoryDataset, datamodule.read_inputs(files))

    assert tuple(read.inputs.shape) == (2, *datamodule.task.input_shape)
    assert read.ids == [str(file) for file in files]
    assert read.inputs[1].min().item() > 0.98
    assert (read.inputs[0, 0].min().item() > 0.98) == (task == "cifar10")
