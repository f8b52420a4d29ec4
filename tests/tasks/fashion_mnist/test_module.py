from app.compose import compose
from app.tasks.fashion_mnist.config import FashionMNISTTaskConfig
from tests.tasks.contracts import ModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]

_SMALL = ["module.model_config.hidden_dims=[32]"]


class TestDefaultModule(OnSmallFiles, ModuleContract):
    task = FashionMNISTTaskConfig()
    module_config = compose(["task=fashion_mnist", "module=fashion_mnist/default"]).config.module


class TestWideMlpModule(OnSmallFiles, ModuleContract):
    task = FashionMNISTTaskConfig()
    module_config = compose(["task=fashion_mnist", "module=fashion_mnist/wide_mlp", *_SMALL]).config.module
