"""Trainings of two processes, of which one alone is told to stop, or diverges.

Run as a program, in a process with one thread: the two are forks of it. It prints what came of each in JSON.
"""

import json
import math
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import seed_everything
from lightning.pytorch.callbacks import Callback

from app.callbacks.finite_loss import NonFiniteLossError
from app.callbacks.stop_at_batch_end import StopAtBatchEnd, stop_request
from tests.small_run import Data, Model, trainer_in
from tests.test_resume import differences, outcome

SECONDS = 60
"""After which a process hangs."""


class TellsTheSecond(Callback):
    """Sends a signal to the second process alone, in the middle of a batch or of a validation."""

    def __init__(self, hook: str) -> None:
        def tell(trainer: Any, *_: Any) -> None:
            if trainer.global_rank == 1 and trainer.current_epoch == 1:
                os.kill(os.getpid(), signal.SIGTERM)

        setattr(self, hook, tell)


class DivergesInTheSecond(Model):
    """Its loss is no number in one process, once."""

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        return loss * math.nan if (self.global_rank, self.global_step) == (1, 3) else loss


def train(folder: Path, callbacks: list[Callback], cls: type[Model], ckpt_path: Path | None = None) -> Any:
    """What one of the processes ends with: an outcome, or the status that it exits with."""
    seed_everything(1 if ckpt_path is None else 9, verbose=False)
    model = cls()
    settings = {"strategy": "ddp", "devices": 2, "val_check_interval": 2, "accumulate_grad_batches": 2}
    with stop_request() as request:
        trainer = trainer_in(folder, [*callbacks, StopAtBatchEnd(request)], **settings)
        try:
            trainer.fit(model, datamodule=Data(), ckpt_path=ckpt_path)
        except SystemExit as stop:
            return stop.code
        except NonFiniteLossError as error:
            return [error.epoch, error.batch]
        return outcome(trainer)


def in_two_processes(work: Callable[[], Any], folder: Path) -> list[Any]:
    """The results of two forks that know of each other, by rank; "hangs" for one that does not end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = []
    for rank in range(2):
        child = os.fork()
        if child == 0:
            os.environ.update(LOCAL_RANK=str(rank), NODE_RANK="0", WORLD_SIZE="2")
            os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
            try:
                torch.save(work(), folder / f"result-{rank}")
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(0)
        children.append(child)
    return [_result(child, folder / f"result-{rank}") for rank, child in enumerate(children)]


def _result(child: int, file: Path) -> Any:
    end = time.monotonic() + SECONDS
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return "hangs"
        time.sleep(0.05)
    return torch.load(file) if file.exists() else "nothing"


def main(folder: Path) -> None:
    """Do all of it."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    report: dict[str, Any] = {}
    expected = in_two_processes(lambda: train(folder, [], Model), folder)
    report["weights agree"] = all(
        torch.equal(value, expected[1]["weights"][name])
        for name, value in expected[0]["weights"].items()
        if "running" not in name
    )
    for hook in ("on_before_backward", "on_validation_batch_start"):
        place = folder / hook
        place.mkdir()
        report[hook] = in_two_processes(partial(train, place, [TellsTheSecond(hook)], Model), place)
        file = place / "checkpoints" / "interrupted.ckpt"
        resumed = in_two_processes(partial(train, place, [], Model, file), place)
        report[f"{hook}, resumed"] = [
            differences(one, other) if isinstance(other, dict) else other
            for one, other in zip(expected, resumed, strict=True)
        ]
    report["diverges"] = in_two_processes(lambda: train(folder, [], DivergesInTheSecond), folder)
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
