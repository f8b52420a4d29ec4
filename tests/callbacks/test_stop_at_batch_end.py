import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer
from lightning.pytorch.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint

from app.callbacks.stop_at_batch_end import StopAtBatchEnd, StoppedBySignal, StopRequest, stop_request
from tests.small_run import Data, Model, trainer_in
from tests.test_resume import differences, outcome, run

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists and is not empty"),
]


class Sends(Callback):
    """Sends the process a signal at the n-th call of a hook."""

    def __init__(self, hook: str, number: signal.Signals = signal.SIGTERM, *, at: int = 7, times: int = 1) -> None:
        self.calls = 0

        def send(*_: Any, **__: Any) -> None:
            self.calls += 1
            if self.calls == at:
                for _time in range(times):
                    os.kill(os.getpid(), number)

        setattr(self, hook, send)


@pytest.fixture
def request_() -> Iterator[StopRequest]:
    with stop_request() as request:
        yield request


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
@pytest.mark.parametrize(
    ("hook", "at"),
    [
        ("on_before_backward", 7),
        ("on_train_batch_end", 10),
        ("on_validation_batch_start", 5),
        ("on_validation_end", 2),
        ("on_train_epoch_end", 2),
        ("on_train_epoch_start", 2),
    ],
)
def test_a_stopped_run_goes_on_to_the_end_of_an_uninterrupted_one(
    hook: str, at: int, number: signal.Signals, status: int, request_: StopRequest, tmp_path: Path
) -> None:
    variation = {"callbacks": lambda: [EMAWeightAveraging(decay=0.5)], "trainer": {"val_check_interval": 2}}
    expected = outcome(run(tmp_path, variation, []))
    with pytest.raises(StoppedBySignal) as stopped:
        run(tmp_path, variation, [Sends(hook, number, at=at), _saves(tmp_path), StopAtBatchEnd(request_)])

    assert stopped.value.code == status
    resumed = run(tmp_path, variation, [_saves(tmp_path / "resumed")], tmp_path / "kept" / "last.ckpt")
    assert differences(expected, outcome(resumed)) == []


def test_no_checkpoint_callback_is_needed(request_: StopRequest, tmp_path: Path) -> None:
    with pytest.raises(StoppedBySignal):
        run(
            tmp_path,
            {"trainer": {"enable_checkpointing": False}},
            [Sends("on_before_backward"), StopAtBatchEnd(request_)],
        )

    assert [file.name for file in (tmp_path / "checkpoints").glob("*.ckpt")] == ["interrupted.ckpt"]


def test_a_second_signal_stops_at_once(request_: StopRequest, tmp_path: Path) -> None:
    with pytest.raises(StoppedBySignal) as stopped:
        run(tmp_path, {}, [Sends("on_before_backward", times=2), StopAtBatchEnd(request_)])

    assert stopped.value.code == 143
    assert not (tmp_path / "checkpoints").exists()


def test_a_signal_stops_at_once_when_no_batch_is_run(request_: StopRequest, tmp_path: Path) -> None:
    class LoadsSlowly(Data):
        def prepare_data(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(StoppedBySignal) as stopped:
        trainer_in(tmp_path, [StopAtBatchEnd(request_)]).fit(Model(), datamodule=LoadsSlowly())

    assert stopped.value.code == 130


@pytest.mark.parametrize(
    ("command", "hook"), [("fit", "on_sanity_check_start"), ("validate", "on_validation_batch_start")]
)
def test_evaluation_stops_and_saves_nothing(command: str, hook: str, request_: StopRequest, tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, [sends := Sends(hook, at=1), StopAtBatchEnd(request_)])

    with pytest.raises(StoppedBySignal):
        getattr(trainer, command)(Model(), datamodule=Data())

    assert sends.calls == 1
    assert not list(tmp_path.rglob("*.ckpt"))


def test_handlers_are_as_they_were_afterwards(tmp_path: Path) -> None:
    def mine(*_: Any) -> None:
        raise AssertionError("nobody sent a signal")

    before = signal.signal(signal.SIGTERM, mine)
    interrupted = signal.getsignal(signal.SIGINT)  # ignored, where a shell started the tests in the background
    try:
        with stop_request() as request:
            trainer_in(tmp_path, [StopAtBatchEnd(request)]).fit(Model(), datamodule=Data())
            assert signal.getsignal(signal.SIGTERM) == request._handle
            assert signal.getsignal(signal.SIGINT) == request._handle
        assert signal.getsignal(signal.SIGTERM) is mine
        assert signal.getsignal(signal.SIGINT) is interrupted
    finally:
        signal.signal(signal.SIGTERM, before)


def test_what_others_do_at_a_batchs_end_comes_first(request_: StopRequest, tmp_path: Path) -> None:
    seen: list[Callback] = []

    class Looks(Callback):
        def on_train_start(self, trainer: Trainer, *_: Any) -> None:
            seen.extend(trainer.callbacks)  # type: ignore[attr-defined]  # set by a connector

    stop = StopAtBatchEnd(request_)
    trainer_in(tmp_path, [stop, Looks(), ModelCheckpoint(tmp_path)]).fit(Model(), datamodule=Data())

    assert seen[-1] is stop
    assert seen.count(stop) == 1


def _saves(folder: Path) -> ModelCheckpoint:
    return ModelCheckpoint(folder / "kept", every_n_epochs=100, save_last=True)
