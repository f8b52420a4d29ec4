"""`running`: a built run and its record, from the first file to the exit status, whatever happens in between."""

import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from rich.console import Console
from rich.table import Column, Table
from torch.multiprocessing.spawn import ProcessExitedException

from app.builders.loggers import build_loggers, close_loggers
from app.builders.run import Run, build_run
from app.callbacks.stop_at_batch_end import stop_request
from app.compose import Composed
from app.run_directory import TRACEBACK_FILE, earlier_run, value_sources, write_result
from app.schemas.plain import to_plain
from app.schemas.problems import AppError, first_line


@contextmanager
def running(composed: Composed, run_directory: str) -> Iterator[tuple[Run, dict[str, Any]]]:
    """A built run and the result to fill; whatever happens, loggers are closed and the result is written.

    SIGINT and SIGTERM end it with status 130 and 143, a training at the end of the batch under way and saved.
    """
    config = composed.config
    folder = Path(run_directory)
    started = time.monotonic()
    result: dict[str, Any] = {"status": "failed", "task": config.task.name, "seed": config.seed_params.seed}
    refuse_a_used_folder(folder)
    loggers: list[Logger] = []
    run: Run | None = None
    try:
        with stop_request() as request:
            loggers = build_loggers(config.logger, run_directory=folder, run_config=to_plain(config))
            run = build_run(
                config,
                run_directory=folder,
                loggers=loggers,
                overrides=composed.overrides,
                sources=value_sources(config, composed.sources),
                stop=request,
            )
            request.tell_processes_of(run.trainer)
            yield run, result
        result["status"] = "completed"
    except (SystemExit, KeyboardInterrupt):
        result["status"] = "interrupted"
        raise
    except ProcessExitedException as error:  # of a process that was spawned, and stopped as this one was told to
        if error.exit_code not in (130, 143):
            raise AppError(f"a process of the run ended with status {error.exit_code}") from error
        result["status"] = "interrupted"
        raise SystemExit(error.exit_code) from error
    except AppError:
        raise
    except MisconfigurationException as error:
        raise AppError(f"Lightning cannot run this: {error}") from error
    except Exception as error:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / TRACEBACK_FILE
        file.write_text(traceback.format_exc(), encoding="utf-8")
        said = "\n".join([f"{type(error).__name__}: {first_line(error)}", *getattr(error, "__notes__", ())])
        raise AppError(f"{said}\nwhere it happened: {shown(file)}") from error
    finally:
        if run is not None:
            result = {"epochs": run.trainer.current_epoch, "steps": run.trainer.global_step} | result
        close_loggers(loggers, failed=result["status"] != "completed")
        result["seconds"] = round(time.monotonic() - started, 1)
        if run is None or run.trainer.is_global_zero:
            write_result(folder, result)
        leave_process_group()
    if run.trainer.is_global_zero:
        _show(result, folder)


def leave_process_group() -> None:
    """End what the processes of a run share: left open, its threads abort a process as it ends."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def shown(path: Path) -> Path:
    """A path as a user in the current folder would name it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def refuse_a_used_folder(folder: Path) -> None:
    """Whoever starts a run from Python has not met the command line, which refuses it before anything is imported."""
    if reason := earlier_run(folder):
        raise AppError(reason)


def _show(result: Mapping[str, Any], folder: Path) -> None:
    console = Console()
    if test := result.get("test"):
        table = Table("test metric", Column("value", justify="right"), title=f"{result['task']}, seed {result['seed']}")
        for name, value in test.items():
            table.add_row(name, f"{value:.4f}")
        console.print(table)
    for file in result.get("predictions", ()):
        console.print(f"predictions: {shown(Path(file))}", soft_wrap=True)
    if exported := result.get("export"):
        off = f"off from torch by at most {exported['difference']['absolute']:.1e} on real batches"
        console.print(f"exported: {shown(Path(exported['file']))}, {off}", soft_wrap=True)
    console.print(f"run directory: {shown(folder)}", soft_wrap=True)
