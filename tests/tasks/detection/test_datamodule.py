from collections.abc import Mapping
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
from app.schemas.problems import ConfigError
from app.tasks.detection.config import DetectionDataModuleConfig, DetectionTaskConfig
from app.tasks.detection.datamodule import DetectionDataModule
from app.tasks.shared.datasets import InMemoryDataset
from tests.tasks.contracts import DataModuleContract
from tests.tasks.detection.coco_folder import document, write_folder


class TestDetectionDataModule(DataModuleContract):
    datamodule_config = DetectionDataModuleConfig()
    task = DetectionTaskConfig()
    variations = (
        DetectionDataModuleConfig(split_seed=9),
        DetectionDataModuleConfig(train_val_split=(0.5, 0.5)),
        DetectionDataModuleConfig(
            train_fraction=0.1, augmentations={}, dataloader=DataLoaderConfig(batch_size=3, drop_last=True)
        ),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in ("train", "test"):
        write_folder(tmp_path / part, document())
    return tmp_path


def own(folder: Path, **fields: Any) -> DetectionDataModule:
    facts: dict[str, Any] = {"num_classes": 2, "input_shape": (3, 40, 80), "max_objects": 3, **fields}
    task = DetectionTaskConfig(folder=str(folder), test_fingerprint=None, **facts)
    return DetectionDataModule(DetectionDataModuleConfig(train_val_split=(0.5, 0.5), augmentations={}), task)


def test_images_of_a_folder_are_stretched_with_their_boxes(folder: Path) -> None:
    datamodule = own(folder)
    datamodule.setup("test")
    samples = cast(InMemoryDataset, datamodule.datasets["test"])
    boxes, labels = (cast(Mapping[str, Tensor], samples.targets)[name] for name in ("boxes", "labels"))

    assert samples.ids == [str(folder / "test" / name) for name in ("one.png", "more/two.jpg")]
    assert samples.inputs.shape == (2, 3, 40, 80)
    # One image becomes twice as large, of the other nothing is known but that it is there.
    assert boxes.tolist() == [[[0, 10, 21, 40], [40, 0, 80, 40], [0] * 4], [[0] * 4] * 3]
    assert labels.tolist() == [[0, 1, -1], [-1, -1, -1]]
    datamodule.verify_test_split()
    assert datamodule.verified_fingerprint is not None


def test_train_and_val_come_from_the_training_folder_where_there_is_no_other(folder: Path) -> None:
    assert sorted(names(own(folder), "train") + names(own(folder), "val")) == of_split(folder, "train")

    write_folder(folder / "val", document())
    assert sorted(names(own(folder), "train")) == of_split(folder, "train")
    assert sorted(names(own(folder), "val")) == of_split(folder, "val")


def of_split(folder: Path, split: str) -> list[str]:
    return [str(folder / split / name) for name in ("more/two.jpg", "one.png")]


def test_less_training_data_is_a_random_part_of_it_also_beside_a_val_of_its_own(folder: Path) -> None:
    write_folder(folder / "val", document())
    task = own(folder).task

    parts = {
        tuple(names(DetectionDataModule(DetectionDataModuleConfig(train_fraction=0.5, split_seed=seed), task), "train"))
        for seed in range(10)
    }

    assert parts == {(name,) for name in of_split(folder, "train")}


def test_a_folder_may_have_a_predict_split_of_images_alone(folder: Path) -> None:
    (folder / "predict").mkdir()
    Image.new("RGB", (16, 16)).save(folder / "predict" / "new.png")
    datamodule = own(folder)
    datamodule.setup("predict")

    samples = cast(InMemoryDataset, datamodule.datasets["predict"])
    assert samples.ids == [str(folder / "predict" / "new.png")]
    assert (samples[0].targets["labels"] == -1).all()


def test_without_a_predict_split_the_test_split_is_predicted(folder: Path) -> None:
    datamodule = own(folder)
    datamodule.setup("predict")

    assert sorted(cast(InMemoryDataset, datamodule.datasets["predict"]).ids or ()) == of_split(folder, "test")


def test_classes_are_called_what_the_annotations_call_them_from_a_checkpoint_too(folder: Path) -> None:
    trained = own(folder)
    assert trained.class_names() == ()
    trained.setup("fit")
    assert trained.class_names() == ("car", "bottle")

    predicting = own(folder)
    predicting.load_state_dict(trained.state_dict())

    assert predicting.class_names() == ("car", "bottle")


def test_annotations_of_other_stages_are_not_looked_at(folder: Path) -> None:
    (folder / "val").mkdir()
    (folder / "val" / "annotations.json").write_text("{")
    own(folder).setup("test")

    with pytest.raises(DataFileError, match=r"val/annotations\.json"):
        own(folder).setup("fit")


def names(datamodule: DetectionDataModule, split: Split) -> list[str]:
    datamodule.setup("fit")
    return list(cast(InMemoryDataset, datamodule.datasets[split]).ids or ())


def test_a_fingerprint_can_be_pinned_for_a_folder(folder: Path) -> None:
    datamodule = own(folder)
    datamodule.setup("test")
    datamodule.verify_test_split()
    task = DetectionTaskConfig(
        folder=str(folder),
        num_classes=2,
        input_shape=(3, 40, 80),
        max_objects=3,
        test_fingerprint=datamodule.verified_fingerprint,
    )

    again = DetectionDataModule(DetectionDataModuleConfig(), task)
    again.setup("test")
    again.verify_test_split()
    assert again.verified_fingerprint == datamodule.verified_fingerprint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_classes": 3}, "task.num_classes: expected 2, the categories of {file}, found 3"),
        ({"max_objects": 1}, "task.max_objects: expected 2 at least, as an image of {file} has, found 1"),
    ],
)
def test_facts_that_a_folder_contradicts_are_refused(folder: Path, fields: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        own(folder, **fields).setup("test")

    assert str(caught.value) == message.format(file=folder / "test" / "annotations.json")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_part_without_a_box_is_refused_before_training(part: str, folder: Path) -> None:
    file = write_folder(folder / part, {**document(), "annotations": []})

    with pytest.raises(DataFileError) as caught:
        own(folder).setup("fit")

    assert str(caught.value) == f"{file}: annotations: expected a box at least, found none"


def test_other_categories_than_in_training_are_refused(folder: Path) -> None:
    content = document()
    content["categories"][0]["name"] = "glass"
    file = write_folder(folder / "test", content)

    with pytest.raises(DataFileError) as caught:
        own(folder).setup("fit")

    assert (
        str(caught.value)
        == f"{file}: categories: expected car, bottle, as in {folder}/train/annotations.json, found car, glass"
    )


def test_a_damaged_image_is_refused_with_its_name(folder: Path) -> None:
    image = folder / "train" / "one.png"
    image.write_bytes(image.read_bytes()[:60])

    with pytest.raises(DataFileError, match=r"one\.png"):
        own(folder).setup("fit")


def test_a_missing_folder_is_refused_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match=r"train/annotations\.json: .* found no such file"):
        own(tmp_path).setup("fit")


