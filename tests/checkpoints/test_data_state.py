from pathlib import Path

import torch

from app.checkpoints.data_state import load_data_state
from app.tasks.tabular.config import TabularDataModuleConfig, TabularTaskConfig
from app.tasks.tabular.datamodule import TabularDataModule


def test_what_a_checkpoint_keeps_of_the_data_is_put_back_for_a_datamodule_of_the_same_class(tmp_path: Path) -> None:
    columns = {"features": ["age"], "mean": [0.1], "deviation": [2.0], "classes": ["no", "yes"]}
    ours, others = tmp_path / "ours.ckpt", tmp_path / "others.ckpt"
    torch.save({"state_dict": {}, "TabularDataModule": {"seed": 3, "columns": columns}}, ours)
    torch.save({"state_dict": {}, "OtherDataModule": {"rows": 3}}, others)
    datamodule = TabularDataModule(TabularDataModuleConfig(), TabularTaskConfig())

    load_data_state(datamodule, str(others))
    assert "columns" not in datamodule.state_dict()

    load_data_state(datamodule, str(ours))
    assert datamodule.state_dict() == {"seed": 3, "columns": columns}
