"""The workbench declares its batches as every task does, whatever its targets say."""

import pytest

from tests.tasks.contracts import BatchContract
from tests.tasks.workbench import WorkbenchDataModuleConfig, WorkbenchTaskConfig, workbench

__all__ = ["workbench"]

pytestmark = pytest.mark.usefixtures("workbench")


class _WorkbenchBatches(BatchContract):
    datamodule_config = WorkbenchDataModuleConfig()
    variations = (WorkbenchDataModuleConfig(num_samples=25),)


class TestBinaryBatches(_WorkbenchBatches):
    task = WorkbenchTaskConfig(kind="binary")


class TestMulticlassBatches(_WorkbenchBatches):
    task = WorkbenchTaskConfig(kind="multiclass")


class TestMultilabelBatches(_WorkbenchBatches):
    task = WorkbenchTaskConfig(kind="multilabel")