def test_an_augmentation_moves_the_boxes() -> None:
    config = DetectionDataModuleConfig(augmentations={"horizontal_flip": HorizontalFlipConfig(probability=1.0)})
    flipped, still = (
        DetectionDataModule(one, DetectionTaskConfig()) for one in (config, DetectionDataModuleConfig(augmentations={}))
    )
    for datamodule in (flipped, still):
        datamodule.setup("fit")
    rows = [0, 1, 2]
    one, other = (cast(InMemoryDataset, each.datasets["train"]).__getitems__(rows) for each in (flipped, still))

    left, top, right, bottom = other.targets["boxes"].unbind(dim=-1)
    there = other.targets["labels"] >= 0
    mirrored = torch.stack([64 - right, top, 64 - left, bottom], dim=-1)
    assert torch.equal(one.inputs, other.inputs.flip(-1))
    assert torch.equal(one.targets["boxes"][there], mirrored[there])
    assert not one.targets["boxes"][~there].any()
    assert torch.equal(one.targets["labels"], other.targets["labels"])


def test_image_files_are_read_for_prediction(tmp_path: Path) -> None:
    files = [tmp_path / "grey.png", tmp_path / "large.png"]
    Image.new("L", (64, 64), 51).save(files[0])
    Image.new("RGB", (128, 96), (255, 0, 0)).save(files[1])

    samples = DetectionDataModule(DetectionDataModuleConfig(), DetectionTaskConfig()).read_inputs(files)

    assert samples.ids == [str(file) for file in files]
    assert samples.inputs.shape == (2, 3, 64, 64)
    assert torch.allclose(samples.inputs[0], torch.tensor(0.2))
    assert (samples[1].targets["labels"] == -1).all()
