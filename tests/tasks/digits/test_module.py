import torch
from torch.nn import functional

from app.schemas.datamodule import DataLoaderConfig
from app.tasks.digits.config import (
    CNNModuleConfig,
    DigitsDataModuleConfig,
    DigitsTaskConfig,
    MLPModuleConfig,
)
from tests.tasks.contracts import ModuleContract, new_module

_LITTLE_DATA = DigitsDataModuleConfig(train_fraction=0.1, dataloader=DataLoaderConfig(batch_size=32))


class TestCNNModule(ModuleContract):
    module_config = CNNModuleConfig()
    datamodule_config = _LITTLE_DATA
    task = DigitsTaskConfig()


class TestMLPModule(ModuleContract):
    module_config = MLPModuleConfig()
    datamodule_config = _LITTLE_DATA
    task = DigitsTaskConfig()


def test_labels_are_smoothed_in_training_only() -> None:
    module = new_module(MLPModuleConfig(label_smoothing=0.3), DigitsTaskConfig())
    outputs, targets = torch.randn(4, 10), torch.tensor([1, 2, 3, 4])
    plain = functional.cross_entropy(outputs, targets)

    assert torch.equal(module.eval().compute_loss(outputs, targets), plain)
    smoothed = functional.cross_entropy(outputs, targets, label_smoothing=0.3)
    assert torch.equal(module.train().compute_loss(outputs, targets), smoothed)
    assert not torch.equal(smoothed, plain)
    assert module.hparams["label_smoothing"] == 0.3
