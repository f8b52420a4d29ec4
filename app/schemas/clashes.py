"""What callbacks may not do together, with a trainer, or without a logger: the rules of Lightning's that span them."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.schemas.callbacks import (
    BatchSizeFinderConfig,
    CallbackConfig,
    CheckpointConfig,
    DeviceStatsConfig,
    EarlyStoppingConfig,
    EMAConfig,
    ExportBestConfig,
    FreezeConfig,
    GradientAccumulationConfig,
    GradientNormConfig,
    LearningRateMonitorConfig,
    ModelSummaryConfig,
    PlainModelSummaryConfig,
    ProgressBarConfig,
    PruningConfig,
    StochasticWeightAveragingConfig,
    ThroughputConfig,
    TimerConfig,
    TQDMProgressBarConfig,
    WeightAveragingConfig,
)
from app.schemas.trainer import TrainerConfig

_PROGRESS_BARS: Final = (ProgressBarConfig, TQDMProgressBarConfig)
_SUMMARIES: Final = (ModelSummaryConfig, PlainModelSummaryConfig)
_AVERAGES: Final = (StochasticWeightAveragingConfig, WeightAveragingConfig, EMAConfig)
_SHARDED: Final = ("fsdp", "deepspeed")
_FOR_LOGGERS: Final = (LearningRateMonitorConfig, DeviceStatsConfig, ThroughputConfig, GradientNormConfig)


def clashes(
    callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig, *, has_logger: bool
) -> Iterator[tuple[str, str]]:
    """What the chosen callbacks may not do together, with this trainer, or without a logger.

    Yields:
        Dotted paths below the config that owns `callbacks` and `trainer`, and messages.
    """
    yield from _only_one(callbacks, _PROGRESS_BARS, "progress bar")
    yield from _only_one(callbacks, _SUMMARIES, "model summary")
    yield from _only_one(callbacks, _AVERAGES, "average of the same weights")
    yield from _pruned(callbacks)
    yield from _same_state(callbacks)
    for name, config in callbacks.items():
        path = f"callbacks.{name}"
        yield from ((path, message) for message in _switched_off(config, trainer))
        yield from ((path, message) for message in _unfit(config, trainer))
        if isinstance(config, FreezeConfig):
            yield from _frozen(config, path, trainer)
        if isinstance(config, EarlyStoppingConfig) and (message := _too_early(config, trainer)):
            yield f"{path}.check_on_train_epoch_end", message
        if not has_logger and isinstance(config, _FOR_LOGGERS):
            yield path, "has nowhere to log to; choose a logger, such as logger=csv, or leave this callback out"


def clashes_with_several_optimizers(callbacks: Mapping[str, CallbackConfig]) -> Iterator[tuple[str, str]]:
    """What callbacks cannot do where the module steps several optimizers itself; paths as those of `clashes`."""
    for name, config in callbacks.items():
        if not config.several_optimizers:
            yield f"callbacks.{name}", "works with one optimizer only; leave it out, or set optimizers={}"
        if isinstance(config, CheckpointConfig) and config.train_time_interval is not None:
            found = "is not looked at with several optimizers"  # by Lightning's ModelCheckpoint.on_train_batch_end
            yield f"callbacks.{name}.train_time_interval", f"{found}; set every_n_train_steps instead"


def _only_one(
    callbacks: Mapping[str, CallbackConfig], kinds: tuple[type, ...], words: str
) -> Iterator[tuple[str, str]]:
    names = [name for name, config in callbacks.items() if isinstance(config, kinds)]
    for name in names[1:]:
        yield f"callbacks.{name}", f"is a second {words} beside callbacks.{names[0]}; keep one of them"


def _pruned(callbacks: Mapping[str, CallbackConfig]) -> Iterator[tuple[str, str]]:
    """Pruning puts masked tensors in the place of the parameters, which then cannot be copied or averaged."""
    pruning = {name: config for name, config in callbacks.items() if isinstance(config, PruningConfig)}
    for name, config in pruning.items():
        saving = next((other for other, one in callbacks.items() if isinstance(one, CheckpointConfig)), None)
        if saving is not None and not config.make_pruning_permanent:
            found = f"false leaves masks in what callbacks.{saving} saves, which cannot be loaded again"
            yield f"callbacks.{name}.make_pruning_permanent", f"{found}; expected true, or leave that callback out"
        for other, one in callbacks.items():
            if isinstance(one, _AVERAGES):
                yield f"callbacks.{name}", f"replaces the parameters that callbacks.{other} averages; keep one of them"


def _too_early(config: EarlyStoppingConfig, trainer: TrainerConfig) -> str | None:
    """Why the metric is not there yet, or still the epoch before's, when early stopping looks at it."""
    once_an_epoch = trainer.check_val_every_n_epoch == 1
    at_epoch_end = config.check_on_train_epoch_end
    if config.monitor.startswith("train/"):
        by_default = once_an_epoch and trainer.val_check_interval in (None, 1.0)
        if at_epoch_end is False or (at_epoch_end is None and not by_default):
            found = "false" if at_epoch_end is False else "null, which here means false"
            known = f"{config.monitor} is known after the training epoch, not after validation"
            return f"{known}: expected true, found {found}"
    always = once_an_epoch and not isinstance(trainer.val_check_interval, str)
    if config.monitor.startswith("val/") and at_epoch_end and not always:
        return f"not every training epoch ends with a new {config.monitor}: expected false or null, found true"
    return None


