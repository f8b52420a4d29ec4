import pytest
import torch

from app.builders.metrics import build_metrics
from app.compose import compose
from app.metrics.split_metrics import SplitMetrics
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.module import ModuleConfig
from app.tasks.segmentation.config import SegmentationDataModuleConfig, SegmentationTaskConfig
from tests.tasks.contracts import ModuleContract
from tests.tasks.segmentation.folders import task_of, written_folder


def _module_config(name: str) -> ModuleConfig:
    return compose(["task=segmentation", f"module=segmentation/{name}"]).config.module


class _OnSmallImages(ModuleContract):
    datamodule_config = SegmentationDataModuleConfig(
        train_val_split=(0.8, 0.2), dataloader=DataLoaderConfig(batch_size=4)
    )

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _folder(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        cls.task = task_of(written_folder(tmp_path_factory.mktemp("folder"), train=14, test=5))


class TestUNet(_OnSmallImages):
    module_config = _module_config("default")


class TestFPN(_OnSmallImages):
    module_config = _module_config("fpn")


def test_the_fixed_metrics_count_over_all_images() -> None:
    target = torch.zeros(4, 8, 8, dtype=torch.int64)
    target[0, :4], target[1, :, :3], target[2, 2:5, 2:5] = 1, 2, 1
    found = target.roll(1, dims=1)
    metrics = SplitMetrics("test", build_metrics(SegmentationTaskConfig().fixed_metrics()))

    for images in (slice(0, 1), slice(1, 4)):
        logits = torch.nn.functional.one_hot(found[images], 4).permute(0, 3, 1, 2).float()
        metrics.update({}, {"logits": logits, "target": target[images]}, len(logits))

    common = torch.stack([((found == one) & (target == one)).sum() for one in range(3)])
    either = torch.stack([((found == one) | (target == one)).sum() for one in range(3)])
    each = (common / either).tolist()
    assert {name: value.item() for name, value in metrics.compute().items()} == pytest.approx(
        {
            "test/iou": sum(each) / 3,  # the fourth class is nowhere, and does not count
            **{f"test/class_iou/{one}": value for one, value in enumerate([*each, 0.0])},
            "test/dice_score": (2 * common / (common + either)).mean().item(),
            "test/accuracy": (found == target).float().mean().item(),
        }
    )
