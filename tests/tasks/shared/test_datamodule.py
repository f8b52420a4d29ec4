import dataclasses
import pickle
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from app.schemas.augmentations.colours import GaussianNoiseConfig
from app.schemas.datamodule import DataLoaderConfig, FurtherDatasetConfig
from app.schemas.modules import MLPModuleConfig
from app.schemas.problems import AppError
from app.schemas.run import RunConfig
from app.tasks.shared.datamodule import BaseDataModule, MissingSplitError
from app.tasks.shared.fingerprint import FingerprintError
from tests.tasks.contracts import assert_equal_tensors, quiet_trainer, runs_a_trainer
from tests.tasks.shared.toy import ToyDataModule, ToyDataModuleConfig, ToyTaskConfig, toy_datamodule, toy_module


class ForgetsVal(ToyDataModule):
    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.datasets.pop("val", None)


def test_a_datamodule_without_setup_cannot_be_made() -> None:
    class Forgetful(BaseDataModule[ToyDataModuleConfig, ToyTaskConfig]):
        def prepare_data(self) -> None:
            pass

    with pytest.raises(TypeError, match=r"Can't instantiate abstract class Forgetful .*setup"):
        Forgetful(ToyDataModuleConfig(), ToyTaskConfig())  # type: ignore[abstract]  # the point


def test_a_datamodule_without_prepare_data_cannot_be_made() -> None:
    class Forgetful(BaseDataModule[ToyDataModuleConfig, ToyTaskConfig]):
        def setup(self, stage: str) -> None:
            assert stage

    with pytest.raises(TypeError, match=r"Can't instantiate abstract class Forgetful .*prepare_data"):
        Forgetful(ToyDataModuleConfig(), ToyTaskConfig())  # type: ignore[abstract]  # the point


def test_a_split_that_setup_left_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingSplitError) as caught:
        quiet_trainer(tmp_path).fit(toy_module(), datamodule=toy_datamodule(ForgetsVal))

    assert str(caught.value) == "ForgetsVal.setup must put a dataset into self.datasets['val']; it holds only train"
    assert (caught.value.split, caught.value.filled) == ("val", ("train",))


def test_a_datamodule_that_was_not_set_up_says_so() -> None:
    with pytest.raises(MissingSplitError, match=r"^ToyDataModule\.setup must put .*\['train'\]; it holds nothing$"):
        toy_datamodule().train_dataloader()


def test_testing_on_another_split_than_the_tasks_is_refused(tmp_path: Path) -> None:
    datamodule = toy_datamodule()

    with pytest.raises(FingerprintError) as caught:
        quiet_trainer(tmp_path).test(toy_module(), datamodule=datamodule, verbose=False)

    found = datamodule.test_fingerprint()
    assert (caught.value.task, caught.value.found, caught.value.expected) == ("toy", found, "52a1")
    assert str(caught.value) == (
        "the test split is not the one that task 'toy' is defined by, so its results could not be compared: "
        f"its fingerprint is {found}, expected 52a1"
    )


@runs_a_trainer
def test_the_verified_fingerprint_is_kept_for_the_results(tmp_path: Path) -> None:
    datamodule = toy_datamodule()
    datamodule.setup("test")
    datamodule.task.test_fingerprint = datamodule.test_fingerprint()
    assert datamodule.verified_fingerprint is None

    quiet_trainer(tmp_path).test(toy_module(), datamodule=datamodule, verbose=False)

    assert datamodule.verified_fingerprint == datamodule.task.test_fingerprint


@runs_a_trainer
def test_lightning_moves_the_order_on_with_each_epoch(tmp_path: Path) -> None:
    module, datamodule = toy_module(), toy_datamodule(batch_size=10)
    seen: list[list[float]] = []
    module.register_forward_pre_hook(
        lambda _, arguments: seen.append(arguments[0][:, 0].tolist()) if module.training else None
    )
    quiet_trainer(tmp_path, max_epochs=3).fit(module, datamodule=datamodule)

    loader = datamodule.train_dataloader()
    expected = []
    for epoch in range(3):
        loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]  # ours has it
        expected += [inputs[:, 0].tolist() for inputs, _ in loader]
    assert seen == expected
    assert len({tuple(order) for order in seen}) == 3


