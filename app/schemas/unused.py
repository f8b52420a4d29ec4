"""Fields to which another part of a run leaves no effect. What a part leaves unused of itself, it says itself."""

from collections.abc import Iterator, Mapping
from typing import Final

from app.schemas.callbacks import (
    BatchSizeFinderConfig,
    CallbackConfig,
    EarlyStoppingConfig,
    LearningRateFinderConfig,
    SpikeDetectionConfig,
    TimerConfig,
)
from app.schemas.datamodule import DataModuleConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.module import ModuleConfig
from app.schemas.optimizers import OptimizerSpec
from app.schemas.problems import Path
from app.schemas.rules import Finding
from app.schemas.schedulers import CyclicLRSpec, OneCycleLRSpec, SchedulerSpec
from app.schemas.trainer import TrainerConfig

_STOPPING: Final = (EarlyStoppingConfig, SpikeDetectionConfig, TimerConfig)


def num_workers(datamodule: DataModuleConfig) -> int:
    """Processes that load data for any of the splits."""
    return max(loader.num_workers for _, loader in datamodule.loaders())


def unused_losses(joint_loss: JointLossConfig, module: ModuleConfig) -> Iterator[Finding]:
    """Terms that are never computed, or a switch for terms that are not there."""
    if not joint_loss.tags("val"):
        yield "module.compute_loss_on_valid", "has no effect: no term of joint_loss is computed on the val split"
    for tag, loss in joint_loss.losses.items():
        if loss.phases == ("val",) and not module.compute_loss_on_valid:
            found = "leaves it uncomputed: module.compute_loss_on_valid is false"
            yield ("joint_loss", "losses", tag, "phases"), found


def unused_loading(datamodule: DataModuleConfig, trainer: TrainerConfig) -> Iterator[Finding]:
    """What is about a GPU, or about processes that load, where there are none."""
    if trainer.accelerator == "cpu":
        for path, _ in datamodule.loaders():
            found = "has no effect with trainer.accelerator=cpu, which copies nothing"
            yield ("datamodule", *path, "pin_memory"), found
    if not num_workers(datamodule):
        yield "seed_params.workers", "has no effect: datamodule.dataloader.num_workers is 0"


def unused_by_callbacks(
    callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig, *, has_logger: bool
) -> Iterator[Finding]:
    """What of the trainer is about stopping early or about logging, where nothing does."""
    # A callback of one's own may stop a run too.
    ours = [type(callback).__module__ == CallbackConfig.__module__ for callback in callbacks.values()]
    stops = any(isinstance(callback, _STOPPING) for callback in callbacks.values()) or trainer.max_time is not None
    if all(ours) and not stops:
        names = ("min_epochs", "min_steps")
        yield from ((("trainer", name), "has no effect: nothing ends this run early") for name in names)
    if not has_logger:
        names = ("log_every_n_steps", "enable_autolog_hparams")
        yield from ((("trainer", name), "has no effect without a logger") for name in names)
    for name, callback in callbacks.items():
        if isinstance(callback, LearningRateFinderConfig) and callback.update_attr:
            yield "optimizer_spec.lr", f"has no effect: callbacks.{name} finds another before training"
        if isinstance(callback, BatchSizeFinderConfig):
            yield "datamodule.dataloader.batch_size", f"has no effect: callbacks.{name} finds another before training"


def unused_by_scheduler(optimizer: OptimizerSpec, scheduler: SchedulerSpec | None, path: Path) -> Iterator[Finding]:
    """What of an optimizer its scheduler replaces from the first step on; both stand at `path`."""
    if not isinstance(scheduler, CyclicLRSpec | OneCycleLRSpec):
        return
    replaced = f"has no effect: {type(scheduler).__name__} replaces it by its own"
    if scheduler.max_lr != optimizer.lr:
        yield (*path, "optimizer_spec", "lr"), f"{replaced} max_lr"
    needed = getattr(optimizer, "nesterov", False)  # which asks for a momentum
    if scheduler.cycle_momentum and hasattr(optimizer, "momentum") and not needed:
        yield (*path, "optimizer_spec", "momentum"), f"{replaced} base_momentum and max_momentum"
