from typing import Any, ClassVar

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.codes import Code
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig, FurtherDatasetConfig
from app.schemas.problems import ConfigError
from app.schemas.registry import leaf_fields
from app.schemas.schema import schema

_ABOUT_WORKERS: dict[str, Any] = {
    "persistent_workers": True,
    "prefetch_factor": 4,
    "timeout": 1.0,
    "multiprocessing_context": "spawn",
    "in_order": False,
}


@schema
class DataModuleConfigOfTests(DataModuleConfig):
    pass


@pytest.mark.parametrize("name", _ABOUT_WORKERS)
def test_what_is_about_workers_needs_workers(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DataLoaderConfig(**{name: _ABOUT_WORKERS[name]})

    [problem] = caught.value.problems
    assert problem.path == f"DataLoaderConfig.{name}"
    assert problem.message == "is about worker processes, and there are none; it needs num_workers of at least 1"
    assert getattr(DataLoaderConfig(num_workers=1, **{name: _ABOUT_WORKERS[name]}), name) == _ABOUT_WORKERS[name]


@pytest.mark.parametrize("config", [DataLoaderConfig(), DataLoaderConfig(num_workers=2, **_ABOUT_WORKERS)])
def test_torch_takes_every_setting(config: DataLoaderConfig) -> None:
    settings: dict[str, Any] = leaf_fields(config)
    loader = DataLoader(TensorDataset(torch.zeros(4)), **settings)

    assert loader.num_workers == config.num_workers
    assert loader.batch_size == config.batch_size


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("num_workers", -1), ("timeout", -1.0)])
def test_impossible_numbers_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        DataLoaderConfig(**{name: value})

    assert [problem.path for problem in caught.value.problems] == [f"DataLoaderConfig.{name}"]


def test_no_evaluation_leaves_out_samples() -> None:
    dropping = DataLoaderConfig(drop_last=True)
    with pytest.raises(ConfigError) as caught:
        DataModuleConfigOfTests(
            dataloader=dropping,  # which train alone drops
            evaluation_dataloader=dropping,
            val_datasets={"noisy": FurtherDatasetConfig(dataloader=dropping)},
            test_datasets={"noisy": FurtherDatasetConfig(dataloader=dropping)},
            predict_datasets={"noisy": FurtherDatasetConfig(dataloader=dropping)},
        )

    assert [problem.path.partition(".")[2] for problem in caught.value.problems] == [
        "evaluation_dataloader.drop_last",
        "val_datasets.noisy.dataloader.drop_last",
        "test_datasets.noisy.dataloader.drop_last",
        "predict_datasets.noisy.dataloader.drop_last",
    ]
    assert {problem.code for problem in caught.value.problems} == {Code.DROP_LAST}


def test_names_of_datasets_can_be_part_of_what_is_logged() -> None:
    with pytest.raises(ConfigError) as caught:
        DataModuleConfigOfTests(test_datasets={"very/noisy": FurtherDatasetConfig()})

    assert caught.value.problems[0].message == "expected a name of letters, digits and _, found 'very/noisy'"


def test_each_dataset_has_its_own_loader_or_that_of_its_split() -> None:
    evaluation, own = DataLoaderConfig(batch_size=3), DataLoaderConfig(batch_size=5)
    config = DataModuleConfigOfTests(
        evaluation_dataloader=evaluation,
        val_datasets={"plain": FurtherDatasetConfig(), "noisy": FurtherDatasetConfig(dataloader=own)},
    )

    assert config.dataset_names("val") == ("", "plain", "noisy")
    assert config.dataset_names("test") == config.dataset_names("train") == ()
    assert config.loader("val") == config.loader("val", "plain") == evaluation
    assert config.loader("val", "noisy") == own


@schema
class ImagesAloneConfig(AugmentationConfig):
    moves: ClassVar = frozenset(("mask",))


@schema
class BoxesConfig(DataModuleConfig):
    placed_targets: ClassVar = {"boxes": "boxes"}


@schema
class TwoMasksConfig(DataModuleConfig):
    placed_targets: ClassVar = {"near": "mask", "far": "mask"}


def test_no_two_targets_move_as_one() -> None:
    with pytest.raises(AssertionError, match="an augmentation moves one mask"):
        TwoMasksConfig()


def test_what_moves_the_image_alone_is_refused_where_a_target_lies_in_it() -> None:
    turning, noisy = ImagesAloneConfig(), GaussianNoiseConfig()
    DataModuleConfigOfTests(augmentations={"turn": turning})
    with pytest.raises(ConfigError) as caught:
        BoxesConfig(
            augmentations={"noise": noisy, "turn": turning},
            val_datasets={"turned": FurtherDatasetConfig(augmentations={"turn": turning})},
        )

    assert [(problem.path.partition(".")[2], problem.message) for problem in caught.value.problems] == [
        (path, "moves the image, and cannot move 'boxes' (boxes) along")
        for path in ("augmentations.turn", "val_datasets.turned.augmentations.turn")
    ]
