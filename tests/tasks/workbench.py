"""A task for trying out losses and metrics: tiny random data, and a model that puts out every kind of thing.

The fixture `workbench` makes it known for the tests of one file, by `pytestmark = pytest.mark.usefixtures("workbench")`
beside its import. Then `task=workbench` is composed like any other task. What a target says of a sample is `task.kind`;
targets of other kinds stand beside it under names of their own, to be mapped: `mapping={target: value}`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.utils.data import Dataset

from app.builders.run import Run, build_run
from app.compose import compose
from app.composing.with_hydra import register_all
from app.schemas.batch import BatchSpec, TensorSpec, usual_target
from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.phases import Mode, Split
from app.schemas.registry import options, register
from app.schemas.schema import import_path, schema
from app.schemas.task import TaskConfig, TaskKind
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import Batch
from app.tasks.shared.module import BaseModule

NUM_CLASSES: Final = 3
NUM_FEATURES: Final = 4

MODEL_OUTPUTS: Final = (
    "logits",  # scores of the classes (batch, classes), or of yes (batch) for a binary task
    "log_probabilities",  # their logarithms after softmax (batch, classes), or of no and yes (batch, 2)
    "prediction",  # a real number for each sample (batch)
    "variance",  # how uncertain it is, above 0 (batch)
    "scores",  # a relevance (batch), and that of another sample
    "other_scores",
    "distance",  # between the members of a pair (batch), above 0
    "embedding",  # of a sample (batch, features), and of another view of it or another sample
    "other_embedding",
    "anchor",  # of a triplet (batch, features)
    "positive",
    "negative",
    "features",  # what the model's last layers start from (batch, features)
    "mask_logits",  # scores of the classes for each pixel (batch, classes, height, width)
    "classes",  # the class of each pixel (batch, height, width)
    "sequence",  # logarithms of the probabilities of each symbol (steps, batch, symbols), as CTC takes them
    "class_logits",  # scores of the classes at each of a few locations (batch, locations, classes)
    "centerness_logits",  # and of something yes or no (batch, locations)
    "candidate_boxes",  # and a box (batch, locations, 4)
    "detected_boxes",  # what is made of them
    "detected_scores",
    "detected_labels",
)

TARGETS: Final = (
    "target",  # what `task.kind` says: (batch), or (batch, classes) for a multilabel task
    "value",  # a real number (batch)
    "count",  # a whole number (batch), as a real one
    "sign",  # 1 or -1 (batch)
    "same",  # 1 or 0 (batch): whether the members of a pair are of one class
    "label",  # one of the classes (batch), whatever the task's kind is
    "labels",  # 1 or 0 for each class (batch, classes)
    "label_indices",  # the classes that apply (batch, classes), the rest filled up with -1
    "distribution",  # probabilities of the classes (batch, classes)
    "mask",  # the class of each pixel (batch, height, width)
    "symbols",  # a sequence of symbols without blanks (batch, symbols)
    "input_lengths",  # how many steps and symbols of a sequence count (batch)
    "target_lengths",
    "indexes",  # the query that a sample belongs to (batch)
    "groups",  # which of two groups a sample belongs to (batch)
    "boxes",  # as many boxes as there are `labels` (batch, classes, 4)
    "location_labels",  # a class or -1 for each location (batch, locations), a box and a number from 0 to 1
    "location_boxes",
    "location_centerness",
)


@schema
class WorkbenchTaskConfig(TaskConfig):
    name: NonEmptyText = "workbench"
    kind: TaskKind = "multiclass"
    input_shape: tuple[PositiveInt, ...] = (NUM_FEATURES,)
    num_classes: PositiveInt = NUM_CLASSES
    test_fingerprint: NonEmptyText = "any"
    monitor: NonEmptyText = "train/loss"
    mode: Mode = "min"

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        return {}


@schema
class WorkbenchModelConfig:
    num_features: PositiveInt = NUM_FEATURES


@schema
class WorkbenchModuleConfig(ModuleConfig):
    model_config: WorkbenchModelConfig = field(default_factory=WorkbenchModelConfig)

    def model_outputs(self) -> tuple[str, ...]:
        return MODEL_OUTPUTS


@schema
class WorkbenchDataModuleConfig(DataModuleConfig):
    num_samples: PositiveInt = 14
    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=8))

    def target_keys(self) -> tuple[str, ...]:
        return TARGETS

    def batch(self, task: TaskConfig) -> BatchSpec:
        each = NUM_CLASSES
        return BatchSpec(
            input=TensorSpec(shape=(NUM_FEATURES,)),
            targets={
                "target": usual_target(task),
                "value": TensorSpec(shape=()),
                "count": TensorSpec(shape=(), low=0),
                "sign": TensorSpec(shape=(), low=-1, high=1),
                "same": TensorSpec(shape=(), low=0, high=1),
                "label": TensorSpec(shape=(), dtype="int64", low=0, high=each - 1),
                "labels": TensorSpec(shape=(each,), dtype="int64", low=0, high=1),
                "label_indices": TensorSpec(shape=(each,), dtype="int64", low=-1, high=each - 1),
                "distribution": TensorSpec(shape=(each,), low=0, high=1),
                "mask": TensorSpec(shape=(2, 2), dtype="int64", low=0, high=each - 1),
                "symbols": TensorSpec(shape=(2,), dtype="int64", low=1, high=2),
                "input_lengths": TensorSpec(shape=(), dtype="int64", low=5, high=5),
                "target_lengths": TensorSpec(shape=(), dtype="int64", low=1, high=2),
                "indexes": TensorSpec(shape=(), dtype="int64", low=0),
                "groups": TensorSpec(shape=(), dtype="int64", low=0, high=1),
                "boxes": TensorSpec(shape=(each, 4)),
                "location_labels": TensorSpec(shape=(2,), dtype="int64", low=-1, high=each - 1),
                "location_boxes": TensorSpec(shape=(2, 4)),
                "location_centerness": TensorSpec(shape=(2,), low=0, high=1),
            },
        )


class WorkbenchModel(nn.Module):
    """One hidden layer, and a linear layer of it for each output."""

    def __init__(self, num_features: int, kind: TaskKind) -> None:
        super().__init__()
        self.binary = kind == "binary"
        self.hidden = nn.Linear(NUM_FEATURES, num_features)
        widths = {
            **dict.fromkeys(("prediction", "variance", "scores", "other_scores", "distance"), 1),
            **dict.fromkeys(("embedding", "other_embedding", "anchor", "positive", "negative"), 4),
            "logits": 1 if self.binary else NUM_CLASSES,
            "mask_logits": NUM_CLASSES * 4,
            "sequence": 5 * NUM_CLASSES,
            "class_logits": 2 * NUM_CLASSES,
            "centerness_logits": 2,
            "candidate_boxes": 2 * 4,
        }
        self.heads = nn.ModuleDict({name: nn.Linear(num_features, width) for name, width in widths.items()})

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        features = self.hidden(inputs).tanh()
        outputs: dict[str, Tensor] = {name: head(features) for name, head in self.heads.items()}
        for name in ("prediction", "variance", "scores", "other_scores", "distance"):
            outputs[name] = outputs[name][:, 0]
        for name in ("variance", "distance"):
            outputs[name] = functional.softplus(outputs[name]) + 0.01
        logits = outputs["logits"]
        outputs["log_probabilities"] = (functional.pad(logits, (1, 0)) if self.binary else logits).log_softmax(dim=1)
        if self.binary:
            outputs["logits"] = logits[:, 0]
        outputs["mask_logits"] = outputs["mask_logits"].reshape(-1, NUM_CLASSES, 2, 2)
        outputs["classes"] = outputs["mask_logits"].argmax(dim=1)
        outputs["sequence"] = outputs["sequence"].reshape(-1, 5, NUM_CLASSES).transpose(0, 1).log_softmax(dim=2)
        outputs["class_logits"] = outputs["class_logits"].reshape(-1, 2, NUM_CLASSES)
        begin, size = outputs["candidate_boxes"].reshape(-1, 2, 4).chunk(2, dim=-1)
        outputs["candidate_boxes"] = torch.cat([begin, begin + 1 + size.abs()], dim=-1)
        outputs["detected_boxes"] = outputs["candidate_boxes"]
        outputs["detected_scores"] = outputs["centerness_logits"].sigmoid()
        outputs["detected_labels"] = outputs["class_logits"].argmax(dim=-1)
        return {**outputs, "features": features}


class WorkbenchModule(BaseModule[WorkbenchModelConfig, WorkbenchTaskConfig]):
    def initialize_model(self) -> nn.Module:
        return WorkbenchModel(self.model_config.num_features, self.task.kind)


class WorkbenchDataset(Dataset[Batch]):
    """Random points; each target follows from them, so that there is something to learn."""

    def __init__(self, size: int, kind: TaskKind, *, seed: int) -> None:
        generator = Generator().manual_seed(seed)
        self.inputs = torch.randn(size, NUM_FEATURES, generator=generator)
        one, two, three, four = self.inputs.unbind(dim=1)
        scores = self.inputs[:, :NUM_CLASSES]
        label, labels = scores.argmax(dim=1), (scores > 0).long()
        marked = torch.where(labels.bool(), torch.arange(NUM_CLASSES), NUM_CLASSES).sort(dim=1).values
        self.targets = {
            "target": {"binary": (one > 0).long(), "multiclass": label, "multilabel": labels}[kind],
            "value": one + two * three,
            "count": four.abs().round(),
            "sign": torch.where(two > 0, 1.0, -1.0),
            "same": (two > 0).float(),
            "label": label,
            "labels": labels,
            "label_indices": torch.where(marked == NUM_CLASSES, -1, marked),
            "distribution": scores.softmax(dim=1),
            "mask": torch.stack([label, labels[:, 0], labels[:, 1], label], dim=1).reshape(-1, 2, 2),
            "symbols": 1 + labels[:, :2],
            "input_lengths": torch.full((size,), 5),
            "target_lengths": 1 + labels[:, 2],
            "indexes": torch.arange(size) // 4,
            "groups": torch.arange(size) % 2,
            "boxes": torch.stack([scores, scores, scores + 1, scores + 2], dim=2),
            "location_labels": torch.stack([label, label - 1], dim=1),
            "location_boxes": torch.cat([self.inputs.reshape(-1, 2, 2), self.inputs.reshape(-1, 2, 2) + 1], dim=2),
            "location_centerness": labels[:, :2].float(),
        }

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: int) -> Batch:
        return self._batch(index)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._batch(torch.tensor(indices))

    def _batch(self, rows: Any) -> Batch:
        targets: Any = {name: target[rows] for name, target in self.targets.items()}
        return Batch(self.inputs[rows], targets)


class WorkbenchDataModule(BaseDataModule[WorkbenchDataModuleConfig, WorkbenchTaskConfig]):
    def prepare_data(self) -> None:
        pass

    def setup(self, stage: str) -> None:
        splits: dict[str, tuple[Split, ...]] = {
            "fit": ("train", "val"),
            "validate": ("val",),
            "test": ("test",),
            "predict": ("predict",),
        }
        for seed, split in enumerate(splits[stage]):
            size = self.datamodule_config.num_samples
            self.datasets[split] = WorkbenchDataset(size, self.task.kind, seed=seed)

    def test_fingerprint(self) -> str:
        return self.task.test_fingerprint  # the targets depend on `task.kind`, as a real task's never do


_REGISTERED: Final = (
    ("task", "workbench", WorkbenchTaskConfig, WorkbenchTaskConfig),
    ("module", "workbench/default", WorkbenchModuleConfig, WorkbenchModule),
    ("datamodule", "workbench/default", WorkbenchDataModuleConfig, WorkbenchDataModule),
)

LEAN: Final = (
    "task=workbench",
    "callbacks=[]",
    "logger=[]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.num_sanity_val_steps=0",
)
"""A fit of two epochs with nothing beside it."""


@pytest.fixture(scope="module")
def workbench() -> Iterator[None]:
    """Make the task known, and forget it afterwards: other tests list the tasks there are."""
    register_all()
    for group, name, config, live in _REGISTERED:
        register(group, name, target=import_path(live))(config)
    yield
    for group, name, config, _ in _REGISTERED:
        del options._registered[group][name]
        del options._by_schema[import_path(config)]
        entries = ConfigStore.instance().repo[group]
        if group == "task":
            del entries[f"{name}.yaml"]
        else:
            del entries["workbench"]


def built(*overrides: str, folder: Path) -> Run:
    """A run of two epochs from overrides alone, not yet started."""
    composed = compose([*LEAN, *overrides])
    return build_run(composed.config, run_directory=folder, loggers=[], overrides=composed.overrides)


def fit(*overrides: str, folder: Path) -> Run:
    """Train for two epochs from overrides alone; what was logged is in `run.trainer.callback_metrics`."""
    run = built(*overrides, folder=folder)
    run.trainer.fit(model=run.module, datamodule=run.datamodule)
    return run
