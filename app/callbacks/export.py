"""`ExportBest`: the best checkpoint of a training as a file that runs without this project."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, StochasticWeightAveraging

from app.checkpoints.contents import read_contents
from app.checkpoints.weights import load_weights
from app.export.exporting import Exported, export_model, samples_of
from app.schemas.export import ExportConfig, ExportFormat, ToleranceConfig
from app.schemas.problems import AppError

log = logging.getLogger(__name__)


class ExportBest(Callback):
    """Exports what the run is going to be tested by, when training has ended.

    That is the average of stochastic weight averaging, else the checkpoint with the best monitored value, else the
    newest, or the module as it is when none was kept. The module itself stays as it is.

    A model that cannot be exported does not undo the training: `failure` then holds the reason, which is also logged.

    Args:
        folder: Where the file goes.
        describe: Gives what the file says of the run, as a checkpoint does.
        format: Kind of file.
        file: Its name, without the ending.
        tolerance: How far it may be off from torch.
    """

    def __init__(
        self,
        folder: Path,
        describe: Callable[[], Mapping[str, Any]],
        format: ExportFormat = "onnx",  # noqa: A002  # the config's name for it
        file: str = "model",
        tolerance: ToleranceConfig | None = None,
    ) -> None:
        self.folder = folder
        self.describe = describe
        self.config = ExportConfig(format=format, file=file, tolerance=tolerance or ToleranceConfig())
        self.exported: Exported | None = None
        self.failure: AppError | None = None

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the file, in the first process; the module is on the CPU by now."""
        if not trainer.is_global_zero:
            return
        datamodule = getattr(trainer, "datamodule", None)
        try:
            samples = samples_of(trainer.val_dataloaders if datamodule is None else datamodule.val_dataloader())
            with _best_weights(trainer, pl_module) as age:
                self.exported = export_model(
                    pl_module, samples, self.config, folder=self.folder, description={**self.describe(), **age}
                )
        except AppError as error:
            log.error("the model is not exported: %s", error)  # noqa: TRY400  # it is a message to the user
            self.failure = error


@contextmanager
def _best_weights(trainer: Trainer, module: LightningModule) -> Iterator[dict[str, int | None]]:
    """Give the module the best weights for a while.

    Yields:
        How long they were trained: `epoch` and `global_step`.
    """
    kept = trainer.checkpoint_callback
    averaged = any(isinstance(callback, StochasticWeightAveraging) for callback in trainer.callbacks)  # type: ignore[attr-defined]  # set by a connector
    best = (kept.best_model_path or kept.last_model_path) if isinstance(kept, ModelCheckpoint) else ""
    if averaged or not best:
        yield {"epoch": trainer.current_epoch, "global_step": trainer.global_step}
        return
    contents = read_contents(best)
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    try:
        load_weights(module, best)
        yield {"epoch": contents.epoch, "global_step": contents.global_step}
    finally:
        module.load_state_dict(before)
