from pathlib import Path

import pytest

from app.builders.checkpointing import checkpoint_io, safety_callbacks
from app.callbacks.stop_at_batch_end import StopRequest
from app.checkpoints.finding import find_checkpoint
from app.checkpoints.storage import VerifiedCheckpointIO
from tests.small_run import BATCHES, Data, Model, trainer_in

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec.* is deprecated:FutureWarning"),
]


@pytest.mark.parametrize("on_a_thread", [False, True])
def test_a_trainer_saves_what_can_be_found(on_a_thread: bool, tmp_path: Path) -> None:
    trainer = trainer_in(tmp_path, [], max_epochs=1, plugins=[checkpoint_io(on_a_thread=on_a_thread)])
    trainer.fit(Model(), datamodule=Data())
    trainer.save_checkpoint(tmp_path / "a.ckpt")
    trainer.strategy.checkpoint_io.teardown()

    found = find_checkpoint(str(tmp_path))

    assert (found.step, found.epoch, found.skipped) == (BATCHES, 1, ())
    assert isinstance(checkpoint_io(), VerifiedCheckpointIO)


def test_signals_are_answered_where_someone_asks_for_it() -> None:
    names = [type(callback).__name__ for callback in safety_callbacks(StopRequest())]

    assert names == ["KeepBestCheckpoints", "FiniteLoss", "ExactResume", "StopAtBatchEnd"]
    assert [type(callback).__name__ for callback in safety_callbacks()] == names[:-1]
