"""The commands that run a checked config: `train` fits and then tests, `test` measures a checkpoint."""

import os
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from rich.console import Console
from rich.table import Column, Table

from app.builders.loggers import build_loggers, close_loggers
from app.builders.run import Run, build_run
from app.builders.trainer import build_trainer
from app.compose import Composed
from app.run_directory import CONFIG_FILE, TRACEBACK_FILE, value_sources, write_result
from app.schemas.plain import to_plain
from app.schemas.problems import AppError, first_line
from app.schemas.trainer import TrainerConfig
from app.tasks.shared.datamodule import BaseDataModule


def train(composed: Composed, run_directory: str) -> float | None:
    """Train, then test the best checkpoint.

    Returns:
        The value of the task's monitor, at the best checkpoint if one is kept for it: what a sweep is judged by.
    """
    with _running(composed, run_directory) as (run, result):
        if composed.config.trainer.limit_test_batches != 0:
            _verify_test_split(run)
        run.trainer.fit(model=run.module, datamodule=run.datamodule)
        best = _averaged_checkpoint(run.trainer) or _best_checkpoint(run.trainer)
        score = _score(run.trainer, composed.config.task.monitor)
        result |= {
            "epochs": run.trainer.current_epoch,
            "steps": run.trainer.global_step,
            "checkpoint": best,
            "monitor": composed.config.task.monitor,
            "score": score,
        }
        _test(run, composed.config.trainer, best, result)
    return score


def test(composed: Composed, run_directory: str) -> None:
    """Measure the weights of `checkpoint` on the task's test split."""
    checkpoint = composed.config.checkpoint
    assert checkpoint is not None, "the command line asks for it"
    with _running(composed, run_directory) as (run, result):
        result["checkpoint"] = checkpoint
        _test(run, composed.config.trainer, checkpoint, result)


@contextmanager
def _running(composed: Composed, run_directory: str) -> Iterator[tuple[Run, dict[str, Any]]]:
    """A built run and the result to fill; whatever happens, loggers are closed and the result is written."""
    config = composed.config
    folder = Path(run_directory)
    started = time.monotonic()
    result: dict[str, Any] = {"status": "failed", "task": config.task.name, "seed": config.seed_params.seed}
    _refuse_a_used_folder(folder)
    loggers: list[Logger] = []
    run: Run | None = None
    try:
        loggers = build_loggers(config.logger, run_directory=folder, run_config=to_plain(config))
        sources = value_sources(config, composed.sources)
        run = build_run(config, run_directory=folder, loggers=loggers, overrides=composed.overrides, sources=sources)
        yield run, result
        result["status"] = "completed"
    except SystemExit as stop:  # so Lightning ends a run: with status 1 at Ctrl-C, and 0 at SIGTERM
        result["status"] = "interrupted"
        raise SystemExit(143 if isinstance(stop, SIGTERMException) else 130) from stop
    except AppError:
        raise
    except MisconfigurationException as error:
        raise AppError(f"Lightning cannot run this: {error}") from error
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / TRACEBACK_FILE
        file.write_text(traceback.format_exc(), encoding="utf-8")
        raise AppError(f"{type(error).__name__}: {first_line(error)}\nwhere it happened: {_shown(file)}") from error
    finally:
        close_loggers(loggers, failed=result["status"] != "completed")
        result["seconds"] = round(time.monotonic() - started, 1)
        if run is None or run.trainer.is_global_zero:
            write_result(folder, result)
        _leave_process_group()
    if run.trainer.is_global_zero:
        _show(result, folder)


def _refuse_a_used_folder(folder: Path) -> None:
    """A record of two runs in one folder would be true of neither."""
    is_main_process = os.environ.get("LOCAL_RANK", "0") == "0"
    if is_main_process and (folder / CONFIG_FILE).exists():
        raise AppError(f"{_shown(folder)} holds an earlier run; leave hydra.run.dir out, or name another folder")


