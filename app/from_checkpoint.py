"""A run as a checkpoint describes it, weights included: the checkpoint is all that is needed."""

import os
from collections.abc import Sequence

from app.builders.run import Run, load_from_config
from app.checkpoints.contents import read_contents
from app.checkpoints.data_state import load_data_state
from app.checkpoints.opening import CheckpointError
from app.checkpoints.weights import load_weights
from app.compose import compose
from app.composing.overrides import quoted
from app.schemas.run import RunConfig


def config_of(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> RunConfig:
    """The config of the run that wrote a checkpoint, changed by overrides, and checked as a whole.

    Raises:
        CheckpointError: when the file cannot be read, or says nothing of its run.
        ConfigError: when the config does not pass the gate: an override is wrong, or it was stored by a version whose
            fields were others; each problem says which.
    """
    path = os.fspath(path)
    if read_contents(path).config is None:
        message = "holds no config: it was not saved by a run of this project"
        raise CheckpointError(path, f"{message}; load_checkpoint.base_ckpt_path takes weights from anywhere")
    return compose([f"checkpoint={quoted(path)}", *overrides]).config


def load_from_checkpoint(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Run:
    """The run that wrote a checkpoint, its module with the checkpoint's weights.

    For testing, predicting and looking inside: `trainer, module, datamodule = load_from_checkpoint(path)`. To go on
    training, set `resume_path` instead.

    Args:
        path: A file, or an address that fsspec reads.
        overrides: Words that a user would type, to change what the checkpoint says: `["trainer.devices=2"]`.

    Raises:
        CheckpointError: when the file cannot be read, says nothing of its run, or holds the weights of another model
            than the overrides describe.
        ConfigError: when the config does not pass the gate.
    """
    path = os.fspath(path)
    run = load_from_config(config_of(path, overrides))
    load_weights(run.module, path)
    load_data_state(run.datamodule, path)
    return run
