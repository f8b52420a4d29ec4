from app.tasks.fashion_mnist.config import FashionMNISTTaskConfig
from tests.tasks.contracts import DataModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]


class TestFashionMNISTDataModule(OnSmallFiles, DataModuleContract):
    task = FashionMNISTTaskConfig()