def _test(run: Run, config: TrainerConfig, checkpoint: str | None, result: dict[str, Any]) -> None:
    """Put the test metrics into the result; in one process, whatever the training used.

    Several would each get an equal share of the test split, some images twice if it does not divide: another test set.
    """
    trainer = run.trainer
    if trainer.world_size > 1:
        _leave_process_group()
        if not trainer.is_global_zero:
            return
        alone = replace(config, devices=1, num_nodes=1, strategy="auto")
        folder = Path(trainer.default_root_dir)
        trainer = build_trainer(alone, callbacks=[], loggers=trainer.loggers, run_directory=folder)
    if checkpoint is not None:
        _load_weights(run.module, checkpoint)
    tested = trainer.test(model=run.module, datamodule=run.datamodule, verbose=False)
    result["test"] = dict(tested[0]) if tested else {}  # nothing with trainer.limit_test_batches=0
    result["test_fingerprint"] = getattr(run.datamodule, "verified_fingerprint", None)


def _leave_process_group() -> None:
    # Left open, the group's threads abort a process as it ends.
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _load_weights(module: LightningModule, file: str) -> None:
    """Put a checkpoint's weights into the module; nothing but tensors and plain containers is read from the file.

    Raises:
        AppError: when the file is no checkpoint, or one of another model.
    """
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    except Exception as error:  # a file that is no checkpoint fails in whatever way its bytes lead to
        # Not in torch's words, which advise to load it with arbitrary code in it.
        raise AppError(f"{file} is not a checkpoint of weights and plain values ({type(error).__name__})") from error
    ours = module.state_dict()
    other = [name for name in {**ours, **weights} if _shape(ours, name) != _shape(weights, name)]
    if other:
        some = ", ".join(other[:3]) + (f" and {len(other) - 3} more" if len(other) > 3 else "")
        raise AppError(
            f"{file} holds the weights of another model than {type(module).__name__}: {some} differ;"
            " test it with the options it was trained with"
        )
    module.load_state_dict(weights)


def _shape(weights: Mapping[str, Any], name: str) -> object:
    return getattr(weights.get(name), "shape", None)


def _verify_test_split(run: Run) -> None:
    """Find out before the training, not after it, that its result could not be compared."""
    if isinstance(run.datamodule, BaseDataModule):
        run.datamodule.prepare_data()
        run.datamodule.setup("test")
        run.datamodule.verify_test_split()


def _averaged_checkpoint(trainer: Trainer) -> str | None:
    """The average of stochastic weight averaging, saved here: it is in the module only once the last save is over."""
    if not any(isinstance(callback, StochasticWeightAveraging) for callback in trainer.callbacks):  # type: ignore[attr-defined]  # set by a connector
        return None
    file = Path(trainer.default_root_dir) / "checkpoints" / "averaged.ckpt"
    trainer.save_checkpoint(file)
    return str(file)


def _best_checkpoint(trainer: Trainer) -> str | None:
    """The checkpoint with the best monitored value, or the newest; None when none is kept."""
    callback = trainer.checkpoint_callback
    if not isinstance(callback, ModelCheckpoint):
        return None
    return callback.best_model_path or callback.last_model_path or None


def _score(trainer: Trainer, monitor: str) -> float | None:
    callback = trainer.checkpoint_callback
    if isinstance(callback, ModelCheckpoint) and callback.monitor == monitor and callback.best_model_score is not None:
        return float(callback.best_model_score)
    value = trainer.callback_metrics.get(monitor)
    return None if value is None else float(value)


def _show(result: Mapping[str, Any], folder: Path) -> None:
    table = Table("test metric", Column("value", justify="right"), title=f"{result['task']}, seed {result['seed']}")
    for name, value in result["test"].items():
        table.add_row(name, f"{value:.4f}")
    console = Console()
    console.print(table)
    console.print(f"run directory: {_shown(folder)}", soft_wrap=True)


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
