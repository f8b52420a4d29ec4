from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from app.schemas.datamodule import DataLoaderConfig
from app.schemas.problems import ConfigError
from app.tasks.retrieval.config import RetrievalDataModuleConfig, RetrievalTaskConfig, Sampling
from app.tasks.retrieval.datamodule import RetrievalDataModule, every_other_of_each
from app.tasks.shared.datasets import InMemoryDataset, ShuffledSampler
from tests.tasks.contracts import DataModuleContract


class TestRetrievalDataModule(DataModuleContract):
    datamodule_config = RetrievalDataModuleConfig()
    task = RetrievalTaskConfig()
    variations = (
        RetrievalDataModuleConfig(sampling="single", augmentations={}),
        RetrievalDataModuleConfig(sampling="pairs", split_seed=9),
        RetrievalDataModuleConfig(sampling="views"),
        RetrievalDataModuleConfig(train_val_split=(0.5, 0.5), train_fraction=0.5),
        RetrievalDataModuleConfig(train_digits=(1, 7)),
        RetrievalDataModuleConfig(dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
    )


def everything(batch: Any) -> Tensor:
    """All images of a batch in one tensor."""
    inputs, targets = batch
    return torch.cat([inputs, *(value for value in targets.values() if value.ndim == inputs.ndim)])


def test_the_first_third_and_so_on_of_each_digit_are_queries() -> None:
    digits = torch.tensor([3, 3, 5, 3, 5, 5, 3])

    assert every_other_of_each(digits).tolist() == [True, False, True, True, False, True, False]


def test_every_digit_is_in_the_queries_and_in_the_gallery_of_the_test_split() -> None:
    targets = held("test", RetrievalDataModuleConfig()).targets
    of_queries = targets["target"][targets["is_query"]].bincount(minlength=10)
    of_gallery = targets["target"][~targets["is_query"]].bincount(minlength=10)

    assert of_queries.sum() + of_gallery.sum() == 355
    assert ((of_queries - of_gallery == 0) | (of_queries - of_gallery == 1)).all()
    assert of_gallery.min() >= 17


def test_what_is_drawn_for_evaluation_stays_the_same_from_epoch_to_epoch() -> None:
    datamodule = ready(RetrievalDataModuleConfig(sampling="views"))
    one, other = (everything(next(iter(datamodule.val_dataloader()))) for _ in range(2))

    assert torch.equal(one, other)


def test_unseen_digits_are_validated_and_tested_but_not_trained_on() -> None:
    config = RetrievalDataModuleConfig(train_digits=(0, 4))
    train, val = held("train", config), held("val", config)

    assert set(train.targets["target"].tolist()) == {0, 4}
    assert set(val.targets["target"].tolist()) == set(range(10))


def test_drawing_does_not_depend_on_what_came_before() -> None:
    datamodule = ready(RetrievalDataModuleConfig(sampling="pairs"))
    loader = datamodule.train_dataloader()
    cast(ShuffledSampler, loader.sampler).set_epoch(4)
    one = [everything(batch) for batch in loader]
    torch.rand(5)
    other = [everything(batch) for batch in loader]

    assert len(one) == 21
    assert all(torch.equal(first, second) for first, second in zip(one, other, strict=True))


def test_pairs_of_one_digit_alone_are_refused() -> None:
    with pytest.raises(ConfigError, match="there must be two digits to tell apart"):
        ready(RetrievalDataModuleConfig(sampling="pairs", train_val_split=(0.9999, 0.0001)))


def test_two_views_of_an_image_have_to_differ() -> None:
    with pytest.raises(ConfigError, match="leaves both views of an image the same"):
        RetrievalDataModuleConfig(sampling="views", augmentations={})


@pytest.mark.parametrize("sampling", ["single", "pairs", "triplets", "views"])
def test_files_become_samples_with_their_names(sampling: Sampling, tmp_path: Path) -> None:
    files = [tmp_path / "one.png", tmp_path / "two.png"]
    for file, value in zip(files, (0, 255), strict=True):
        Image.fromarray(np.full((8, 8), value, dtype=np.uint8)).save(file)
    config = RetrievalDataModuleConfig(sampling=sampling)
    dataset = RetrievalDataModule(config, RetrievalTaskConfig()).read_inputs(files)

    assert cast(Any, dataset).ids == [str(file) for file in files]
    assert [dataset[place][0].mean().item() for place in range(2)] == [0, 1]
    assert dataset[0][1].keys() == set(config.target_keys())


def ready(config: RetrievalDataModuleConfig) -> RetrievalDataModule:
    torch.manual_seed(0)
    datamodule = RetrievalDataModule(config, RetrievalTaskConfig())
    for stage in ("fit", "test"):
        datamodule.setup(stage)
    return datamodule


def held(split: Any, config: RetrievalDataModuleConfig) -> Any:
    return cast(InMemoryDataset, ready(config).datasets[split])
