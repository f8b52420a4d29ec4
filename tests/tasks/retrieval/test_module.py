from typing import Any, cast

import pytest
import torch
from torch import Tensor

from app.compose import load_config
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.module import ModuleConfig
from app.schemas.problems import ConfigError
from app.tasks.retrieval.config import RetrievalDataModuleConfig, RetrievalTaskConfig, Sampling
from app.tasks.shared.datasets import Batch
from tests.tasks.contracts import Module, ModuleContract, new_module

_LOADER = DataLoaderConfig(batch_size=32)
# A fifth of the images, to be quick.
_LITTLE = {"train_val_split": (0.2, 0.8), "dataloader": _LOADER}


def module_config(option: str, datamodule: str) -> ModuleConfig:
    overrides = ["task=retrieval", f"module=retrieval/{option}", f"datamodule=retrieval/{datamodule}"]
    return load_config([*overrides, "module.model_config.backbone.channels=[8,8]"]).module


def made(option: str, sampling: Sampling) -> Module:
    datamodule = RetrievalDataModuleConfig(sampling=sampling)
    return new_module(module_config(option, sampling), RetrievalTaskConfig(), datamodule=datamodule)


class TestPairwiseModule(ModuleContract):
    module_config = module_config("pairwise", "pairs")
    datamodule_config = RetrievalDataModuleConfig(sampling="pairs", **cast(Any, _LITTLE))
    task = RetrievalTaskConfig()


class TestTripletModule(ModuleContract):
    module_config = module_config("triplet", "triplets")
    datamodule_config = RetrievalDataModuleConfig(sampling="triplets", **cast(Any, _LITTLE))
    task = RetrievalTaskConfig()


class TestSimCLRModule(ModuleContract):
    module_config = module_config("simclr", "views")
    datamodule_config = RetrievalDataModuleConfig(sampling="views", **cast(Any, _LITTLE))
    task = RetrievalTaskConfig()


@pytest.mark.parametrize(
    ("module", "datamodule", "advice"),
    [
        (
            "retrieval/pairwise",
            "retrieval/triplets",
            "'other_input', which no batch has; choose datamodule=retrieval/pairs",
        ),
        ("retrieval/triplet", "retrieval/views", "'positive_input', which no batch has; choose datamodule=retrieval/"),
        ("retrieval/simclr", "retrieval/single", "'other_view', which no batch has; choose datamodule=retrieval/views"),
    ],
)
def test_a_datamodule_that_draws_something_else_is_refused(module: str, datamodule: str, advice: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(["task=retrieval", f"module={module}", f"datamodule={datamodule}"])

    assert f"its model needs the target {advice}" in caught.value.problems[0].message


def test_heads_that_need_the_class_are_for_single_images() -> None:
    with pytest.raises(ConfigError, match=r"module\.model_config\.head: looks at the class"):
        load_config(["task=retrieval", "head=arcface"])  # type: ignore[config]  # refused, as it says
    fitting = ["task=retrieval", "module=parts", "datamodule=retrieval/single", "head=arcface"]
    assert load_config(fitting).module.model_outputs() == ("logits", "embedding")


def test_simclr_needs_an_embedding() -> None:
    overrides = ["task=retrieval", "module=retrieval/simclr", "datamodule=retrieval/views", "head=linear"]
    with pytest.raises(ConfigError, match="gives no embedding for the projection to start from"):
        load_config(overrides)


def test_images_that_are_compared_are_embedded_as_each_alone() -> None:
    module = made("triplet", "triplets").eval()
    images = torch.rand(3, 4, 1, 8, 8)
    targets = {"positive_input": images[1], "negative_input": images[2], "target": torch.arange(4)}

    outputs = module.step_outputs(Batch(images[0], targets))

    for name, image in zip(("anchor", "positive", "negative"), images, strict=True):
        torch.testing.assert_close(outputs[name], module(image)["embedding"])
    assert torch.equal(outputs["anchor"], outputs["embedding"])


def test_simclr_predicts_embeddings_without_the_projection() -> None:
    module = made("simclr", "views").eval()
    images: Tensor = torch.rand(2, 1, 8, 8)

    assert module.predict_step(Batch(images, {}), 0).keys() == {"embedding"}
    assert {"projection", "other_projection"} <= module.step_outputs(Batch(images, {"other_view": images})).keys()


def test_the_weights_of_simclr_are_called_as_those_of_the_parts() -> None:
    names = made("simclr", "views").state_dict().keys()
    plain = made("triplet", "triplets").state_dict().keys()

    assert plain < names
    assert {name.split(".")[1] for name in names - plain} == {"projection"}
