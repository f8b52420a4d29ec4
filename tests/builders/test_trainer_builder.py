import inspect
import io
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint, ModelSummary, ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy

from app.builders.trainer import ON_A_THREAD, PLUGINS, build_trainer, route_lightning_logging
from app.schemas.annotations import field_types
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.schemas.trainer import Plugin, TrainerConfig


@pytest.fixture(autouse=True)
def _torch_flags() -> Iterator[None]:
    """A trainer changes torch for the whole process; put it back."""
    deterministic, benchmark = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.backends.cudnn.benchmark = benchmark


def build(run_directory: Path, **values: Any) -> Any:
    """A trainer; `Any`, because Lightning sets most of its attributes where a type checker does not see them."""
    return build_trainer(TrainerConfig(**values), callbacks=[], loggers=[], run_directory=run_directory)


@pytest.mark.parametrize("name", options["trainer"])
def test_every_option_makes_a_trainer(name: str, tmp_path: Path) -> None:
    preset: dict[str, Any] = dict(options["trainer"][name].preset)
    if preset.get("accelerator") in ("gpu", "mps"):
        preset["accelerator"] = "cpu"  # what is missing on this machine is the hardware, not the option
    trainer = build(tmp_path, **preset)
    assert type(trainer) is Trainer
    assert isinstance(trainer.strategy, DDPStrategy if name.startswith("ddp") else SingleDeviceStrategy)
    assert trainer.num_devices == (2 if name == "ddp_cpu" else 1)
    assert vars(trainer)["fast_dev_run"] is (name == "debug")
    assert vars(trainer)["overfit_batches"] == (3 if name == "overfit" else 0)
    assert trainer.barebones is (name == "barebones")


def test_every_field_reaches_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    monkeypatch.setattr("app.builders.trainer.Trainer", lambda **arguments: seen.update(arguments))
    build(tmp_path, accelerator="gpu", devices=[0, 1], max_epochs=7, plugins=["torch_sync_batch_norm"])
    assert (
        set(seen)
        == set(inspect.signature(Trainer).parameters)
        == set(field_types(TrainerConfig))
        | {
            "callbacks",
            "logger",
            "default_root_dir",
        }
    )
    assert seen["devices"] == [0, 1]
    assert seen["max_epochs"] == 7
    assert [type(plugin).__name__ for plugin in seen["plugins"]] == ["TorchSyncBatchNorm", "VerifiedCheckpointIO"]


