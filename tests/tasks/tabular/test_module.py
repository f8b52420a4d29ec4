"""The modules that serve every task, on tables of every kind: trained for real, and what comes of it."""

from pathlib import Path
from typing import Any, ClassVar, cast

import pytest
import torch
from torch import Tensor

from app.builders.run import build_run
from app.compose import load_config
from app.schemas.module import ModuleConfig
from app.schemas.modules import MLPConfig, MLPModuleConfig, PartsModuleConfig
from app.schemas.parts.backbones import MLPBackboneConfig
from app.schemas.parts.heads import LinearHeadConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.parts.poolings import AveragePoolingConfig
from app.tasks.shared.general_module import GeneralModule
from app.tasks.tabular.config import TabularDataModuleConfig, TabularTaskConfig
from app.tasks.tabular.tables import DiabetesTableConfig, WineTableConfig
from tests.tasks.contracts import ModuleContract, runs_a_trainer

QUIET = ("callbacks=[]", "logger=[]", "trainer.num_sanity_val_steps=0", "trainer.accelerator=cpu")


class _OfATable(ModuleContract):
    module_config: ClassVar[ModuleConfig] = MLPModuleConfig(model_config=MLPConfig(hidden_dims=(8,)))
    datamodule_config = TabularDataModuleConfig()

    @pytest.fixture(autouse=True)
    def _written(self) -> None:
        self._datamodule().prepare_data()


class TestYesOrNo(_OfATable):
    task = TabularTaskConfig()


class TestANumber(_OfATable):
    predicted = ("prediction",)
    task = TabularTaskConfig(table=DiabetesTableConfig())


class TestClassesByParts(_OfATable):
    module_config = PartsModuleConfig(
        model_config=PartsConfig(
            backbone=MLPBackboneConfig(hidden_dims=(8,)),
            pooling=AveragePoolingConfig(),
            head=LinearHeadConfig(num_classes=3),
        )
    )
    task = TabularTaskConfig(table=WineTableConfig())


@runs_a_trainer
@pytest.mark.parametrize(
    ("overrides", "metric", "at_least"),
    [
        (("table=breast_cancer",), "accuracy", 0.9),
        (("table=breast_cancer", "module=parts", "backbone=mlp"), "accuracy", 0.9),
        (("table=wine", "module=parts", "backbone=mlp"), "accuracy", 0.9),
        (("table=diabetes", "optimizer_spec.lr=1e-2"), "r2", 0.3),
        (("table=diabetes", "module=parts", "backbone=mlp"), "r2", 0.3),
    ],
    ids=["yes or no", "yes or no by parts", "classes by parts", "a number", "a number by parts"],
)
def test_every_kind_of_table_is_learnt(
    overrides: tuple[str, ...], metric: str, at_least: float, tmp_path: Path
) -> None:
    config = load_config(["task=tabular", "trainer.max_epochs=6", *QUIET, *overrides])
    trainer, module, datamodule = build_run(config, run_directory=tmp_path, loggers=[])

    trainer.fit(module, datamodule=datamodule)
    [result] = trainer.test(module, datamodule=datamodule, verbose=False)

    assert result[f"test/{metric}"] > at_least


@runs_a_trainer
def test_a_number_is_predicted_in_its_own_unit_after_a_reload_too(tmp_path: Path) -> None:
    config = load_config(["task=tabular", "table=diabetes", "trainer.max_epochs=2", *QUIET])
    trainer, module, datamodule = build_run(config, run_directory=tmp_path, loggers=[])
    trainer.fit(module, datamodule=datamodule)
    trainer.save_checkpoint(tmp_path / "last.ckpt")

    again = type(cast(GeneralModule[Any], module)).load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)

    inputs = torch.randn(5, 10)
    outputs: dict[str, Tensor] = module.eval()(inputs)
    assert list(outputs) == ["prediction"]
    assert outputs["prediction"].shape == (5,)
    assert 50 < outputs["prediction"].mean().item() < 250
    assert torch.equal(again.eval()(inputs)["prediction"], outputs["prediction"])
