from app.scaffold.templates.new_model.config import NewModelModuleConfig
from app.scaffold.templates.new_task.config import NewTaskDataModuleConfig, NewTaskTaskConfig
from tests.tasks.contracts import ModuleContract


class TestNewModelModule(ModuleContract):
    module_config = NewModelModuleConfig()
    datamodule_config = NewTaskDataModuleConfig()
    task = NewTaskTaskConfig()