def test_nothing_is_added_to_what_was_chosen(tmp_path: Path) -> None:
    trainer = build(tmp_path)
    assert trainer.callbacks == []
    assert trainer.loggers == []
    assert trainer.default_root_dir == str(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_chosen_callbacks_and_loggers_are_the_only_ones(tmp_path: Path) -> None:
    callbacks = [ModelSummary(), RichProgressBar(), ModelCheckpoint(dirpath=tmp_path)]
    logger = CSVLogger(tmp_path)
    trainer: Any = build_trainer(TrainerConfig(), callbacks=callbacks, loggers=[logger], run_directory=tmp_path)
    assert trainer.callbacks == callbacks
    assert trainer.loggers == [logger]


def test_switches_win_over_the_choice_of_callbacks(tmp_path: Path) -> None:
    trainer = build(tmp_path, enable_checkpointing=True, enable_progress_bar=True, enable_model_summary=True)
    for kind in (Checkpoint, ProgressBar, ModelSummary):
        assert sum(isinstance(callback, kind) for callback in trainer.callbacks) == 1


def test_determinism_does_not_leak_from_one_job_into_the_next(tmp_path: Path) -> None:
    build(tmp_path, deterministic=True)
    assert torch.are_deterministic_algorithms_enabled()
    build(tmp_path, deterministic=False, benchmark=True)
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.benchmark
    build(tmp_path)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.benchmark


def test_every_plugin_can_be_made_without_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {*PLUGINS, ON_A_THREAD} == set(get_args(Plugin))
    # A cluster environment reads where it is from variables that its scheduler sets.
    for name, value in {
        "LSB_JOBID": "1",
        "LSB_DJOB_RANKFILE": str(tmp_path / "ranks"),
        "JSM_NAMESPACE_SIZE": "1",
        "JSM_NAMESPACE_RANK": "0",
        "JSM_NAMESPACE_LOCAL_RANK": "0",
        "MASTER_ADDR": "localhost",
        "MASTER_PORT": "1234",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "ranks").write_text(f"batch\n{socket.gethostname()}\n")
    for name in (*PLUGINS, ON_A_THREAD):
        if name != "mpi_environment":  # the rule refuses it without mpi4py
            assert isinstance(build(tmp_path, plugins=[name], accelerator="cpu"), Trainer)


ON_CPU: dict[str, Any] = {"accelerator": "cpu", "logger": False}
BARE: dict[str, Any] = {"log_every_n_steps": 0, "num_sanity_val_steps": 0}
REFUSED_BY_LIGHTNING: list[dict[str, Any]] = [
    {"barebones": True, "enable_checkpointing": True},
    {"barebones": True, "enable_progress_bar": True},
    {"barebones": True, "enable_model_summary": True},
    {"barebones": True, "log_every_n_steps": 5},
    {"barebones": True, "num_sanity_val_steps": 2},
    {"barebones": True, "fast_dev_run": True},
    {"barebones": True, "detect_anomaly": True},
    {"barebones": True, "profiler": "simple"},
    {"max_epochs": -2},
    {"max_steps": -2},
    {"max_time": "1:00:00"},
    {"val_check_interval": "1:00"},
    {"val_check_interval": 1.5},
    {"check_val_every_n_epoch": None, "val_check_interval": 0.5},
    {"fast_dev_run": -1},
    {"limit_train_batches": 1.5},
    {"overfit_batches": -1},
    {"reload_dataloaders_every_n_epochs": -1},
    {"gradient_clip_algorithm": "median"},
    {"accelerator": "cpu", "devices": [0]},
    {"accelerator": "cpu", "devices": -1},
    {"accelerator": "cpu", "devices": 0},
    {"num_nodes": 0},
    {"accelerator": "nope"},
    {"strategy": "dpp"},
    {"strategy": "fsdp", "accelerator": "cpu"},
    {"precision": "17"},
    {"profiler": "nope"},
]


@pytest.mark.parametrize("values", REFUSED_BY_LIGHTNING, ids=str)
def test_what_lightning_refuses_never_gets_to_it(values: dict[str, Any]) -> None:
    with pytest.raises((MisconfigurationException, ValueError, TypeError)):
        Trainer(**ON_CPU | values)
    with pytest.raises(ConfigError):
        TrainerConfig(**BARE | values)


TWICE = """
import logging
logging.basicConfig(format="root: %(message)s", level=logging.INFO)
import lightning
from lightning.pytorch.utilities.rank_zero import rank_zero_info
if {route}:
    from app.builders.trainer import route_lightning_logging
    route_lightning_logging()
    route_lightning_logging()
rank_zero_info("a line")
logging.getLogger("lightning.fabric").info("another")
"""


def _printed(*, route: bool) -> list[str]:
    # In a process of its own: Lightning's handlers are made when it is imported.
    done = subprocess.run([sys.executable, "-c", TWICE.format(route=route)], capture_output=True, text=True, check=True)
    return [line for line in done.stderr.splitlines() if "a line" in line or "another" in line]


def test_a_log_line_appears_once_through_the_root_logger() -> None:
    assert len(_printed(route=False)) == 4
    assert _printed(route=True) == ["root: a line", "root: another"]


def test_lightnings_tips_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    route_lightning_logging()
    with caplog.at_level(logging.INFO):
        build(tmp_path)
    assert "GPU available" in caplog.text
    assert "Tip" not in caplog.text


def test_without_a_root_handler_lightnings_own_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logger = logging.getLogger("lightning")
    handler = logging.StreamHandler(io.StringIO())
    monkeypatch.setattr(logger, "handlers", [handler])
    route_lightning_logging()
    assert logger.handlers == [handler]
