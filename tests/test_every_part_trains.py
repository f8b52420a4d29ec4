"""Every part of a model in a real fit of two epochs, from overrides alone; timm's are in tests/models/test_timm.py."""

from collections.abc import Iterator, Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Final

import pytest
import torch
from hydra.core.config_store import ConfigStore
from torch import Generator
from torch.utils.data import Dataset

from app.builders.run import Run, build_run
from app.compose import compose, load_config
from app.composing.with_hydra import register_all
from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.datamodule import DataLoaderConfig, DataModuleConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.phases import Mode, Split
from app.schemas.problems import ConfigError
from app.schemas.registry import options, register
from app.schemas.schema import import_path, schema
from app.schemas.task import TaskConfig, TaskKind
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import Batch

MODEL: Final = "module.model_config"
HEADS: Final = {
    "linear": ("head=linear",),
    "arcface": ("head=arcface", f"{MODEL}.head.scale=8"),
    "embedding": ("head=embedding", "loss=[supervised_contrastive]"),
    "multi": (
        "head=multi",
        f"{MODEL}.head.heads={{scene: {{id: linear, num_classes: 2}}, view: {{id: arcface, num_classes: 2}}}}",
        f"{MODEL}.head.main=scene",
        "loss=[cross_entropy]",
        "+joint_loss.losses.view={id: cross_entropy, mapping: {input: view_logits}}",
    ),
    "segmentation": (
        "head=segmentation",
        "pooling=null",
        "joint_loss.losses.cross_entropy.mapping={target: mask}",
    ),
}
"""What each head is chosen with: what it is about, and the loss of what it puts out."""

CHOSEN: Final = [
    *((f"backbone={name}",) for name in ("small_resnet", "conv", "conv_mixer", "mlp")),
    *((f"neck={name}",) for name in ("fpn", "unet")),
    *((f"pooling={name}",) for name in ("average", "max", "gem")),
    *HEADS.values(),
    ("neck=fpn", *HEADS["segmentation"]),
    ("neck=unet", "backbone=conv", *HEADS["segmentation"]),
    ("backbone=conv_mixer", "neck=fpn", "pooling=gem", *HEADS["arcface"]),
]


@schema
class ScenesTaskConfig(TaskConfig):
    name: NonEmptyText = "scenes"
    kind: TaskKind = "multiclass"
    input_shape: tuple[PositiveInt, ...] = (2, 9, 7)
    num_classes: PositiveInt = 2
    test_fingerprint: NonEmptyText = "any"
    monitor: NonEmptyText = "train/loss"
    mode: Mode = "min"

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        return {}


@schema
class ScenesModuleConfig(ModuleConfig):
    model_config: PartsConfig

    def model_outputs(self) -> tuple[str, ...]:
        return self.model_config.output_keys()

    def model_targets(self) -> tuple[str, ...]:
        return self.model_config.target_keys()


@schema
class ScenesDataModuleConfig(DataModuleConfig):
    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=8))

    def target_keys(self) -> tuple[str, ...]:
        return ("target", "mask")


class Scenes(Dataset[Batch]):
    """Noise with a bright half: which half it is, and which pixels."""

    def __init__(self, size: int) -> None:
        generator = Generator().manual_seed(size)
        self.halves = torch.arange(size) % 2
        left = torch.arange(7) < 4
        self.masks = torch.stack([left, ~left])[self.halves].long()[:, None, :].expand(-1, 9, -1)
        self.images = torch.rand(size, 2, 9, 7, generator=generator) + self.masks[:, None]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        return self._batch(index)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        return self._batch(torch.tensor(indices))

    def _batch(self, rows: Any) -> Batch:
        targets: Any = {"target": self.halves[rows], "mask": self.masks[rows]}
        return Batch(self.images[rows], targets)


class ScenesDataModule(BaseDataModule[ScenesDataModuleConfig, ScenesTaskConfig]):
    def prepare_data(self) -> None:
        pass

    def setup(self, stage: str) -> None:
        splits: dict[str, tuple[Split, ...]] = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",)}
        self.datasets.update({split: Scenes(16) for split in splits[stage]})


