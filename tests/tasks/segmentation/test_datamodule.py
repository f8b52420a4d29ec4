from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from app.data_formats.errors import DataFileError
from app.schemas.augmentations.images import HorizontalFlipConfig
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.phases import Split
from app.tasks.segmentation.config import SHAPES_FINGERPRINT, SegmentationDataModuleConfig, SegmentationTaskConfig
from app.tasks.segmentation.datamodule import SegmentationDataModule
from app.tasks.shared.datasets import InMemoryDataset
from tests.tasks.contracts import DataModuleContract
from tests.tasks.segmentation.folders import task_of, written_folder


class TestFolder(DataModuleContract):
    datamodule_config = SegmentationDataModuleConfig(dataloader=DataLoaderConfig(batch_size=4))
    variations = (
        SegmentationDataModuleConfig(split_seed=9, dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
        SegmentationDataModuleConfig(train_val_split=(0.5, 0.5), train_fraction=0.5),
        SegmentationDataModuleConfig(augmentations={}),
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        """Pinned, as a user's folder can be."""
        task = task_of(written_folder(tmp_path_factory.mktemp("folder"), train=20, test=7))
        cls.task = replace(task, test_fingerprint=_ready(task, "test").test_fingerprint())


def test_the_test_split_of_shapes_is_pinned() -> None:
    datamodule = _ready(SegmentationTaskConfig(), "test")

    datamodule.test_dataloader()

    assert datamodule.verified_fingerprint == SHAPES_FINGERPRINT
    assert len(_dataset(datamodule, "test")) == 250


def test_shapes_are_split_into_train_and_val_by_seed_and_shares() -> None:
    config = SegmentationDataModuleConfig(train_val_split=(0.4, 0.6), train_fraction=0.1)
    one, other = (_ready(SegmentationTaskConfig(), "fit", config=replace(config, split_seed=seed)) for seed in (0, 1))

    assert [len(_dataset(one, split)) for split in ("train", "val")] == [40, 600]
    assert not torch.equal(_dataset(one, "val").inputs, _dataset(other, "val").inputs)
    images = _dataset(one, "val").inputs
    assert images.shape == (600, 3, 64, 64)
    assert (images.min().item(), images.max().item()) == (0, 1)


def test_masks_move_with_their_images(tmp_path: Path) -> None:
    config = SegmentationDataModuleConfig(
        augmentations={"flip": HorizontalFlipConfig(probability=1.0)}, dataloader=DataLoaderConfig(batch_size=32)
    )
    datamodule = _ready(task_of(written_folder(tmp_path, train=20, test=1)), "fit", config=config)
    kept = _dataset(datamodule, "train")

    images, masks = next(iter(datamodule.train_dataloader()))

    flipped = {
        image.flip(-1).numpy().tobytes(): mask.flip(-1)
        for image, mask in zip(kept.inputs, cast(Tensor, kept.targets), strict=True)
    }
    assert len(images) == len(flipped) == 18
    for image, mask in zip(images, masks, strict=True):
        assert torch.equal(flipped[image.numpy().tobytes()], mask)


def test_a_folder_may_have_val_and_predict_splits_of_its_own(tmp_path: Path) -> None:
    folder = written_folder(tmp_path, train=6, val=3, test=4, predict=2)
    datamodule = _ready(task_of(folder), "fit", "test", "predict")

    sizes = {split: len(cast(Any, dataset)) for split, dataset in datamodule.datasets.items()}
    assert sizes == {"train": 6, "val": 3, "test": 4, "predict": 2}
    assert _dataset(datamodule, "predict").ids == [
        str(folder / f"predict/images/predict_{place:02}.png") for place in range(2)
    ]
    assert _dataset(datamodule, "test").ids == [str(folder / f"test/images/test_{place:02}.png") for place in range(4)]


def test_without_a_predict_split_the_test_split_is_predicted(tmp_path: Path) -> None:
    folder = written_folder(tmp_path, train=1, test=2)
    datamodule = _ready(task_of(folder), "predict")

    assert _dataset(datamodule, "predict").ids == [str(folder / f"test/images/test_0{place}.png") for place in (0, 1)]


def test_less_training_data_is_a_random_part_of_it_also_beside_a_val_of_its_own(tmp_path: Path) -> None:
    folder = written_folder(tmp_path, train=20, val=1)
    config = SegmentationDataModuleConfig(train_fraction=0.25)
    parts = [
        _dataset(_ready(task_of(folder), "fit", config=replace(config, split_seed=seed)), "train").ids or ()
        for seed in (0, 0, 1)
    ]

    first = {str(folder / f"train/images/train_{place:02}.png") for place in range(5)}
    assert [len(part) for part in parts] == [5, 5, 5]
    assert parts[0] == parts[1]
    assert set(parts[0]) != first != set(parts[2]) != set(parts[0])


def test_a_folder_in_the_users_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_folder(tmp_path / "cells", test=2)
    monkeypatch.setenv("HOME", str(tmp_path))

    datamodule = _ready(task_of(Path("~/cells")), "test")

    assert (_dataset(datamodule, "test").ids or ())[0] == str(tmp_path / "cells/test/images/test_00.png")


@pytest.mark.parametrize(("stage", "split"), [("fit", "train"), ("test", "test")])
def test_a_folder_without_a_split_is_refused(stage: str, split: str, tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=rf"{split}/images: expected a folder of images, found nothing"):
        _ready(task_of(tmp_path), stage)


def test_files_that_the_user_names_become_samples(tmp_path: Path) -> None:
    files = [tmp_path / "b.jpg", tmp_path / "a.png"]
    for file, size in zip(files, ((100, 50), (64, 64)), strict=True):
        Image.new("RGB", size, "white").save(file)
    datamodule = SegmentationDataModule(SegmentationDataModuleConfig(), SegmentationTaskConfig())

    dataset = datamodule.read_inputs(files)

    assert dataset.ids == [str(file) for file in files]
    images, masks = dataset.__getitems__([0, 1])
    assert images.shape == (2, 3, 64, 64)
    assert images.min() > 0.98
    assert torch.equal(masks, torch.zeros(2, 64, 64, dtype=torch.int64))


def _ready(
    task: SegmentationTaskConfig, *stages: str, config: SegmentationDataModuleConfig | None = None
) -> SegmentationDataModule:
    datamodule = SegmentationDataModule(config or SegmentationDataModuleConfig(), task)
    datamodule.prepare_data()
    for stage in stages:
        datamodule.setup(stage)
    return datamodule


def _dataset(datamodule: SegmentationDataModule, split: Split) -> InMemoryDataset:
    return cast(InMemoryDataset, datamodule.datasets[split])


def test_a_single_training_image_needs_a_val_beside_it(tmp_path: Path) -> None:
    folder = written_folder(tmp_path / "alone", train=1, test=1)

    with pytest.raises(DataFileError) as caught:
        SegmentationDataModule(SegmentationDataModuleConfig(), task_of(folder)).setup("fit")

    expected = f"2 images at least, of which val gets one, or a val of its own in {folder / 'val'}"
    assert str(caught.value) == f"{folder / 'train'}: expected {expected}, found 1 image"
    beside = written_folder(tmp_path / "beside", train=1, test=1, val=1)
    SegmentationDataModule(SegmentationDataModuleConfig(), task_of(beside)).setup("fit")
