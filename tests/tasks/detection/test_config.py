from typing import Any

import pytest

from app.command_rules import problems_for
from app.compose import load_config
from app.schemas.batch import TensorSpec
from app.schemas.codes import Code
from app.schemas.problems import ConfigError
from app.tasks.detection.config import (
    SCENES_FINGERPRINT,
    DetectionDataModuleConfig,
    DetectionTaskConfig,
)


def problem_of(**fields: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        DetectionTaskConfig(**fields)
    [problem] = caught.value.problems
    return str(problem)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("num_classes", 4, "the generated scenes have 3, found 4; for data of your own, type task.folder=FOLDER"),
        (
            "input_shape",
            (1, 64, 64),
            (
                "the generated scenes have the list [3, 64, 64], found the list [1, 64, 64]; "
                "for data of your own, type task.folder=FOLDER"
            ),
        ),
        ("max_objects", 7, "the generated scenes have 6, found 7; for data of your own, type task.folder=FOLDER"),
    ],
)
def test_facts_of_the_scenes_cannot_be_changed(name: str, value: Any, shown: str) -> None:
    assert problem_of(**{name: value}) == f"DetectionTaskConfig.{name}: {shown}"


def test_the_test_split_of_the_scenes_is_pinned() -> None:
    assert "test_fingerprint: the generated scenes have 'a286" in problem_of(test_fingerprint=None)


def test_a_folder_has_facts_of_its_own() -> None:
    task = DetectionTaskConfig(
        folder="mine", num_classes=80, input_shape=(1, 96, 128), max_objects=50, test_fingerprint=None
    )

    batch = DetectionDataModuleConfig().batch(task)
    assert batch.input == TensorSpec(shape=(1, 96, 128), low=0, high=1)
    assert batch.targets == {
        "boxes": TensorSpec(shape=(50, 4), low=0, high=128),
        "labels": TensorSpec(shape=(50,), dtype="int64", low=-1, high=79),
    }


def test_the_scenes_fingerprint_is_not_a_folders() -> None:
    assert problem_of(folder="mine", test_fingerprint=SCENES_FINGERPRINT) == (
        "DetectionTaskConfig.test_fingerprint: is that of the generated scenes, not of a folder; type"
        " task.test_fingerprint=null, or what a test of it found"
    )


@pytest.mark.parametrize("command", ["train", "test", "predict", "export"])
def test_without_the_extra_only_what_measures_is_refused(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(["task=detection", "export.format=torch_export"])
    monkeypatch.setattr("app.schemas.metrics.detection.find_spec", lambda _: None)

    found = [problem for problem in problems_for(command, config) if problem.code is Code.ENVIRONMENT]

    message = "COCO's evaluation (pycocotools) is not installed; type: pip install 'typed-lightning-app[detection]'"
    assert [(problem.path, problem.message) for problem in found] == (
        [("task", message)] if command in ("train", "test") else []
    )


def test_shares_must_add_up() -> None:
    with pytest.raises(ConfigError, match=r"the shares must add up to 1, found 1\.1"):
        DetectionDataModuleConfig(train_val_split=(0.9, 0.2))
