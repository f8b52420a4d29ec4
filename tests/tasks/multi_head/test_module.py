from typing import ClassVar

import pytest
import torch

from app.compose import load_config
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.metrics.classification import AccuracyConfig
from app.schemas.module import ModuleConfig
from app.schemas.modules import MLPConfig
from app.tasks.multi_head.config import HEADS, MLPHeadsModuleConfig, MultiHeadDataModuleConfig, MultiHeadTaskConfig
from app.tasks.shared.datasets import Batch
from tests.tasks.contracts import ModuleContract, new_module

_LITTLE_DATA = MultiHeadDataModuleConfig(train_val_split=(0.2, 0.8), dataloader=DataLoaderConfig(batch_size=32))
_PARTS = load_config(["task=multi_head", "module.model_config.backbone.channels=[8,8]"]).module
_MLP = MLPHeadsModuleConfig(model_config=MLPConfig(hidden_dims=(16,)))


class TestPartsHeadsModule(ModuleContract):
    module_config = _PARTS
    datamodule_config = _LITTLE_DATA
    task = MultiHeadTaskConfig()


class TestMLPHeadsModule(ModuleContract):
    module_config: ClassVar[ModuleConfig] = _MLP
    datamodule_config = _LITTLE_DATA
    task = MultiHeadTaskConfig()


@pytest.mark.parametrize("config", [_PARTS, _MLP], ids=["parts", "mlp"])
def test_each_head_is_predicted_with_its_class_and_probabilities(config: ModuleConfig) -> None:
    module = new_module(config, MultiHeadTaskConfig()).eval()

    outputs = module.predict_step(Batch(torch.rand(5, 1, 8, 8), {}), 0)

    for target, count in HEADS.items():
        assert outputs[f"{target}_logits"].shape == (5, count)
        torch.testing.assert_close(outputs[f"{target}_probabilities"].sum(dim=1), torch.ones(5))
        assert torch.equal(outputs[f"{target}_class"], outputs[f"{target}_probabilities"].argmax(dim=1))


def test_a_metric_may_look_at_what_a_head_decided_on() -> None:
    both = AccuracyConfig(
        task="multiclass", num_classes=2, average="micro", mapping={"preds": "parity_class", "target": "parity"}
    )
    module = new_module(_MLP, MultiHeadTaskConfig(), metrics={"decided": both}).eval()
    targets = {target: torch.zeros(4, dtype=torch.int64) for target in HEADS}

    outputs = module.step_outputs(Batch(torch.rand(4, 1, 8, 8), targets))

    assert torch.equal(outputs["parity_class"], outputs["parity_logits"].argmax(dim=1))


def test_the_joint_loss_is_the_mean_of_the_heads_cross_entropies() -> None:
    module = new_module(_MLP, MultiHeadTaskConfig()).eval()
    targets = {target: torch.arange(6) % count for target, count in HEADS.items()}
    outputs = module.step_outputs(Batch(torch.rand(6, 1, 8, 8), targets))

    total, terms = module.joint_loss(outputs, "train")

    single = [torch.nn.functional.cross_entropy(outputs[f"{target}_logits"], targets[target]) for target in HEADS]
    torch.testing.assert_close(total, torch.stack(single).mean())
    assert list(terms) == [f"{target}_loss" for target in HEADS]
