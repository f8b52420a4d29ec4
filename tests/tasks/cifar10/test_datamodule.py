from app.tasks.cifar10.config import CIFAR10TaskConfig
from tests.tasks.contracts import DataModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]


class TestCIFAR10DataModule(OnSmallFiles, DataModuleContract):
    task = CIFAR10TaskConfig()