REGISTERED: Final[tuple[tuple[str, str, type, str, dict[str, Any]], ...]] = (
    ("task", "scenes", ScenesTaskConfig, import_path(ScenesTaskConfig), {}),
    ("datamodule", "scenes/default", ScenesDataModuleConfig, import_path(ScenesDataModule), {}),
    (
        "module",
        "scenes/default",
        ScenesModuleConfig,
        "app.tasks.shared.parts_module.PartsModule",
        {
            "model_config": {
                "backbone": {"id": "small_resnet", "depth": 8, "width": 8},
                "pooling": {"id": "average"},
                "head": {"id": "linear", "num_classes": "${task.num_classes}"},
            }
        },
    ),
)


@pytest.fixture(scope="module", autouse=True)
def _scenes() -> Iterator[None]:
    """Make the task known, and forget it afterwards: other tests list the tasks there are."""
    register_all()
    for group, name, config, live, preset in REGISTERED:
        register(group, name, target=live, **preset)(config)
    yield
    for group, name, config, _, _ in REGISTERED:
        del options._registered[group][name]
        del options._by_schema[import_path(config)]
        entries = ConfigStore.instance().repo[group]
        del entries[f"{name}.yaml" if group == "task" else "scenes"]


LEAN: Final = (
    "task=scenes",
    "callbacks=[]",
    "logger=[]",
    "trainer.max_epochs=2",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.num_sanity_val_steps=0",
    # Plain, so that what has no gradient stays as it is.
    "optimizer_spec=sgd",
    "optimizer_spec.lr=0.05",
)


def built(*overrides: str, folder: Path) -> Run:
    composed = compose([*LEAN, *overrides])
    return build_run(composed.config, run_directory=folder, loggers=[], overrides=composed.overrides)


def test_every_option_is_tried() -> None:
    tried = {override for overrides in CHOSEN for override in overrides}
    known = {
        f"{kind}={name}" for kind in ("backbone", "neck", "pooling", "head") for name in options[kind] if name != "timm"
    }
    assert known <= tried


@pytest.mark.parametrize("overrides", CHOSEN, ids=" ".join)
def test_a_part_is_swapped_by_one_override_and_trains(overrides: tuple[str, ...], tmp_path: Path) -> None:
    run = built(*overrides, folder=tmp_path)
    before = {name: parameter.detach().clone() for name, parameter in run.module.named_parameters()}

    run.trainer.fit(model=run.module, datamodule=run.datamodule)

    logged = run.trainer.callback_metrics
    assert run.trainer.current_epoch == 2
    assert {"train/loss", "val/loss"} <= logged.keys()
    assert all(value.isfinite() for value in logged.values())
    after = dict(run.module.named_parameters())
    assert [name for name, value in before.items() if torch.equal(value, after[name])] == []


def test_segmentation_learns_the_masks(tmp_path: Path) -> None:
    run = built("neck=unet", *HEADS["segmentation"], "trainer.max_epochs=20", folder=tmp_path)
    run.trainer.fit(model=run.module, datamodule=run.datamodule)
    assert run.trainer.callback_metrics["train/loss"] < 0.3  # chance is log 2


def test_a_target_that_a_head_needs_is_looked_for_in_the_batch() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["task=scenes", "head=arcface", f"{MODEL}.head.target=maks"])  # type: ignore[config]  # of a fixture
    assert [str(problem).split("   ")[0] for problem in caught.value.problems] == [
        "module: its model needs the target 'maks', which no batch has; did you mean 'mask'?"
    ]


def test_the_parts_that_digits_start_from_are_swapped_in_one_line() -> None:
    config = load_config(["module=parts", "backbone=conv", f"{MODEL}.backbone.channels=[8,8,8]", "pooling=gem"])
    parts = config.module.model_config  # type: ignore[attr-defined]  # the base of all modules has none
    assert isinstance(parts, PartsConfig)
    assert parts.backbone.num_maps() == 3
    assert parts.output_keys() == ("logits",)
