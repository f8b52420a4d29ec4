from app.compose import compose
from app.tasks.mnist.config import MNISTTaskConfig
from tests.tasks.contracts import ModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]


class TestDefaultModule(OnSmallFiles, ModuleContract):
    task = MNISTTaskConfig()
    module_config = compose(["task=mnist", "module=mnist/default"]).config.module


class TestCnnModule(OnSmallFiles, ModuleContract):
    task = MNISTTaskConfig()
    module_config = compose(["task=mnist", "module=mnist/cnn"]).config.module