@runs_a_trainer
def test_a_run_resumed_after_an_epoch_ends_as_the_uninterrupted_one(tmp_path: Path) -> None:
    whole = toy_module()
    quiet_trainer(tmp_path, max_epochs=3).fit(whole, datamodule=toy_datamodule())
    first = quiet_trainer(tmp_path, max_epochs=1)
    first.fit(toy_module(), datamodule=toy_datamodule())
    first.save_checkpoint(tmp_path / "first.ckpt")
    resumed, datamodule = toy_module(), toy_datamodule(seed=1)

    quiet_trainer(tmp_path, max_epochs=3).fit(resumed, datamodule=datamodule, ckpt_path=tmp_path / "first.ckpt")

    assert_equal_tensors(resumed.state_dict(), whole.state_dict())


def test_any_dataset_will_do() -> None:
    datamodule = toy_datamodule()
    datamodule.datasets["train"] = TensorDataset(torch.arange(8.0).view(8, 1), torch.arange(8))

    batches = list(datamodule.train_dataloader())

    assert [len(inputs) for inputs, _ in batches] == [4, 4]
    assert sorted(torch.cat([targets for _, targets in batches]).tolist()) == list(range(8))


@pytest.mark.parametrize(
    "error",
    [MissingSplitError("ToyDataModule", "val", ("train",)), FingerprintError("toy", found="1", expected="2")],
)
def test_errors_survive_the_way_out_of_another_process(error: AppError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_further_dataset_has_the_splits_samples_changed_once_and_for_all() -> None:
    noise = GaussianNoiseConfig(deviation=0.5)
    loaders = [DataLoaderConfig(batch_size=size) for size in (2, 3)]
    seen = []
    for loader in loaders:
        further = FurtherDatasetConfig(augmentations={"noise": noise}, dataloader=loader)
        datamodule = ToyDataModule(ToyDataModuleConfig(val_datasets={"noisy": further}), ToyTaskConfig())
        datamodule.setup("validate")
        own, noisy = cast(list[DataLoader[Any]], datamodule.val_dataloader())
        assert (own.batch_size, noisy.batch_size) == (64, loader.batch_size)
        plain, changed = (torch.cat([batch.inputs for batch in batches]) for batches in (own, noisy))
        assert 0.2 < float((changed - plain).std()) < 0.8
        seen.append(changed)
    assert torch.equal(*seen)


@runs_a_trainer
def test_results_of_further_datasets_stand_beside_those_of_the_split(tmp_path: Path) -> None:
    further = {"noisy": FurtherDatasetConfig(augmentations={"noise": GaussianNoiseConfig(deviation=2.0)})}
    config = ToyDataModuleConfig(num_samples=200, val_datasets=further, test_datasets=further)
    run_config = RunConfig(task=ToyTaskConfig(), module=MLPModuleConfig(), datamodule=config)
    alone, beside = quiet_trainer(tmp_path), quiet_trainer(tmp_path)
    module = toy_module()
    alone.fit(module, datamodule=ToyDataModule(ToyDataModuleConfig(num_samples=200), ToyTaskConfig()))

    beside.validate(module, datamodule=ToyDataModule(config, ToyTaskConfig()), verbose=False)

    values, of_split = beside.callback_metrics, alone.callback_metrics
    assert values.keys() == {name for name in run_config.logged_metrics() if name.startswith("val/")}
    assert values["val/loss"] == of_split["val/loss"]
    assert values["val/noisy/loss"] != values["val/loss"]


@runs_a_trainer
def test_modules_of_further_datasets_do_not_make_lightning_warn(tmp_path: Path) -> None:
    further = {"noisy": FurtherDatasetConfig(augmentations={"noise": GaussianNoiseConfig()})}
    datamodule = ToyDataModule(ToyDataModuleConfig(val_datasets=further), ToyTaskConfig())

    quiet_trainer(tmp_path, num_sanity_val_steps=1).fit(toy_module(), datamodule=datamodule)


def test_data_that_no_task_pins_is_tested_on_and_told_all_the_same() -> None:
    datamodule = ToyDataModule(ToyDataModuleConfig(), dataclasses.replace(ToyTaskConfig(), test_fingerprint=None))
    datamodule.setup("test")

    datamodule.test_dataloader()

    assert datamodule.verified_fingerprint == datamodule.test_fingerprint()
