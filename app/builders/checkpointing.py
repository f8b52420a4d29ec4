"""What every run is made safe with: how its checkpoints are stored, and the callbacks that nobody has to choose."""

from lightning.fabric.plugins import CheckpointIO
from lightning.pytorch.callbacks import Callback

from app.callbacks.best_checkpoints import KeepBestCheckpoints
from app.callbacks.exact_resume import ExactResume
from app.callbacks.finite_loss import FiniteLoss
from app.callbacks.stop_at_batch_end import StopAtBatchEnd, StopRequest
from app.checkpoints.storage import AsyncVerifiedCheckpointIO, VerifiedCheckpointIO


def checkpoint_io(*, on_a_thread: bool = False) -> CheckpointIO:
    """How checkpoints are written and read: whole or not at all, verified, and without running anything in them."""
    return AsyncVerifiedCheckpointIO() if on_a_thread else VerifiedCheckpointIO()


def safety_callbacks(request: StopRequest | None = None) -> list[Callback]:
    """The callbacks that come after all chosen ones: diverged runs stop, interrupted ones can go on exactly.

    Args:
        request: Tells a run to stop at a batch's end; None leaves signals to Lightning.
    """
    stop = [] if request is None else [StopAtBatchEnd(request)]
    return [KeepBestCheckpoints(), FiniteLoss(), ExactResume(), *stop]
