"""From a trainer's config to `lightning.Trainer`."""

import logging
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from lightning import Trainer
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelSummary, ProgressBar
from lightning.pytorch.loggers import Logger

from app.builders.checkpointing import checkpoint_io
from app.builders.no_profiler import NoProfiler
from app.builders.targets import keyword_arguments
from app.schemas.trainer import TrainerConfig

PLUGINS: Final = {
    "lightning_environment": "lightning.pytorch.plugins.environments.LightningEnvironment",
    "kubeflow_environment": "lightning.pytorch.plugins.environments.KubeflowEnvironment",
    "lsf_environment": "lightning.pytorch.plugins.environments.LSFEnvironment",
    "mpi_environment": "lightning.pytorch.plugins.environments.MPIEnvironment",
    "slurm_environment": "lightning.pytorch.plugins.environments.SLURMEnvironment",
    "torch_elastic_environment": "lightning.pytorch.plugins.environments.TorchElasticEnvironment",
    "torch_sync_batch_norm": "lightning.pytorch.plugins.TorchSyncBatchNorm",
}
"""The plugins that a config can name, with their classes; all are made without arguments."""

ON_A_THREAD: Final = "async_checkpoint_io"
"""The plugin that has checkpoints written while training goes on."""

_SWITCHES: Final = {
    "enable_checkpointing": Checkpoint,
    "enable_progress_bar": ProgressBar,
    "enable_model_summary": ModelSummary,
}


_BESIDE_THE_POINT: Final = (
    # torch 2.13 deprecates what Lightning 2.6 calls inside; nothing that a user of either can change.
    r".isinstance\(treespec, LeafSpec\).",
    # How many workers read the data is in the config, and 0 is the faster choice for data in memory.
    r"The '\w+' does not have many workers",
    # Metrics are logged once an epoch, so it does not matter that an epoch may have fewer steps than the interval.
    r"The number of training batches \(\d+\) is smaller than the logging interval",
)
"""Warnings that tell a user nothing to act on."""


def build_trainer(
    config: TrainerConfig,
    *,
    callbacks: Sequence[Callback],
    loggers: Sequence[Logger],
    run_directory: Path,
    without: frozenset[str] = frozenset(),
) -> Trainer:
    """The trainer that a config describes.

    What the config leaves open (`enable_checkpointing`, `enable_progress_bar`, `enable_model_summary` at null) is on
    when one of `callbacks` does it: Lightning would otherwise add its own callbacks to those that were chosen.
    `without` names fields that the module sees to.
    """
    for message in _BESIDE_THE_POINT:
        warnings.filterwarnings("ignore", message)
    arguments = keyword_arguments(config, without=frozenset({"devices", "plugins", *_SWITCHES, *without}))
    for switch, kind in _SWITCHES.items():
        chosen = getattr(config, switch)
        arguments[switch] = any(isinstance(callback, kind) for callback in callbacks) if chosen is None else chosen
    if config.profiler is None and not config.barebones:  # which takes none at all
        arguments["profiler"] = NoProfiler()
    return Trainer(
        **arguments,
        devices=list(config.devices) if isinstance(config.devices, tuple) else config.devices,
        plugins=_plugins(config),
        callbacks=list(callbacks),
        logger=list(loggers) or False,
        default_root_dir=run_directory,
    )


def route_lightning_logging() -> None:
    """Let Lightning's log lines go through the root logger alone, so that each appears once, and leave out its tips.

    Lightning gives its loggers handlers of their own when it is imported. Under Hydra, which has configured the root
    logger, every line would then be printed twice. Without any handler at the root they are left as they are.
    """
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(_is_about_the_run)
    if not logging.getLogger().hasHandlers():
        return
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logger = logging.getLogger(name)
        for handler in list(logger.handlers):
            if type(handler) is logging.StreamHandler:
                logger.removeHandler(handler)
        logger.propagate = True


def _is_about_the_run(record: logging.LogRecord) -> bool:
    """Whether a line of Lightning's says something of the run: not what else one might install, or left as it is."""
    return not record.getMessage().startswith(("💡 Tip", "Trainer already configured with model summary callbacks"))


def _plugins(config: TrainerConfig) -> list[Any]:
    """What the config names, and how checkpoints are stored; sharded strategies store them in a way of their own."""
    named = [_plugin(name) for name in config.plugins if name != ON_A_THREAD]
    if config.strategy.startswith(("fsdp", "deepspeed")):
        return named
    return [*named, checkpoint_io(on_a_thread=ON_A_THREAD in config.plugins)]


def _plugin(name: str) -> Any:
    module, _, cls = PLUGINS[name].rpartition(".")
    return getattr(import_module(module), cls)()
