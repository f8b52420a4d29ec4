from typing import Any, cast

from app.scaffold.templates.new_task.config import NewTaskDataModuleConfig, NewTaskTaskConfig
from app.scaffold.templates.new_task.datamodule import NewTaskDataModule
from tests.tasks.contracts import DataModuleContract


class TestNewTaskDataModule(DataModuleContract):
    datamodule_config = NewTaskDataModuleConfig()
    task = NewTaskTaskConfig()
    variations = (NewTaskDataModuleConfig(split_seed=9), NewTaskDataModuleConfig(train_val_split=(0.5, 0.5)))


def test_every_sample_is_in_one_split() -> None:
    datamodule = NewTaskDataModule(NewTaskDataModuleConfig(), NewTaskTaskConfig())
    for stage in ("fit", "test"):
        datamodule.setup(stage)

    sizes = {split: len(cast(Any, datamodule.datasets[split])) for split in ("train", "val", "test")}
    assert sizes == {"train": 96, "val": 24, "test": 30}
