"""Whole runs from Python, and what makes two of them comparable."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from app import RunConfig, load_config, load_from_config
from app.compose import compose
from app.schemas.modules import MLPConfig, MLPModuleConfig
from app.schemas.optimizers import SGDSpec
from app.schemas.problems import ConfigError
from app.tasks.digits.config import DigitsTaskConfig
from app.tasks.shared.fingerprint import FingerprintError
from app.tasks.shared.mlp_module import MLPModule
from app.train import train

FAST = ["module=mlp", "trainer.max_epochs=2", "trainer.limit_train_batches=5", "callbacks=[checkpoint]"]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def weights(run: Path) -> dict[str, torch.Tensor]:
    loaded: dict[str, torch.Tensor] = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return loaded


def metrics(run: Path) -> str:
    return (run / "metrics.csv").read_text()


@pytest.mark.parametrize("module", ["mlp", "digits/cnn"])
def test_two_runs_with_one_seed_are_bit_identical(module: str, tmp_path: Path) -> None:
    overrides = [*FAST, f"module={module}", "datamodule.augmentations.noise={id: gaussian_noise}"]
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        train(compose([*overrides, f"seed_params.seed={seed}"]), str(tmp_path / name))

    one, same, other = (weights(tmp_path / name) for name in ("one", "same", "other"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert metrics(tmp_path / "one") == metrics(tmp_path / "same")
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    train(compose(FAST), str(tmp_path / "none"))
    train(compose([*FAST, "datamodule.dataloader.num_workers=2"]), str(tmp_path / "two"))

    none, two = weights(tmp_path / "none"), weights(tmp_path / "two")
    assert all(torch.equal(none[name], two[name]) for name in none)


def test_a_sweep_is_judged_by_the_monitor_at_the_best_checkpoint(tmp_path: Path) -> None:
    score = train(compose(FAST), str(tmp_path / "run"))

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["monitor"] == "val/loss"
    best = torch.load(result["checkpoint"], weights_only=True)
    (state,) = [value for name, value in best["callbacks"].items() if name.startswith("RunCheckpoint")]
    assert score == result["score"] == float(state["best_model_score"])


def test_without_a_checkpoint_the_score_is_the_last_one_and_the_last_weights_are_tested(tmp_path: Path) -> None:
    score = train(compose([*FAST, "callbacks=[]"]), str(tmp_path / "run"))

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert score is not None
    assert result["checkpoint"] is None
    assert f"{score:.5f}"[:6] in metrics(tmp_path / "run")


def test_a_run_from_python_is_built_without_touching_the_disk(tmp_path: Path) -> None:
    trainer, module, datamodule = load_from_config(load_config(FAST))

    assert list(tmp_path.iterdir()) == []
    trainer.fit(model=module, datamodule=datamodule)
    run = Path(trainer.default_root_dir)
    assert run.parent == tmp_path / "runs" / "digits" or run.parent == Path("runs/digits")
    assert yaml.safe_load((run / "config.yaml").read_text())["trainer"]["max_epochs"] == 2
    assert (run / "metrics.csv").is_file()


def test_a_config_written_as_objects_equals_the_composed_one_and_trains() -> None:
    written = RunConfig(
        task=DigitsTaskConfig(),
        module=MLPModuleConfig(model_config=MLPConfig(hidden_dims=(32,))),
        optimizer_spec=SGDSpec(lr=0.1),
    )
    words = ["module=mlp", "module.model_config.hidden_dims=[32]", "optimizer_spec=sgd", "optimizer_spec.lr=0.1"]
    assert written == load_config(words)

    written.trainer.fast_dev_run = True
    trainer, module, datamodule = load_from_config(written)
    trainer.fit(model=module, datamodule=datamodule)
    assert isinstance(module, MLPModule)
    assert module.model_config.hidden_dims == (32,)
    assert trainer.global_step == 1


def test_a_config_spoiled_behind_the_schemas_back_is_refused_when_built() -> None:
    config = load_config()
    config.callbacks["checkpoint"] = "every epoch"  # type: ignore[assignment]  # a dict checks nothing

    with pytest.raises(ConfigError) as caught:
        load_from_config(config)

    (problem,) = caught.value.problems
    assert problem.path == "callbacks.checkpoint"


def test_hyperparameters_come_back_from_a_checkpoint(tmp_path: Path) -> None:
    train(
        compose([*FAST, "module.model_config.hidden_dims=[16]", "joint_loss.losses.cross_entropy.label_smoothing=0.1"]),
        str(tmp_path / "run"),
    )

    module = MLPModule.load_from_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt", weights_only=True)

    assert module.hparams["model_config"]["hidden_dims"] == [16]
    assert module.model_config == MLPConfig(hidden_dims=(16,))
    assert module.joint_loss["cross_entropy"].label_smoothing == 0.1


def test_testing_on_another_test_split_is_refused_and_the_run_marked_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tasks.shared.digits_data.every_fifth_of_each", lambda digits: digits == 3)

    with pytest.raises(FingerprintError, match="not the one that task 'digits' is defined by"):
        train(compose([*FAST, "trainer.limit_val_batches=1"]), str(tmp_path / "run"))

    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "failed"
    assert "test" not in result


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # the run that goes on keeps its own best checkpoints
def test_a_run_goes_on_from_a_checkpoint_read_with_weights_only(tmp_path: Path) -> None:
    words = ["module=mlp", "trainer.limit_train_batches=5", "callbacks=[checkpoint]", "scheduler_spec=linear"]
    train(compose([*words, "trainer.max_epochs=1"]), str(tmp_path / "first"))
    last = tmp_path / "first" / "checkpoints" / "last.ckpt"

    trainer, module, datamodule = load_from_config(load_config([*words, "trainer.max_epochs=2"]))
    trainer.fit(model=module, datamodule=datamodule, ckpt_path=last, weights_only=True)

    assert (trainer.current_epoch, trainer.global_step) == (2, 10)
    (optimizer,) = trainer.optimizers
    assert {int(state["step"]) for state in optimizer.state.values()} == {10}


def test_a_run_that_tests_nothing_says_so(tmp_path: Path) -> None:
    train(compose([*FAST, "trainer.limit_test_batches=0"]), str(tmp_path / "run"))

    assert json.loads((tmp_path / "run" / "result.json").read_text())["test"] == {}


def test_dropping_the_only_batch_is_an_error(tmp_path: Path) -> None:
    words = [*FAST, "datamodule.dataloader.drop_last=true", "datamodule.dataloader.batch_size=5000"]

    with pytest.raises(ConfigError, match="the 1298 samples make no full batch of 5000"):
        train(compose(words), str(tmp_path / "run"))


def test_a_capturable_optimizer_is_refused_where_the_parameters_are_on_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="capturable=true is for GPUs"):
        train(compose([*FAST, "optimizer_spec.capturable=true"]), str(tmp_path / "run"))
