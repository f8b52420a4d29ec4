from app.tasks.mnist.config import MNISTTaskConfig
from tests.tasks.contracts import DataModuleContract
from tests.tasks.small_downloads import OnSmallFiles, small_downloads

__all__ = ["small_downloads"]


class TestMNISTDataModule(OnSmallFiles, DataModuleContract):
    task = MNISTTaskConfig()
