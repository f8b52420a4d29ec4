from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from app.schemas.datamodule import DataLoaderConfig
from app.tasks.digits.config import DigitsDataModuleConfig, DigitsTaskConfig
from app.tasks.digits.datamodule import DigitsDataModule
from app.tasks.multi_head.config import MultiHeadDataModuleConfig, MultiHeadTaskConfig
from app.tasks.multi_head.datamodule import MultiHeadDataModule, targets_of_digits
from tests.tasks.contracts import DataModuleContract


class TestMultiHeadDataModule(DataModuleContract):
    datamodule_config = MultiHeadDataModuleConfig()
    task = MultiHeadTaskConfig()
    variations = (
        MultiHeadDataModuleConfig(split_seed=9),
        MultiHeadDataModuleConfig(train_val_split=(0.5, 0.5), train_fraction=0.5, augmentations={}),
        MultiHeadDataModuleConfig(dataloader=DataLoaderConfig(batch_size=3, drop_last=True)),
    )


def test_the_targets_of_each_digit() -> None:
    found = targets_of_digits(torch.arange(10))

    assert found["digit"].tolist() == list(range(10))
    assert found["parity"].tolist() == [0, 1] * 5
    assert found["loops"].tolist() == [1, 0, 0, 0, 0, 0, 1, 0, 2, 1]


def test_the_test_images_are_those_of_the_task_digits() -> None:
    ours: Any = MultiHeadDataModule(MultiHeadDataModuleConfig(), MultiHeadTaskConfig())
    theirs: Any = DigitsDataModule(DigitsDataModuleConfig(), DigitsTaskConfig())
    for datamodule in (ours, theirs):
        datamodule.setup("test")

    assert torch.equal(ours.datasets["test"].inputs, theirs.datasets["test"].inputs)
    assert torch.equal(ours.datasets["test"].targets["digit"], theirs.datasets["test"].targets)


def test_files_become_samples_with_their_names(tmp_path: Path) -> None:
    file = tmp_path / "one.png"
    Image.fromarray(np.full((16, 16), 255, dtype=np.uint8)).save(file)
    dataset: Any = MultiHeadDataModule(MultiHeadDataModuleConfig(), MultiHeadTaskConfig()).read_inputs([file])

    assert dataset.ids == [str(file)]
    assert torch.equal(dataset[0][0], torch.ones(1, 8, 8))
    assert dataset[0][1].keys() == {"digit", "parity", "loops"}
