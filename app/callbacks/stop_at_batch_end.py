"""`StopAtBatchEnd`: a run that is told to stop saves where it is at the end of the batch, and ends with 128 + signal.

Lightning's own handling ends with status 0 at SIGTERM, saves nothing, and waits for ever when one process of several
is told alone.
"""

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Final, Protocol

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
"""What Ctrl-C sends, and what a scheduler, a container and `kill` send."""

_log = logging.getLogger(__name__)


class StoppedBySignal(SystemExit):  # it ends the process, as SystemExit does
    """The run was told to stop; `code` is the exit status, 130 for SIGINT and 143 for SIGTERM."""

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        super().__init__(128 + number)

    def __reduce__(self) -> tuple[type["StoppedBySignal"], tuple[int]]:
        return type(self), (int(self.signal),)


class _Launcher(Protocol):
    """What has started the processes of a run and can send them a signal."""

    def kill(self, signum: Any) -> None: ...


class StopRequest:
    """Whether the run was told to stop, by which signal.

    A first signal waits for the end of the batch while batches are run, and ends the process at once at other times.
    A second one does not wait; a third kills the process.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.waits = False
        """Whether there will be an end of a batch to wait for."""
        self._trainer: Trainer | None = None

    def tell_processes_of(self, trainer: Trainer) -> None:
        """Hand signals on to the processes that the trainer starts with `spawn` or `fork`: they alone have batches."""
        self._trainer = trainer

    def install(self) -> None:
        """Be what answers to the signals; only a process's main thread can have that."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature of handlers
        if self.signal is not None:
            signal.signal(number, signal.SIG_DFL)
            raise StoppedBySignal(number)
        self.signal = number
        launcher = _launcher(self._trainer)
        if launcher is not None:
            launcher.kill(number)
        elif not self.waits:
            raise StoppedBySignal(number)
        _log.warning(
            "%s: stopping at the end of this batch; once more stops at once, and loses it", signal.Signals(number).name
        )

    def __getstate__(self) -> dict[str, Any]:
        # On the way to a process that is spawned, which knows of no other.
        return {"signal": self.signal, "waits": self.waits, "_trainer": None}


@contextmanager
def stop_request() -> Iterator[StopRequest]:
    """Answer to SIGINT and SIGTERM for a while, and leave both as they were before."""
    request = StopRequest()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    request.install()
    try:
        yield request
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


class StopAtBatchEnd(Callback):
    """Ends a run at the end of a batch once that was requested, saved as `last.ckpt`.

    Without a checkpoint callback the file is `checkpoints/interrupted.ckpt`. Validation within a training is broken off
    and begins anew when the run is resumed; several processes finish it first. Nothing is saved of evaluations.
    """

    def __init__(self, request: StopRequest) -> None:
        self.request = request

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Take the last place among the callbacks: what others do at a batch's end belongs to what is saved."""
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
        trainer.callbacks = [*(callback for callback in callbacks if callback is not self), self]  # type: ignore[attr-defined]

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Stop after the last batch too.

        Raises:
            StoppedBySignal: when that was requested too late for any batch.
        """
        self.request.waits = False
        if self.request.signal is not None:
            raise StoppedBySignal(self.request.signal)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:  # noqa: ARG002  # Lightning's signature
        """There will be no further batch."""
        self.request.waits = False

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Take over from Lightning's own handler, which was installed just now."""
        self._begin()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Take over, if there was no sanity check."""
        self._begin()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Take over in a validation of its own."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._begin()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Take over in a test."""
        self._begin()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Take over in a prediction."""
        self._begin()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        """Save and stop, if that was requested.

        Raises:
            StoppedBySignal: then.
        """
        self._save_and_stop(trainer)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Break off, if that was requested.

        Raises:
            StoppedBySignal: then.
        """
        if self.request.signal is None or (trainer.world_size > 1 and trainer.state.fn == TrainerFn.FITTING):
            return
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
                if isinstance(callback, WeightAveraging):  # the module has the averaged weights while it is validated
                    callback.on_validation_epoch_end(trainer, pl_module)
            self._save_and_stop(trainer)
        raise StoppedBySignal(self.request.signal)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Save and stop, if that was requested meanwhile.

        Raises:
            StoppedBySignal: then.
        """
        if trainer.state.fn == TrainerFn.FITTING and not trainer.sanity_checking:
            self._save_and_stop(trainer)

    def on_test_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Stop, if that was requested.

        Raises:
            StoppedBySignal: then.
        """
        self._stop()

    def on_predict_batch_end(self, trainer: Trainer, *_: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Stop, if that was requested.

        Raises:
            StoppedBySignal: then.
        """
        self._stop()

    def _begin(self) -> None:
        self.request.install()
        self.request.waits = True

    def _stop(self) -> None:
        if self.request.signal is not None:
            raise StoppedBySignal(self.request.signal)

    def _save_and_stop(self, trainer: Trainer) -> None:
        number = _agreed(trainer, self.request.signal)
        if number is None:
            return
        self.request.signal = number
        if not getattr(trainer, "fast_dev_run", False):
            file = _file(trainer)
            trainer.save_checkpoint(file, weights_only=False)
            if trainer.is_global_zero:
                _log.warning("stopped by %s, saved as %s", signal.Signals(number).name, file)
        raise StoppedBySignal(number)


def _agreed(trainer: Trainer, number: int | None) -> int | None:
    """The signal that any of the processes has got."""
    if trainer.world_size > 1:
        told = torch.tensor(number or 0, device=trainer.strategy.root_device)
        number = int(trainer.strategy.reduce(told, reduce_op="max")) or None
    return number


def _file(trainer: Trainer) -> str:
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint):
            file = f"{callback.dirpath}/{callback.CHECKPOINT_NAME_LAST}{callback.FILE_EXTENSION}"
            callback.last_model_path = file
            return file
    return str(Path(trainer.default_root_dir, "checkpoints", "interrupted.ckpt"))


def _launcher(trainer: Trainer | None) -> _Launcher | None:
    """What has started processes with `spawn` or `fork`, in the process that only waits for them."""
    launcher: Any = None if trainer is None else trainer.strategy.launcher
    return launcher if getattr(launcher, "procs", None) and not torch.distributed.is_initialized() else None
