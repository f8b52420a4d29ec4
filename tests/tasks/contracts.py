"""What holds for the module and the datamodule of every task.

A task's tests inherit `ModuleContract` and `DataModuleContract`, say which configs to use, and get the whole suite.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Subset

from app.builders.run import build_module
from app.builders.targets import live_class
from app.schemas.datamodule import DataModuleConfig
from app.schemas.module import ModuleConfig
from app.schemas.phases import Phase, Split
from app.schemas.plain import to_plain
from app.schemas.run import RunConfig
from app.schemas.schedulers import CosineAnnealingLRSpec
from app.schemas.task import TaskConfig
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import ShuffledSampler
from app.tasks.shared.fingerprint import FingerprintError
from app.tasks.shared.module import BaseModule

TestT = TypeVar("TestT")
Module = BaseModule[Any, Any]
DataModule = BaseDataModule[Any, Any]

_BY_LIGHTNING = (
    # Workers are advised to everyone; data in memory is faster without.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    # Lightning 2.6 still asks for a class that torch 2.13 is about to drop.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
)


def runs_a_trainer(test: TestT) -> TestT:
    """Mark a test, or a class of them, in which Lightning warns of what is not ours to change."""
    return reduce(lambda marked, mark: cast(TestT, mark(marked)), _BY_LIGHTNING, test)


def new_module(config: ModuleConfig, task: TaskConfig, **parts: Any) -> Module:
    """The live module of a config, as a run makes it; `parts` are others of the run's."""
    return cast(Module, build_module(RunConfig(task=task, module=config, **parts)))


def new_datamodule(config: DataModuleConfig, task: TaskConfig) -> DataModule:
    """The live datamodule of a config, whichever module a run has beside it."""
    return cast(DataModule, live_class(config)(config, task))


def quiet_trainer(folder: Path, **settings: Any) -> Trainer:
    """A trainer on the CPU that shows nothing, and writes nothing outside `folder`."""
    return Trainer(
        **{
            "accelerator": "cpu",
            "max_epochs": 1,
            "logger": False,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "default_root_dir": folder,
            **settings,
        }
    )


