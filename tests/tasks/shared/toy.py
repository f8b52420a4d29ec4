"""The smallest task there can be: two classes of points in the plane. It uses nothing but what tasks share."""

from typing import Any

import torch
from torch import Generator, nn

from app.schemas.constraints import PositiveInt
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.torch_losses import CrossEntropyConfig
from app.schemas.metrics.classification import AccuracyConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.optimizers import SGDSpec
from app.schemas.phases import Mode, Split
from app.schemas.schema import schema
from app.schemas.task import ClassKind, TaskConfig
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.module import BaseModule


@schema
class ToyTaskConfig(TaskConfig):
    name: str = "toy"
    kind: ClassKind = "multiclass"
    input_shape: tuple[PositiveInt, ...] = (2,)
    num_classes: PositiveInt = 2
    test_fingerprint: str | None = "52a1"
    monitor: str = "val/accuracy"
    mode: Mode = "max"

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        return {"accuracy": AccuracyConfig(task=self.kind, num_classes=self.num_classes, average="micro")}


@schema
class ToyModelConfig:
    hidden_dim: PositiveInt = 4


@schema
class ToyDataModuleConfig(DataModuleConfig):
    num_samples: PositiveInt = 10


class ToyModule(BaseModule[ToyModelConfig, ToyTaskConfig]):
    def initialize_model(self) -> nn.Module:
        hidden_dim = self.model_config.hidden_dim
        return nn.Sequential(nn.Linear(2, hidden_dim), nn.Tanh(), nn.Linear(hidden_dim, self.task.num_classes))


class ToyDataModule(BaseDataModule[ToyDataModuleConfig, ToyTaskConfig]):
    def prepare_data(self) -> None:
        pass

    def setup(self, stage: str) -> None:
        points = torch.randn(self.datamodule_config.num_samples, 2, generator=Generator().manual_seed(0))
        dataset = InMemoryDataset(points, (points.sum(dim=1) > 0).long())
        splits: dict[str, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("predict",),
        }
        self.datasets.update(dict.fromkeys(splits[stage], dataset))


def toy_module(cls: type[ToyModule] = ToyModule, **arguments: Any) -> ToyModule:
    torch.manual_seed(0)
    given = {"scheduler_spec": None, "joint_loss": JointLossConfig(losses={"cross_entropy": CrossEntropyConfig()})}
    return cls(ToyModelConfig(), SGDSpec(lr=0.1), task=ToyTaskConfig(), **{**given, **arguments})


def toy_datamodule(cls: type[ToyDataModule] = ToyDataModule, *, batch_size: int = 4, seed: int = 0) -> ToyDataModule:
    torch.manual_seed(seed)
    config = ToyDataModuleConfig(dataloader=DataLoaderConfig(batch_size=batch_size))
    return cls(config, ToyTaskConfig())
