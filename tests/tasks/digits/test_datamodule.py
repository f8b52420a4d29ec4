from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from PIL import Image
from torch import Tensor

from app.data_formats.errors import DataFileError
from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.augmentations.libraries import AlbumentationsConfig, KorniaConfig
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.phases import Split
from app.tasks.digits.config import DigitsDataModuleConfig, DigitsTaskConfig
from app.tasks.digits.datamodule import DigitsDataModule
from app.tasks.shared.datasets import InMemoryDataset, ShuffledSampler
from tests.tasks.contracts import DataModuleContract


class TestDigitsDataModule(DataModuleContract):
    datamodule_config = DigitsDataModuleConfig()
    task = DigitsTaskConfig()
    variations = (
        DigitsDataModuleConfig(split_seed=9),
        DigitsDataModuleConfig(train_val_split=(0.5, 0.5)),
        DigitsDataModuleConfig(train_fraction=0.1),
        DigitsDataModuleConfig(augmentations={"noise": GaussianNoiseConfig(deviation=0.5)}),
        DigitsDataModuleConfig(dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
    )


def test_every_image_is_in_exactly_one_split() -> None:
    datamodule = _datamodule(DigitsDataModuleConfig())
    splits: tuple[Split, ...] = ("train", "val", "test")
    images = [row.numpy().tobytes() for split in splits for row in _images(datamodule, split)]

    assert len(images) == len(set(images)) == 1797


def test_images_lie_between_0_and_1() -> None:
    images = _images(_datamodule(DigitsDataModuleConfig()), "test")

    assert images.shape == (355, 1, 8, 8)
    assert (images.min().item(), images.max().item()) == (0, 1)


def test_the_split_follows_its_seed_and_shares() -> None:
    even = DigitsDataModuleConfig(train_val_split=(0.5, 0.5))
    one, same, other = (
        _datamodule(config) for config in (even, even, DigitsDataModuleConfig(train_val_split=(0.5, 0.5), split_seed=1))
    )

    assert len(_images(one, "train")) == len(_images(one, "val")) == 721
    assert torch.equal(_images(one, "val"), _images(same, "val"))
    assert not torch.equal(_images(one, "val"), _images(other, "val"))


def test_less_training_data_leaves_val_as_it_is() -> None:
    whole, part = _datamodule(DigitsDataModuleConfig()), _datamodule(DigitsDataModuleConfig(train_fraction=0.1))

    assert (len(_images(whole, "train")), len(_images(part, "train"))) == (1298, 130)
    assert torch.equal(_images(whole, "val"), _images(part, "val"))


def test_only_train_is_augmented_and_anew_in_each_epoch() -> None:
    # With one sample in a batch, a batch's place in the epoch cannot tell one epoch's draw from another's.
    config = DigitsDataModuleConfig(dataloader=DataLoaderConfig(batch_size=1))
    datamodule = _datamodule(config)
    first, second = (_epoch(datamodule, epoch) for epoch in (0, 1))

    changed = [not torch.equal(first[key], second[key]) for key in first]
    assert sum(changed) > 0.99 * len(changed)
    [(images, _), *_] = list(datamodule.val_dataloader())
    assert torch.equal(images, _images(datamodule, "val")[:1])


def test_no_augmentations_are_none() -> None:
    datamodule = _datamodule(DigitsDataModuleConfig(augmentations={}))

    assert cast(Any, datamodule.datasets["train"]).augmentation is None


@pytest.mark.parametrize("package", [None, "kornia", "albumentations"])
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_batches_do_not_depend_on_the_number_of_workers(package: str | None) -> None:
    config = DigitsDataModuleConfig()
    if package is not None:
        pytest.importorskip(package)
        further: AugmentationConfig = KorniaConfig(transform="RandomElasticTransform")
        if package == "albumentations":
            further = AlbumentationsConfig(transform="GridDistortion")
        config = DigitsDataModuleConfig(train_fraction=0.2, augmentations={**config.augmentations, "further": further})
    alone, helped = (
        _epoch(_datamodule(replace(config, dataloader=dataloader)), epoch=1)
        for dataloader in (DataLoaderConfig(), DataLoaderConfig(num_workers=2, multiprocessing_context="fork"))
    )

    assert alone.keys() == helped.keys()
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def test_pictures_of_digits_are_read(tmp_path: Path) -> None:
    files = [tmp_path / "seven.png", tmp_path / "white.jpg"]
    Image.new("L", (8, 8), 51).save(files[0])
    Image.new("RGB", (40, 40), "white").save(files[1])

    dataset = DigitsDataModule(DigitsDataModuleConfig(), DigitsTaskConfig()).read_inputs(files)

    images, digits = dataset.__getitems__([0, 1])
    assert dataset.ids == [str(file) for file in files]
    assert images.shape == (2, 1, 8, 8)
    assert torch.allclose(images[0], torch.tensor(0.2))
    assert digits.tolist() == [0, 0]
    assert ".png" in DigitsDataModuleConfig.input_endings


def test_a_damaged_picture_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "seven.png"
    file.write_bytes(b"no picture")

    with pytest.raises(DataFileError, match=r"seven\.png: expected an image"):
        DigitsDataModule(DigitsDataModuleConfig(), DigitsTaskConfig()).read_inputs([file])


def test_samples_to_predict_are_named_by_their_place_in_the_data() -> None:
    ids = cast(InMemoryDataset, _datamodule(DigitsDataModuleConfig()).datasets["predict"]).ids or ()

    assert len(ids) == 355
    assert all(name.startswith("digits/") for name in ids)


def _datamodule(config: DigitsDataModuleConfig) -> DigitsDataModule:
    torch.manual_seed(0)
    datamodule = DigitsDataModule(config, DigitsTaskConfig())
    for stage in ("fit", "test", "predict"):
        datamodule.setup(stage)
    return datamodule


def _images(datamodule: DigitsDataModule, split: Split) -> Tensor:
    return cast(InMemoryDataset, datamodule.datasets[split]).inputs


def _epoch(datamodule: DigitsDataModule, epoch: int) -> dict[int, Tensor]:
    """The epoch's images by the sample they were made from."""
    loader = datamodule.train_dataloader()
    sampler = cast(ShuffledSampler, loader.sampler)
    sampler.set_epoch(epoch)
    order = [int(index) for index in sampler]
    images = torch.cat([images for images, _ in loader])
    return dict(zip(order, images, strict=True))
