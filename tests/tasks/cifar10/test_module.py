from app.compose import compose
from app.tasks.cifar10.config import CIFAR10TaskConfig
from tests.tasks.contracts import ModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]

_SMALL = ["module.model_config.backbone.depth=8", "module.model_config.backbone.width=4"]


class TestDefaultModule(OnSmallFiles, ModuleContract):
    task = CIFAR10TaskConfig()
    module_config = compose(["task=cifar10", "module=cifar10/default"]).config.module


class TestResnetModule(OnSmallFiles, ModuleContract):
    task = CIFAR10TaskConfig()
    module_config = compose(["task=cifar10", "module=cifar10/resnet", *_SMALL]).config.module
