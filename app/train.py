"""The commands that run a checked config: train, test and predict."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, StochasticWeightAveraging

from app.builders.run import Run
from app.builders.trainer import build_trainer
from app.callbacks.export import ExportBest
from app.callbacks.stop_at_batch_end import StopAtBatchEnd
from app.checkpoints.contents import read_contents
from app.checkpoints.data_state import load_data_state
from app.checkpoints.finding import find_checkpoint
from app.checkpoints.merging import load_into
from app.checkpoints.weights import load_weights, refuse_another_model
from app.compose import Composed
from app.export.in_place import put_in_place
from app.prediction.writing import write_predictions
from app.running import leave_process_group, running
from app.schemas.run import RunConfig
from app.schemas.trainer import TrainerConfig
from app.tasks.shared.datamodule import BaseDataModule

log = logging.getLogger(__name__)


def train(composed: Composed, run_directory: str) -> float | None:
    """Train, anew or from where another run was, then test the best checkpoint.

    Returns:
        The value of the task's monitor, at the best checkpoint if one is kept for it: what a sweep is judged by.
    """
    config = composed.config
    with running(composed, run_directory) as (run, result):
        if config.trainer.limit_test_batches != 0:
            _verify_test_split(run)
        start = _start(run, config)
        run.trainer.fit(model=run.module, datamodule=run.datamodule, ckpt_path=start, weights_only=True)
        if start is not None and run.trainer.global_step == read_contents(start).global_step:
            log.warning(
                "nothing was left to train: the checkpoint is at the end that trainer.max_epochs or max_steps set"
            )
        best = _averaged_checkpoint(run.trainer) or _best_checkpoint(run.trainer)
        score = _score(run.trainer, config.task.monitor)
        result |= {
            "epochs": run.trainer.current_epoch,
            "steps": run.trainer.global_step,
            "resumed_from": start,
            "checkpoint": best,
            "monitor": config.task.monitor,
            "score": score,
        }
        _test(run, config.trainer, best, result)
        _exported(run.trainer, result)
    return score


def test(composed: Composed, run_directory: str) -> None:
    """Measure the weights of `checkpoint`, or the exported `model`, on the task's test split."""
    with running(composed, run_directory) as (run, result):
        _use_the_file(run, composed.config, result)
        _test(run, composed.config.trainer, None, result)


def predict(composed: Composed, run_directory: str) -> None:
    """Write what the `checkpoint` or `model` predicts, for the task's predict split or named files; in one process."""
    config = composed.config
    alone = replace(composed, config=replace(config, trainer=_on_one_device(config.trainer)))
    with running(alone, run_directory) as (run, result):
        _use_the_file(run, config, result)
        result |= write_predictions(
            run,
            config.predictions,
            kind=config.task.kind,
            folder=Path(run_directory),
            files=config.predictions.input_files(config.datamodule.input_endings),
            dataset_names=config.datamodule.dataset_names("predict"),
        )


def _start(run: Run, config: RunConfig) -> str | None:
    """The checkpoint to go on from; without one, put in the first weights that the config asks for."""
    if config.resume_path is not None:
        found = find_checkpoint(config.resume_path)
        for skipped in found.skipped:
            log.warning("passed over: %s", skipped)
        log.info("goes on from %s, after %s steps", found.path, found.step)
        refuse_another_model(run.module, found.path)
        if config.load_checkpoint is not None:
            log.info("load_checkpoint is not applied: all weights are those of the checkpoint")
        return found.path
    if config.load_checkpoint is not None:
        load_into(run.module.model, config.load_checkpoint)  # type: ignore[arg-type]  # every module here has a model
    return None


def _use_the_file(run: Run, config: RunConfig, result: dict[str, Any]) -> None:
    """Let the run's module compute what the file does that the config names."""
    if config.model is not None:
        result["model"] = config.model
        put_in_place(run.module, config.model)
    else:
        assert config.checkpoint is not None, "the command line asks for either"
        result["checkpoint"] = config.checkpoint
        load_weights(run.module, config.checkpoint)
        load_data_state(run.datamodule, config.checkpoint)


def _test(run: Run, config: TrainerConfig, checkpoint: str | None, result: dict[str, Any]) -> None:
    """Put the test metrics into the result; in one process, whatever the training used.

    Several would each get an equal share of the test split, some images twice if it does not divide: another test set.
    """
    trainer = run.trainer
    if trainer.world_size > 1:
        leave_process_group()
        if not trainer.is_global_zero:
            return
        folder = Path(trainer.default_root_dir)
        stop = [callback for callback in trainer.callbacks if isinstance(callback, StopAtBatchEnd)]  # type: ignore[attr-defined]  # set by a connector
        trainer = build_trainer(_on_one_device(config), callbacks=stop, loggers=trainer.loggers, run_directory=folder)
    if checkpoint is not None:
        load_weights(run.module, checkpoint)
    tested = trainer.test(model=run.module, datamodule=run.datamodule, verbose=False)
    result["test"] = dict(tested[0]) if tested else {}  # nothing with trainer.limit_test_batches=0
    result["test_fingerprint"] = getattr(run.datamodule, "verified_fingerprint", None)


def _exported(trainer: Trainer, result: dict[str, Any]) -> None:
    """Put into the result what was exported; that it could not be fails the run, but only once all else is done."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
        if isinstance(callback, ExportBest):
            if callback.exported is not None:
                result["export"] = callback.exported.as_result()
            if callback.failure is not None:
                raise callback.failure


def _on_one_device(config: TrainerConfig) -> TrainerConfig:
    return replace(config, devices=1, num_nodes=1, strategy="auto")


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
    trainer.save_checkpoint(file, weights_only=True)
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
