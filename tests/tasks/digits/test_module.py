from app.schemas.datamodule import DataLoaderConfig
from app.schemas.modules import MLPModuleConfig
from app.tasks.digits.config import CNNModuleConfig, DigitsDataModuleConfig, DigitsTaskConfig
from tests.tasks.contracts import ModuleContract

_LITTLE_DATA = DigitsDataModuleConfig(train_fraction=0.1, dataloader=DataLoaderConfig(batch_size=32))


class TestCNNModule(ModuleContract):
    module_config = CNNModuleConfig()
    datamodule_config = _LITTLE_DATA
    task = DigitsTaskConfig()


class TestMLPModule(ModuleContract):
    module_config = MLPModuleConfig()
    datamodule_config = _LITTLE_DATA
    task = DigitsTaskConfig()