def assert_equal_tensors(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    """Equal to the last bit."""
    assert one.keys() == other.keys()
    different = [name for name in one if not torch.equal(one[name], other[name])]
    assert not different


@runs_a_trainer
class ModuleContract:
    """Inherit and set the three configs."""

    module_config: ClassVar[ModuleConfig]
    datamodule_config: ClassVar[DataModuleConfig]
    task: ClassVar[TaskConfig]
    predicted: ClassVar[tuple[str, ...] | None] = None
    """What it predicts, where that is made of the model's outputs."""

    def test_a_training_step_reaches_every_parameter(self) -> None:
        seed_everything(0, verbose=False)
        module, datamodule = self._module(), self._datamodule()
        datamodule.setup("fit")
        before = {name: parameter.detach().clone() for name, parameter in module.model.named_parameters()}
        optimizer = cast(torch.optim.Optimizer, module.configure_optimizers())

        loss = module.training_step(next(iter(datamodule.train_dataloader())), 0)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()

        assert loss.isfinite()
        assert before
        assert [name for name, value in module.model.named_parameters() if torch.equal(value, before[name])] == []

    def test_a_run_logs_what_the_config_says(self, tmp_path: Path) -> None:
        module, datamodule = self._module(), self._datamodule()
        trainer = quiet_trainer(tmp_path)

        trainer.fit(module, datamodule=datamodule)
        in_fit = set(trainer.callback_metrics)
        trainer.test(module, datamodule=datamodule, verbose=False)

        config = RunConfig(task=self.task, module=self.module_config, datamodule=self.datamodule_config)
        logged = config.logged_metrics().keys()
        assert in_fit == {name for name in logged if not name.startswith("test/")}
        assert in_fit | set(trainer.callback_metrics) == logged

    def test_a_checkpoint_alone_restores_the_module(self, tmp_path: Path) -> None:
        module = self._module(scheduler_spec=CosineAnnealingLRSpec(T_max=20))
        trainer = quiet_trainer(tmp_path)
        trainer.fit(module, datamodule=self._datamodule())
        path = tmp_path / "last.ckpt"
        trainer.save_checkpoint(path)

        restored = type(module).load_from_checkpoint(path, weights_only=True)

        assert_equal_tensors(restored.state_dict(), module.state_dict())
        assert restored.hparams == module.hparams
        assert restored.hparams["model_config"] == to_plain(module.model_config)
        assert (restored.optimizer_spec, restored.scheduler_spec) == (module.optimizer_spec, module.scheduler_spec)
        assert (restored.model_config, restored.task) == (module.model_config, module.task)

    def test_two_runs_with_one_seed_are_bit_identical(self, tmp_path: Path) -> None:
        one, other = self._trained(tmp_path, seed=3), self._trained(tmp_path, seed=3)
        different = self._trained(tmp_path, seed=4)

        assert_equal_tensors(one, other)
        assert any(not torch.equal(one[name], different[name]) for name in one)

    def test_it_predicts_one_row_for_each_sample(self, tmp_path: Path) -> None:
        module, datamodule = self._module(), self._datamodule()

        batches = quiet_trainer(tmp_path).predict(module, datamodule=datamodule)

        rows = len(cast(Any, datamodule.datasets["predict"]))
        keys = self.predicted or self.module_config.model_outputs()
        for name in keys:
            outputs = torch.cat([cast(dict[str, Tensor], batch)[name] for batch in batches or []])
            assert len(outputs) == rows
            assert not outputs.requires_grad
        assert keys

    def _module(self, **parts: Any) -> Module:
        return new_module(self.module_config, self.task, datamodule=self.datamodule_config, **parts)

    def _datamodule(self) -> DataModule:
        datamodule = new_datamodule(self.datamodule_config, self.task)
        datamodule.prepare_data()
        return datamodule

    def _trained(self, folder: Path, *, seed: int) -> dict[str, Tensor]:
        seed_everything(seed, workers=True, verbose=False)
        module = self._module()
        quiet_trainer(folder, max_epochs=2).fit(module, datamodule=self._datamodule())
        return module.state_dict()


class BatchContract:
    """What a datamodule's config says of its batches; inherit and set what `DataModuleContract` says."""

    datamodule_config: ClassVar[DataModuleConfig]
    task: ClassVar[TaskConfig]
    variations: ClassVar[Sequence[DataModuleConfig]]

    @pytest.mark.parametrize("split", ["train", "val", "test"])
    def test_batches_are_as_the_config_declares(self, split: Phase) -> None:
        for config in (self.datamodule_config, *self.variations):
            datamodule = self._made(config)
            datamodule.setup("test" if split == "test" else "fit")
            declared = config.batch(self.task)
            found: dict[str, list[Tensor]] = {}
            for inputs, targets in getattr(datamodule, f"{split}_dataloader")():
                named = {"target": targets} if isinstance(targets, Tensor) else targets
                for name, tensor in {"input": inputs, **named}.items():
                    found.setdefault(name, []).append(tensor)

            expected = {"input": declared.input, **declared.targets}
            assert found.keys() == expected.keys()
            assert declared.targets.keys() == set(config.target_keys())
            for name, spec in expected.items():
                tensors = found[name]
                assert {(tuple(tensor.shape[1:]), str(tensor.dtype)) for tensor in tensors} == {
                    (spec.shape, f"torch.{spec.dtype}")
                }
                assert spec.low is None or min(tensor.min().item() for tensor in tensors) >= spec.low
                assert spec.high is None or max(tensor.max().item() for tensor in tensors) <= spec.high

    def test_evaluation_may_have_a_loader_of_its_own(self) -> None:
        training, evaluation = (
            dataclasses.replace(self.datamodule_config.dataloader, batch_size=size) for size in (3, 5)
        )
        config = dataclasses.replace(self.datamodule_config, dataloader=training, evaluation_dataloader=evaluation)
        datamodule = self._made(config)
        for stage in ("fit", "test", "predict"):
            datamodule.setup(stage)

        assert datamodule.train_dataloader().batch_size == datamodule.batch_size == 3
        for loader in _loaders_in_order(datamodule):
            assert loader.batch_size == 5

    def _made(self, config: DataModuleConfig) -> DataModule:
        return new_datamodule(config, self.task)


class DataModuleContract(BatchContract):
    """Inherit and set the config, the task, and configs that differ in every way that training data may vary."""

    @pytest.mark.parametrize(
        ("stage", "splits"),
        [("fit", ("train", "val")), ("validate", ("val",)), ("test", ("test",)), ("predict", ("predict",))],
    )
    def test_each_stage_fills_its_splits(self, stage: str, splits: tuple[Split, ...]) -> None:
        datamodule = self._ready(stage)

        assert {split: len(cast(Any, datamodule.datasets[split])) > 0 for split in splits} == dict.fromkeys(
            splits, True
        )

    def test_the_test_split_is_the_same_in_every_variation(self) -> None:
        assert self.variations
        for config in (self.datamodule_config, *self.variations):
            datamodule = new_datamodule(config, self.task)
            datamodule.setup("fit")
            datamodule.setup("test")

            datamodule.test_dataloader()

            assert datamodule.verified_fingerprint == self.task.test_fingerprint

    def test_another_test_split_is_refused(self) -> None:
        datamodule = self._ready("test")
        split = cast(Any, datamodule.datasets["test"])
        datamodule.datasets["test"] = Subset(split, range(1, len(split)))

        with pytest.raises(FingerprintError) as caught:
            datamodule.test_dataloader()

        assert caught.value.expected == self.task.test_fingerprint
        assert caught.value.found == datamodule.test_fingerprint() != caught.value.expected
        assert datamodule.verified_fingerprint is None

    def test_only_train_is_shuffled(self) -> None:
        datamodule = self._ready("fit", "test", "predict")

        for loader in _loaders_in_order(datamodule):
            assert list(cast(Any, loader.sampler)) == list(range(len(cast(Any, loader.dataset))))
        in_order = list(range(len(cast(Any, datamodule.datasets["train"]))))
        first, second = _orders(datamodule.train_dataloader(), epochs=2)
        assert sorted(first) == sorted(second) == in_order
        assert first != second
        assert in_order not in (first, second)

    def test_train_batches_are_a_function_of_seed_and_epoch(self) -> None:
        first = self._first_batch(epoch=1)
        # What else draws random numbers in between must not matter.
        torch.rand(7)

        assert all(torch.equal(one, other) for one, other in zip(first, self._first_batch(epoch=1), strict=True))
        assert not torch.equal(first[0], self._first_batch(epoch=2)[0])

    def test_loading_leaves_the_global_generator_alone(self) -> None:
        datamodule = self._ready("fit")
        before = torch.get_rng_state()

        next(iter(datamodule.train_dataloader()))

        assert torch.equal(torch.get_rng_state(), before)

    def test_a_resumed_datamodule_goes_on_in_the_same_order(self) -> None:
        seed_everything(1, verbose=False)
        datamodule = self._ready("fit")
        state = datamodule.state_dict()
        seed_everything(2, verbose=False)
        resumed = self._ready("fit")
        assert _orders(resumed.train_dataloader(), epochs=1) != _orders(datamodule.train_dataloader(), epochs=1)

        resumed.load_state_dict(state)

        assert _orders(resumed.train_dataloader(), epochs=2) == _orders(datamodule.train_dataloader(), epochs=2)

    def test_the_config_is_kept_as_plain_containers(self) -> None:
        datamodule = self._ready()

        assert datamodule.hparams["datamodule_config"] == to_plain(self.datamodule_config)
        again = type(datamodule)(**datamodule.hparams)
        assert (again.datamodule_config, again.task) == (self.datamodule_config, self.task)

    def test_only_train_leaves_out_an_unfilled_batch(self) -> None:
        config = dataclasses.replace(
            self.datamodule_config,
            dataloader=dataclasses.replace(self.datamodule_config.dataloader, drop_last=True, batch_size=7),
        )
        datamodule = new_datamodule(config, self.task)
        datamodule.setup("fit")

        assert datamodule.train_dataloader().drop_last
        assert not cast(DataLoader[Any], datamodule.val_dataloader()).drop_last

    def _ready(self, *stages: str) -> DataModule:
        datamodule = new_datamodule(self.datamodule_config, self.task)
        datamodule.prepare_data()
        for stage in stages:
            datamodule.setup(stage)
        return datamodule

    def _first_batch(self, *, epoch: int) -> tuple[Tensor, ...]:
        seed_everything(5, verbose=False)
        datamodule = self._ready("fit")
        loader = datamodule.train_dataloader()
        cast(ShuffledSampler, loader.sampler).set_epoch(epoch)
        return tuple(tree_leaves(tuple(next(iter(loader)))))


def _loaders_in_order(datamodule: DataModule) -> list[DataLoader[Any]]:
    """The loaders that do not shuffle, of datamodules with one dataset for each split."""
    loaders = (datamodule.val_dataloader(), datamodule.test_dataloader(), datamodule.predict_dataloader())
    return [cast(DataLoader[Any], loader) for loader in loaders]


def _orders(loader: DataLoader[Any], *, epochs: int) -> list[list[int]]:
    sampler = cast(ShuffledSampler, loader.sampler)
    orders = []
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    return orders
