from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchmetrics import Metric
from torchmetrics.classification import MulticlassRecall

from app.schemas.phases import Phase, Split
from app.schemas.schedulers import CosineAnnealingLRSpec, OneCycleLRSpec
from app.schemas.schema import schema
from app.tasks.shared.datasets import Batch, InMemoryDataset, collate
from app.tasks.shared.module import BaseModule, Outputs
from tests.tasks.contracts import quiet_trainer, runs_a_trainer
from tests.tasks.shared.toy import (
    ToyDataModule,
    ToyDataModuleConfig,
    ToyModelConfig,
    ToyModule,
    ToyTaskConfig,
    toy_datamodule,
    toy_module,
)


class WithExtras(ToyModule):
    def extra_losses(self, outputs: Outputs, batch: Batch) -> dict[str, Tensor]:
        return {"norm": outputs["logits"].square().mean(), "bias": batch.targets.float().mean()}

    def extra_metrics(self, phase: Phase) -> dict[str, Metric]:
        return {"recall": MulticlassRecall(self.task.num_classes)} if phase == "val" else {}


class OtherValidation(ToyModule):
    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> None:
        assert (batch_idx >= 0, dataloader_idx) == (True, 0)
        self.log("val/mean", batch.inputs.mean())


def test_a_module_without_a_model_cannot_be_made() -> None:
    class Forgetful(BaseModule[ToyModelConfig, ToyTaskConfig]):
        pass

    with pytest.raises(TypeError, match=r"Can't instantiate abstract class Forgetful .*initialize_model"):
        Forgetful(**toy_module().hparams)  # type: ignore[abstract]  # the point


def test_it_takes_configs_or_what_checkpoints_hold_of_them() -> None:
    module = toy_module()

    again = ToyModule(**module.hparams)

    assert (again.model_config, again.optimizer_spec) == (module.model_config, module.optimizer_spec)
    assert (again.scheduler_spec, again.task) == (None, module.task)
    assert again.hparams == module.hparams


def test_a_step_returns_the_loss_of_its_batch() -> None:
    module = toy_module()
    batch = Batch(torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([1, 0]))

    logits = module(batch.inputs)["logits"]
    assert torch.equal(module.training_step(batch, 0), functional.cross_entropy(logits, batch.targets))


def test_extra_losses_are_added_in_training() -> None:
    module = toy_module(WithExtras)
    batch = Batch(torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([1, 0]))
    outputs = module(batch.inputs)["logits"]

    expected = functional.cross_entropy(outputs, batch.targets) + outputs.square().mean() + 0.5

    assert torch.allclose(module.training_step(batch, 0), expected)
    logged = module.train_metrics.compute()
    assert torch.allclose(logged["train/loss"], expected)
    assert logged["train/bias"] == 0.5


@runs_a_trainer
def test_extra_losses_and_metrics_are_logged_where_they_belong(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path)

    trainer.fit(toy_module(WithExtras), datamodule=toy_datamodule())

    assert set(trainer.callback_metrics) == {
        *("train/loss", "train/norm", "train/bias", "train/accuracy"),
        *("val/loss", "val/accuracy", "val/recall"),
    }


@schema
class TwoValSetsConfig(ToyDataModuleConfig):
    def dataset_names(self, split: Split) -> tuple[str, ...]:
        return ("clean", "noisy") if split == "val" else ()


class TwoValSets(ToyDataModule):
    def val_dataloader(self) -> Any:
        clean: Any = self.datasets["val"]
        noisy = InMemoryDataset(clean.inputs.neg(), clean.targets)
        return [DataLoader(dataset, batch_size=4, collate_fn=collate) for dataset in (clean, noisy)]


@runs_a_trainer
def test_several_datasets_of_a_split_have_results_of_their_own(tmp_path: Path) -> None:
    trainer, module = quiet_trainer(tmp_path), toy_module()
    datamodule = TwoValSets(TwoValSetsConfig(), ToyTaskConfig())

    trainer.validate(module, datamodule=datamodule, verbose=False)

    values = {name: float(value) for name, value in trainer.callback_metrics.items()}
    dataset: Any = datamodule.datasets["val"]
    for name, inputs in (("clean", dataset.inputs), ("noisy", -dataset.inputs)):
        right = (module(inputs)["logits"].argmax(dim=1) == dataset.targets).float().mean()
        assert values[f"val/{name}/accuracy"] == pytest.approx(float(right))
    assert values.keys() == {f"val/{name}/{what}" for name in ("clean", "noisy") for what in ("accuracy", "loss")}