def _frozen(config: FreezeConfig, path: str, trainer: TrainerConfig) -> Iterator[tuple[str, str]]:
    """Freezing that never happens, or that a strategy does not take."""
    for part, epochs in config.parts.items():
        if -1 < trainer.max_epochs <= epochs.first:
            found = (
                f"is never frozen: first={epochs.first} is after the last of trainer.max_epochs={trainer.max_epochs}"
            )
            yield f"{path}.parts", f"'{part}' {found}"
    if trainer.strategy.startswith(_SHARDED):
        yield path, f"cannot freeze parts of a model that trainer.strategy={trainer.strategy} splits over devices"
    several = trainer.strategy.startswith("ddp") or (trainer.strategy == "auto" and trainer.devices != 1)
    for part, epochs in config.parts.items():
        if several and "find_unused" not in trainer.strategy and (epochs.first, epochs.until) != (0, None):
            found = f"trainer.strategy={trainer.strategy} waits for the gradients of '{part}' also while it is frozen"
            yield path, f"{found}; expected trainer.strategy=ddp_find_unused_parameters_true"
            return


def _same_state(callbacks: Mapping[str, CallbackConfig]) -> Iterator[tuple[str, str]]:
    """Two callbacks that would write their state under the same key of a checkpoint."""
    seen: dict[tuple[object, ...], str] = {}
    for name, config in callbacks.items():
        key: tuple[object, ...] = (type(config),)
        if isinstance(config, CheckpointConfig):
            key += (
                config.monitor,
                config.mode,
                config.every_n_train_steps,
                config.every_n_epochs,
                config.train_time_interval,
            )
        if isinstance(config, EarlyStoppingConfig):
            key += (config.monitor, config.mode)
        if isinstance(config, TimerConfig):
            key += (config.interval,)
        if key in seen:
            yield (
                f"callbacks.{name}",
                f"cannot be told apart from callbacks.{seen[key]} in a checkpoint; keep one of them",
            )
        seen.setdefault(key, name)


def _switched_off(config: CallbackConfig, trainer: TrainerConfig) -> Iterator[str]:
    for kinds, switch in (
        (CheckpointConfig, "enable_checkpointing"),
        (_PROGRESS_BARS, "enable_progress_bar"),
        (_SUMMARIES, "enable_model_summary"),
    ):
        if isinstance(config, kinds):
            if getattr(trainer, switch) is False:
                yield f"is switched off by trainer.{switch}=false; leave it out, or set that to null"
            elif trainer.barebones:
                yield "is not allowed with trainer.barebones=true; choose callbacks=[]"


def _unfit(config: CallbackConfig, trainer: TrainerConfig) -> Iterator[str]:
    sharded = trainer.strategy.startswith(_SHARDED)
    match config:
        case CheckpointConfig():
            interval = config.within_epochs()
            monitor = str(config.monitor)
            measured = (
                config.every_n_train_steps is not None and config.every_n_train_steps == trainer.val_check_interval
            )
            if interval is not None and monitor.startswith(("val/", "train/")) and not measured:
                found = f"ranks what {interval} saves within an epoch by {monitor}, which is known of other weights"
                yield f"{found}; set monitor and mode to null, or trainer.val_check_interval to every_n_train_steps"
        case GradientAccumulationConfig():
            if trainer.accumulate_grad_batches != 1:
                yield f"sets what trainer.accumulate_grad_batches={trainer.accumulate_grad_batches} sets too; keep one"
            if trainer.strategy.startswith("deepspeed"):
                yield f"cannot change the number of batches under trainer.strategy={trainer.strategy}"
        case StochasticWeightAveragingConfig():
            if sharded:
                yield f"cannot average a model that trainer.strategy={trainer.strategy} splits over devices"
            if trainer.max_epochs == -1 and isinstance(config.swa_epoch_start, float):
                yield "needs swa_epoch_start as a number of epochs, as trainer.max_epochs=-1 has no share"
            if isinstance(config.swa_epoch_start, int) and -1 < trainer.max_epochs < config.swa_epoch_start:
                yield f"never starts: swa_epoch_start={config.swa_epoch_start} is more than trainer.max_epochs"
        case ExportBestConfig():
            if sharded:
                yield f"needs all of a model that trainer.strategy={trainer.strategy} splits over devices"
        case WeightAveragingConfig() | EMAConfig():
            if sharded:
                yield f"cannot average a model that trainer.strategy={trainer.strategy} splits over devices"
        case TimerConfig():
            if config.duration is not None and trainer.max_time is not None:
                yield "sets a duration, and so does trainer.max_time; keep one"
        case BatchSizeFinderConfig():
            if trainer.strategy not in ("auto", "single_device", "single_xla", "single_tpu"):
                yield f"does not work with trainer.strategy={trainer.strategy}; find the size on one device first"
        case GradientNormConfig():
            if sharded:
                yield f"cannot see the whole gradients that trainer.strategy={trainer.strategy} splits over devices"
