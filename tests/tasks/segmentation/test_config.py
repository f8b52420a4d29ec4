from typing import Any, Final

import pytest

from app.compose import compose
from app.schemas.batch import TensorSpec
from app.schemas.parts.backbones import ConvConfig, SmallResNetConfig
from app.schemas.parts.necks import FPNConfig, UNetConfig
from app.schemas.problems import ConfigError
from app.tasks.segmentation.config import SHAPES_FINGERPRINT, SegmentationDataModuleConfig, SegmentationTaskConfig

OWN: Final[dict[str, Any]] = {"folder": "cells", "num_classes": 2, "input_shape": (1, 32, 48), "test_fingerprint": None}


@pytest.mark.parametrize(
    ("name", "value"), [("num_classes", 5), ("input_shape", (1, 64, 64)), ("test_fingerprint", None)]
)
def test_facts_of_the_shapes_cannot_be_changed(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        SegmentationTaskConfig(**{name: value})

    [problem] = caught.value.problems
    assert problem.path == f"SegmentationTaskConfig.{name}"
    assert problem.message.startswith("the shapes have ")
    assert problem.message.endswith("for data of your own, type task.folder=FOLDER")


def test_a_folder_has_facts_of_its_own() -> None:
    task = SegmentationTaskConfig(**OWN)

    assert (task.num_classes, task.input_shape, task.test_fingerprint) == (2, (1, 32, 48), None)
    assert SegmentationTaskConfig(**{**OWN, "test_fingerprint": "0" * 64}).test_fingerprint == "0" * 64


def test_a_folders_test_split_is_not_that_of_the_shapes() -> None:
    wrong = ["task=segmentation", "task.folder=cells"]

    with pytest.raises(ConfigError) as caught:
        compose(wrong)

    [problem] = caught.value.problems
    assert problem.path == "task.test_fingerprint"
    assert (
        problem.message
        == "is that of the shapes, not of a folder; type task.test_fingerprint=null, or what a test of it found"
    )


@pytest.mark.parametrize(("name", "value"), [("num_classes", 1), ("input_shape", (4, 32, 32)), ("folder", "")])
def test_a_folder_needs_two_classes_and_one_or_three_channels(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        SegmentationTaskConfig(**{**OWN, name: value})

    assert {problem.path.split(".")[1].partition("[")[0] for problem in caught.value.problems} == {name}


def test_a_batch_has_a_class_for_each_pixel() -> None:
    batch = SegmentationDataModuleConfig().batch(SegmentationTaskConfig(**OWN))

    assert batch.input == TensorSpec(shape=(1, 32, 48))
    assert batch.targets == {"target": TensorSpec(shape=(32, 48), dtype="int64", low=0, high=1)}


def test_the_options_are_networks_of_parts() -> None:
    default, pyramid, chosen = (
        compose(["task=segmentation", *overrides]).config.module
        for overrides in ([], ["module=segmentation/fpn"], ["backbone=small_resnet"])
    )

    parts = [
        (type(module.model_config.backbone), type(module.model_config.neck))  # type: ignore[attr-defined]  # parts have it
        for module in (default, pyramid, chosen)
    ]
    assert parts == [(ConvConfig, UNetConfig), (SmallResNetConfig, FPNConfig), (SmallResNetConfig, UNetConfig)]


def test_heads_have_a_score_for_each_class_of_the_folder() -> None:
    config = compose(
        ["task=segmentation", "task.folder=cells", "task.num_classes=2", "task.test_fingerprint=null"]
    ).config

    assert config.module.model_config.head.num_classes == 2  # type: ignore[attr-defined]  # a module of parts has it
    assert config.task.fixed_metrics()["iou"].num_classes == 2  # type: ignore[attr-defined]  # its own metric has it
    assert config.task.test_fingerprint is None != SHAPES_FINGERPRINT


def test_shares_must_add_up() -> None:
    with pytest.raises(ConfigError, match=r"train_val_split: the shares must add up to 1, found 1\.1"):
        SegmentationDataModuleConfig(train_val_split=(0.9, 0.2))