@runs_a_trainer
def test_one_step_can_be_overridden_without_the_others(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path)

    trainer.fit(toy_module(OtherValidation), datamodule=toy_datamodule())

    assert set(trainer.callback_metrics) == {"train/loss", "train/accuracy", "val/mean"}


@runs_a_trainer
def test_values_are_means_over_the_epochs_samples(tmp_path: Path) -> None:
    # Ten samples in batches of four: a mean over batches would count the last two samples double.
    module, datamodule = toy_module(), toy_datamodule(batch_size=4)
    trainer = quiet_trainer(tmp_path)
    [result] = trainer.validate(module, datamodule=datamodule, verbose=False)

    dataset: Any = datamodule.datasets["val"]
    inputs, targets = dataset.inputs, dataset.targets
    outputs = module(inputs)["logits"]

    assert result["val/loss"] == pytest.approx(functional.cross_entropy(outputs, targets).item(), abs=1e-6)
    assert result["val/accuracy"] == pytest.approx((outputs.argmax(dim=1) == targets).float().mean().item())


@runs_a_trainer
def test_each_value_is_logged_once_per_epoch_and_on_the_progress_bar(tmp_path: Path) -> None:
    calls: list[tuple[str, bool]] = []

    class Recorded(ToyModule):
        def log(self, name: str, value: Any, *args: Any, **settings: Any) -> None:
            calls.append((name, settings["prog_bar"]))
            super().log(name, value, *args, **settings)

    quiet_trainer(tmp_path, num_sanity_val_steps=0, max_epochs=2).fit(
        toy_module(Recorded), datamodule=toy_datamodule(batch_size=2)
    )

    once = [("val/loss", True), ("val/accuracy", True), ("train/loss", True), ("train/accuracy", True)]
    assert calls == once * 2


@runs_a_trainer
def test_the_sanity_check_leaves_no_trace_in_the_first_epoch(tmp_path: Path) -> None:
    values = [_first_epoch(tmp_path, sanity_steps) for sanity_steps in (0, 1)]

    assert values[0] == values[1]


@runs_a_trainer
def test_metrics_hold_nothing_when_training_starts(tmp_path: Path) -> None:
    class Unfinished(ToyModule):
        def on_validation_epoch_end(self) -> None:
            if not self.trainer.sanity_checking:
                super().on_validation_epoch_end()

    class Watch(Callback):
        updates: int | None = None

        def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
            assert trainer.sanity_checking is False
            self.updates = len(pl_module.val_metrics.compute())

    watch = Watch()
    quiet_trainer(tmp_path, callbacks=[watch]).fit(toy_module(Unfinished), datamodule=toy_datamodule())

    assert watch.updates == 0


@runs_a_trainer
def test_the_scheduler_is_stepped_as_its_spec_says(tmp_path: Path) -> None:
    module = toy_module(scheduler_spec=CosineAnnealingLRSpec(T_max=2, interval="epoch"))
    quiet_trainer(tmp_path, max_epochs=1).fit(module, datamodule=toy_datamodule())

    assert module.optimizers().param_groups[0]["lr"] == pytest.approx(0.05)  # type: ignore[union-attr]  # there is one


@runs_a_trainer
def test_one_cycle_lasts_as_long_as_the_run(tmp_path: Path) -> None:
    module = toy_module(scheduler_spec=OneCycleLRSpec(max_lr=0.5))
    quiet_trainer(tmp_path, max_epochs=2).fit(module, datamodule=toy_datamodule(batch_size=2))

    assert module.lr_schedulers().total_steps == 10  # type: ignore[union-attr]  # there is one


def test_optimizers_see_the_model_and_nothing_else() -> None:
    module = toy_module()
    optimizer: Any = module.configure_optimizers()

    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}

    assert trained == {id(parameter) for parameter in module.model.parameters()}
    assert isinstance(module.model, nn.Module)


def _first_epoch(folder: Path, sanity_steps: int) -> dict[str, float]:
    trainer = quiet_trainer(folder, num_sanity_val_steps=sanity_steps)
    trainer.fit(toy_module(), datamodule=toy_datamodule())
    return {name: float(value) for name, value in trainer.callback_metrics.items()}
