from pathlib import Path

import pytest
import torch
from lightning import LightningModule
from torch import Tensor

from app.builders.run import Run, load_from_config
from app.callbacks.export import ExportBest
from app.compose import load_config
from app.export.contents import read_exported
from app.export.exported_model import load_exported
from app.from_checkpoint import load_from_checkpoint
from app.schemas.plain import to_plain
from app.schemas.run import RunConfig

TINY = [
    "module=mlp",
    "module.model_config.hidden_dims=[3]",
    "optimizer_spec.lr=0.1",
    "trainer.max_epochs=3",
    "trainer.limit_train_batches=1",
    "trainer.limit_val_batches=1",
    "trainer.accelerator=cpu",
    "logger=[]",
    "callbacks=[checkpoint,export]",
    "callbacks.export.format=torch_export",
]

pytestmark = pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\).:FutureWarning")


def trained(folder: Path, words: list[str]) -> tuple[Run, RunConfig, ExportBest]:
    config = load_config([*TINY, f'run_directory.root="{folder}"', *words])
    run = load_from_config(config)
    run.trainer.fit(model=run.module, datamodule=run.datamodule)
    (callback,) = (one for one in run.trainer.callbacks if isinstance(one, ExportBest))  # type: ignore[attr-defined]  # set by a connector
    return run, config, callback


def computed(module: LightningModule, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = module.eval()(images)["logits"]
    return logits


def test_the_best_checkpoint_is_exported_and_the_module_stays_as_it_is(tmp_path: Path) -> None:
    # Such small steps change the weights and not the accuracy, so that the first epoch stays the best.
    small = ["optimizer_spec.lr=1e-4", "callbacks.checkpoint.monitor=val/accuracy", "callbacks.checkpoint.mode=max"]
    run, config, callback = trained(tmp_path, [*small, "callbacks.export.file=best"])

    assert callback.failure is None
    assert callback.exported is not None
    file = callback.exported.file
    assert file == Path(run.trainer.default_root_dir, "best.pt2")
    images = torch.rand(5, 1, 8, 8)
    assert run.trainer.checkpoint_callback is not None
    folder = Path(run.trainer.default_root_dir, "checkpoints")
    kept = {path.name: load_from_checkpoint(path).module for path in folder.glob("*.ckpt")}
    best = kept.pop(Path(run.trainer.checkpoint_callback.best_model_path).name)  # type: ignore[attr-defined]  # ours has one
    torch.testing.assert_close(load_exported(str(file))(images)["logits"], computed(best, images))
    torch.testing.assert_close(computed(run.module, images), computed(kept["last.ckpt"], images))
    assert not torch.allclose(computed(best, images), computed(run.module, images))
    contents = read_exported(str(file))
    assert contents.config == to_plain(config)
    assert contents.description["global_step"] < run.trainer.global_step


def test_without_a_checkpoint_the_module_is_exported_as_it_is(tmp_path: Path) -> None:
    run, _, callback = trained(tmp_path, ["callbacks=[export]", "callbacks.export.format=torch_export"])
    assert callback.exported is not None
    images = torch.rand(2, 1, 8, 8)
    found = load_exported(str(callback.exported.file))(images)["logits"]
    torch.testing.assert_close(found, computed(run.module, images))
    assert read_exported(str(callback.exported.file)).description["global_step"] == run.trainer.global_step == 3


def test_a_failed_export_does_not_undo_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from app.models.mlp import MLP

    monkeypatch.setattr(MLP, "forward", lambda self, inputs: _by_values(self, inputs))
    run, _, callback = trained(tmp_path, [])
    assert run.trainer.state.finished
    assert callback.exported is None
    assert str(callback.failure) == "the model cannot be exported: what it does depends on the values of its inputs"
    assert f"the model is not exported: {callback.failure}" in caplog.messages
    assert not list(Path(run.trainer.default_root_dir).glob("model*"))


def _by_values(mlp: torch.nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = mlp.head(mlp.backbone(inputs))  # type: ignore[operator]  # modules
    return logits if inputs.sum() > 0 else -logits
