"""From the callbacks' configs to Lightning callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks.progress.rich_progress import RichProgressBarTheme
from lightning.pytorch.utilities.data import extract_batch_size
from rich.console import Console

from app.builders.targets import keyword_arguments, live_class
from app.schemas.callbacks import (
    CallbackConfig,
    CheckpointConfig,
    ExportBestConfig,
    GradientAccumulationConfig,
    ProgressBarConfig,
    PruningConfig,
    SpikeDetectionConfig,
    StochasticWeightAveragingConfig,
    ThroughputConfig,
    TQDMProgressBarConfig,
)
from app.schemas.registry import leaf_fields
from app.schemas.user_paths import user_path

Describe = Callable[[], Mapping[str, Any]]
"""What the files of a run say of it, as `app.checkpoints.contents.description` makes it."""


def build_callbacks(
    configs: Mapping[str, CallbackConfig], *, run_directory: Path, describe: Describe = dict
) -> list[Callback]:
    """The callbacks, in the order in which they were chosen.

    Files go below `run_directory`, unless a config names an absolute path. Nothing is created on disk.
    """
    return [_build(config, run_directory, describe) for config in configs.values()]


def _build(config: CallbackConfig, run_directory: Path, describe: Describe) -> Callback:
    live = _live_arguments(config, run_directory, describe)
    return cast(Callback, live_class(config)(**keyword_arguments(config) | live))


def _live_arguments(config: CallbackConfig, run_directory: Path, describe: Describe) -> dict[str, Any]:
    """The arguments that differ from the config's fields."""
    match config:
        case CheckpointConfig():
            return {
                "dirpath": _below(run_directory, config.dirpath or "checkpoints"),
                # Lightning wants a mode even where nothing is compared.
                "mode": config.mode or "min",
                "train_time_interval": _as_timedelta(config.train_time_interval),
            }
        case ExportBestConfig():
            return {"folder": run_directory, "describe": describe}
        case SpikeDetectionConfig():
            path = _below(run_directory, config.exclude_batches_path or "skip_batches.json")
            return {"exclude_batches_path": path}
        case ProgressBarConfig():
            return _rich_arguments(config)
        case TQDMProgressBarConfig():
            return {"refresh_rate": config.refresh_rate if _can_redraw(Console()) else 0}
        case GradientAccumulationConfig():
            # Lightning adds an epoch 0 to the very mapping it is given.
            return {"scheduling": dict(config.scheduling)}
        case StochasticWeightAveragingConfig():
            return {"swa_lrs": list(config.swa_lrs) if isinstance(config.swa_lrs, tuple) else config.swa_lrs}
        case PruningConfig():
            return {"parameter_names": None if config.parameter_names is None else list(config.parameter_names)}
        case ThroughputConfig():
            return {"batch_size_fn": extract_batch_size}
    return {}


def _rich_arguments(config: ProgressBarConfig) -> dict[str, Any]:
    options = {name: value for name, value in leaf_fields(config.console_kwargs).items() if value is not None}
    theme = cast(dict[str, Any], leaf_fields(config.theme))
    return {
        "refresh_rate": config.refresh_rate if _can_redraw(Console(**cast(dict[str, Any], options))) else 0,
        "theme": replace(RichProgressBarTheme(), **theme),
        "console_kwargs": options,
    }


def _can_redraw(console: Console) -> bool:
    """Whether a bar can be drawn over itself; elsewhere every redraw would be another line."""
    return console.is_jupyter or (console.is_terminal and not console.is_dumb_terminal)


def _below(run_directory: Path, path: str) -> str:
    """`path` seen from the run directory; absolute paths and addresses such as `s3://…` stay as they are."""
    return path if "://" in path else str(run_directory / user_path(path))


def _as_timedelta(duration: str | None) -> timedelta | None:
    if duration is None:
        return None
    days, hours, minutes, seconds = map(int, duration.split(":"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
