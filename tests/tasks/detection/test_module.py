from pathlib import Path

import pytest
import torch
from lightning.pytorch import seed_everything

from app.builders.run import build_module
from app.metrics.mean_average_precision import MeanAveragePrecision
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.metrics.detection import MeanAveragePrecisionConfig
from app.schemas.parts.backbones import ConvConfig, MLPBackboneConfig, SmallResNetConfig
from app.schemas.parts.necks import FPNConfig, UNetConfig
from app.schemas.problems import ConfigError
from app.schemas.run import RunConfig
from app.tasks.detection.config import (
    DetectionDataModuleConfig,
    DetectionTaskConfig,
    DetectorConfig,
    DetectorModuleConfig,
)
from app.tasks.shared.datasets import Batch
from tests.tasks.contracts import ModuleContract, new_datamodule, new_module, quiet_trainer, runs_a_trainer

_FEW_IMAGES = DetectionDataModuleConfig(train_fraction=0.05, dataloader=DataLoaderConfig(batch_size=32))
_SMALL = DetectorConfig(
    backbone=ConvConfig(channels=(4, 4, 8, 8), num_convolutions=1), neck=FPNConfig(width=8), min_score=0.2
)


class TestDetectorModule(ModuleContract):
    module_config = DetectorModuleConfig(model_config=_SMALL)
    datamodule_config = _FEW_IMAGES
    task = DetectionTaskConfig()
    predicted = ("detected_boxes", "detected_scores", "detected_labels")


@pytest.mark.parametrize(
    "config",
    [
        DetectorConfig(backbone=SmallResNetConfig(depth=8, width=4), neck=FPNConfig(width=12), head_depth=0),
        DetectorConfig(backbone=ConvConfig(channels=(4, 4, 8)), neck=UNetConfig(), finest_step=2, max_detections=7),
        DetectorConfig(backbone=ConvConfig(channels=(4, 4, 8)), neck=FPNConfig(width=6), finest_step=4),
    ],
)
def test_any_backbone_and_neck_with_coarse_maps_will_do(config: DetectorConfig) -> None:
    task = DetectionTaskConfig(folder="elsewhere", input_shape=(1, 50, 36), test_fingerprint=None)
    module = new_module(DetectorModuleConfig(model_config=config), task)
    images = torch.rand(3, 1, 50, 36)
    boxes, labels = torch.zeros(3, 6, 4), torch.full((3, 6), -1)
    boxes[0, 0], labels[0, 0] = torch.tensor([4.0, 5.0, 20.0, 30.0]), 2

    loss = module.training_step(Batch(images, {"boxes": boxes, "labels": labels}), 0)
    module.eval()
    found = module.predict_step(Batch(images, {}), 0)

    assert loss.isfinite()
    assert found["detected_boxes"].shape == (3, config.max_detections, 4)
    assert found["detected_labels"].shape == found["detected_scores"].shape == (3, config.max_detections)


def test_a_backbone_without_coarse_maps_is_refused() -> None:
    config = DetectorConfig(backbone=ConvConfig(channels=(4, 4)), neck=FPNConfig(), finest_step=4)

    with pytest.raises(ConfigError) as caught:
        build_module(RunConfig(task=DetectionTaskConfig(), module=DetectorModuleConfig(model_config=config)))

    [problem] = caught.value.problems
    assert str(problem) == (
        "module.model_config.finest_step: the backbone's coarsest map has a pixel for 2 of the image, expected 2 at"
        " most, found 4"
    )


def test_a_neck_that_has_nothing_to_join_is_refused() -> None:
    config = DetectorConfig(backbone=ConvConfig(channels=(4, 4, 8)), neck=UNetConfig(), finest_step=4)

    with pytest.raises(ConfigError, match=r"^module\.model_config\.neck: a U-Net joins two maps or more"):
        build_module(RunConfig(task=DetectionTaskConfig(), module=DetectorModuleConfig(model_config=config)))


def test_a_backbone_without_places_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^DetectorConfig\.backbone: makes one vector of an image"):
        DetectorConfig(backbone=MLPBackboneConfig(), neck=FPNConfig())


@runs_a_trainer
def test_it_learns_to_find_objects(tmp_path: Path) -> None:
    seed_everything(0, verbose=False)
    backbone = ConvConfig(channels=(8, 16, 32, 32), num_convolutions=1)
    config = DetectorConfig(backbone=backbone, neck=FPNConfig(width=32))
    task = DetectionTaskConfig()
    few = DetectionDataModuleConfig(train_fraction=0.03, augmentations={}, dataloader=DataLoaderConfig(batch_size=8))
    module, datamodule = new_module(DetectorModuleConfig(model_config=config), task), new_datamodule(few, task)

    quiet_trainer(tmp_path, max_epochs=15, limit_val_batches=0).fit(module, datamodule=datamodule)

    # On what it was trained on: to find others too, it would have to see more than a test has time for.
    metric = MeanAveragePrecision()
    module.eval()
    for batch in datamodule.train_dataloader():
        outputs = module.step_outputs(batch)
        given = MeanAveragePrecisionConfig.arguments.items()
        metric.update(**{argument: outputs[name].detach() for argument, name in given})
    assert metric.compute()[1] > 0.3
