from app.scaffold.templates.new_task.config import NetworkModuleConfig, NewTaskDataModuleConfig, NewTaskTaskConfig
from app.schemas.modules import MLPModuleConfig
from tests.tasks.contracts import ModuleContract


class TestNetworkModule(ModuleContract):
    module_config = NetworkModuleConfig()
    datamodule_config = NewTaskDataModuleConfig()
    task = NewTaskTaskConfig()


class TestMLPModule(ModuleContract):
    module_config = MLPModuleConfig()
    datamodule_config = NewTaskDataModuleConfig()
    task = NewTaskTaskConfig()
