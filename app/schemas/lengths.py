"""What is set for other times than a run has: changes of the learning rate, checkpoints, averages, validation.

Epochs are known from the trainer; steps only where it limits them too, or says how many batches an epoch has.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from app.schemas.callbacks import (
    CallbackConfig,
    CheckpointConfig,
    EarlyStoppingConfig,
    EMAConfig,
    FreezeConfig,
    GradientAccumulationConfig,
    GradientNormConfig,
)
from app.schemas.problems import Path
from app.schemas.rules import Finding
from app.schemas.schedulers import (
    ChainedSchedulerSpec,
    ConstantLRSpec,
    CosineAnnealingLRSpec,
    CosineAnnealingWarmRestartsSpec,
    CyclicLRSpec,
    LinearLRSpec,
    MultiStepLRSpec,
    OneCycleLRSpec,
    PolynomialLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    SequentialLRSpec,
    StepLRSpec,
)
from app.schemas.trainer import TrainerConfig


class _Length(NamedTuple):
    """How long something lasts, in the times that a scheduler counts."""

    times: int
    words: str
    """`the run's 20 epochs`."""


def scheduled_beyond(scheduler: SchedulerSpec, trainer: TrainerConfig, path: Path) -> Iterator[Finding]:
    """What of a scheduler comes too late to have an effect; `path` is where it stands."""
    length = _length(scheduler, trainer)
    if length is None or trainer.fast_dev_run:
        return
    match scheduler:
        case SequentialLRSpec():
            yield from _of_sequence(scheduler, length, path)
        case ChainedSchedulerSpec():
            for place, part in enumerate(scheduler.schedulers):
                yield from _of_one(part, length, (*path, "schedulers", place))
        case _:
            yield from _of_one(scheduler, length, path)


def ends_too_early(scheduler: SchedulerSpec, trainer: TrainerConfig, path: Path) -> Iterator[Finding]:
    """A schedule that is over before the run is, and would undo what it did, or stop the run."""
    if isinstance(scheduler, CosineAnnealingLRSpec) and (message := _rises_again(scheduler, trainer)):
        yield (*path, "T_max"), message
    if not isinstance(scheduler, OneCycleLRSpec) or scheduler.total_steps is None or trainer.fast_dev_run:
        return
    # Where steps and epochs both have a limit, only the data tells which comes first.
    by_epochs = scheduler.interval == "epoch" and trainer.max_steps == -1
    by_steps = scheduler.interval == "step" and trainer.max_epochs == -1
    length = _length(scheduler, trainer) if by_epochs or by_steps else None
    if length is not None and scheduler.total_steps < length.times:
        found = f"ends before {length.words}, and torch steps it no further: expected {length.times}"
        yield (*path, "total_steps"), f"{found}, found {scheduler.total_steps}"


def _rises_again(spec: CosineAnnealingLRSpec, trainer: TrainerConfig) -> str | None:
    """Why a cosine's length does not fit the training."""
    unit, length = ("epoch", trainer.max_epochs) if spec.interval == "epoch" else ("step", trainer.max_steps)
    if unit == "step" and length == -1 and 0 < spec.T_max * spec.frequency <= trainer.max_epochs:
        found = f"counts optimizer steps with interval=step, found {spec.T_max}, no more than there are epochs"
        return f"{found}; expected the steps of the whole run, or interval=epoch"
    if length > 0 and spec.T_max * spec.frequency < length:
        end = f"ends after {spec.T_max * spec.frequency} {unit}s of {length}, and the rate would rise again"
        return f"{end}; expected at least {-(-length // spec.frequency)}"
    return None


def happens_beyond(callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig) -> Iterator[Finding]:
    """What callbacks would do after the run's last epoch or step; paths start at the run's config."""
    if trainer.fast_dev_run:
        return
    epochs = trainer.max_epochs if trainer.max_epochs > 0 else None
    steps = trainer.most_steps()
    for name, callback in callbacks.items():
        for moment in _moments(callback):
            last = epochs if moment.unit == "epoch" else steps
            if last is not None and moment.value + moment.counted_from_0 > last:
                ends = f"in this run, which ends after {last} {moment.unit}s"
                yield ("callbacks", name, *moment.field), f"{moment.effect} {ends}; found {moment.value}"
        if isinstance(callback, EarlyStoppingConfig):
            yield from _impatient(callback, trainer, ("callbacks", name, "patience"))


def _most_batches(callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig) -> int | None:
    """Batches that training cannot exceed, as far as that is known without the data."""
    accumulating = [one for one in callbacks.values() if isinstance(one, GradientAccumulationConfig)]
    of_step = [trainer.accumulate_grad_batches, *(size for one in accumulating for size in one.scheduling.values())]
    of_epoch = trainer.overfit_batches or trainer.limit_train_batches
    limits = [trainer.max_steps * max(of_step)] if trainer.max_steps >= 0 else []
    if trainer.max_epochs >= 0 and type(of_epoch) is int:
        limits.append(trainer.max_epochs * of_epoch)
    return min(limits, default=None)


def never_validated(callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig) -> tuple[int, int] | None:
    """The batches after which the first validation would come, and those after which the run ends before that."""
    interval, last = trainer.val_check_interval, _most_batches(callbacks, trainer)
    if type(interval) is int and last and last < interval and not trainer.fast_dev_run:
        return interval, last
    return None


def validated_beyond(callbacks: Mapping[str, CallbackConfig], trainer: TrainerConfig) -> Iterator[Finding]:
    """Validation and logging that never come."""
    every, steps = trainer.check_val_every_n_epoch, trainer.most_steps()
    if trainer.fast_dev_run:
        return
    if (batches := never_validated(callbacks, trainer)) and trainer.limit_val_batches != 0:
        found = f"the run ends after {batches[1]} batches, before the first validation, after {batches[0]}"
        yield ("trainer", "val_check_interval"), found
    if every is not None and 0 < trainer.max_epochs < every and trainer.limit_val_batches != 0:
        found = f"the run ends after {trainer.max_epochs} epochs, before the first validation, after {every}"
        yield ("trainer", "check_val_every_n_epoch"), found
    if steps and trainer.log_every_n_steps > steps and not trainer.barebones:
        found = f"the run ends after {steps} steps, before anything is logged, every {trainer.log_every_n_steps}"
        yield ("trainer", "log_every_n_steps"), found


class _Moment(NamedTuple):
    """A field that names an epoch or a step."""

    field: Path
    value: int
    unit: str
    effect: str
    """What follows when the run never gets there."""

    counted_from_0: bool = False


def _moments(callback: CallbackConfig) -> Iterator[_Moment]:
    """The fields of a callback that are set and say when something happens."""
    match callback:
        case CheckpointConfig(every_n_epochs=epochs, every_n_train_steps=steps):
            yield _Moment(("every_n_epochs",), epochs or 0, "epoch", "saves nothing")
            yield _Moment(("every_n_train_steps",), steps or 0, "step", "saves nothing")
        case EMAConfig(update_starting_at_epoch=epoch, update_starting_at_step=step, update_every_n_steps=every):
            yield _Moment(("update_every_n_steps",), every, "step", "averages nothing")
            if epoch is not None:
                yield _Moment(("update_starting_at_epoch",), epoch, "epoch", "averages nothing", counted_from_0=True)
            if step is not None:
                yield _Moment(("update_starting_at_step",), step, "step", "averages nothing", counted_from_0=True)
        case GradientNormConfig(every_n_steps=every):
            yield _Moment(("every_n_steps",), every or 0, "step", "logs nothing")
        case GradientAccumulationConfig(scheduling=scheduling):
            for epoch in scheduling:
                yield _Moment(("scheduling", epoch), epoch, "epoch", "changes nothing", counted_from_0=True)
        case FreezeConfig(parts=parts):
            for part, frozen in parts.items():
                if frozen.until is not None:
                    effect = "leaves it frozen, as null does,"
                    yield _Moment(("parts", part, "until"), frozen.until, "epoch", effect, counted_from_0=True)
        case _:
            pass


def _impatient(callback: EarlyStoppingConfig, trainer: TrainerConfig, path: Path) -> Iterator[Finding]:
    """Patience that outlasts the run; a check is a validation, of which there may be several in an epoch."""
    every = trainer.check_val_every_n_epoch
    others = (callback.stopping_threshold, callback.divergence_threshold)
    stops_for_others = any(other is not None for other in others)
    if trainer.max_epochs <= 0 or every is None or trainer.val_check_interval not in (None, 1.0) or stops_for_others:
        return
    checks = trainer.max_epochs if callback.check_on_train_epoch_end else trainer.max_epochs // every
    if 0 < checks <= callback.patience:
        found = f"never runs out: the run ends after {checks} checks"
        yield path, f"{found}; expected less than that, found {callback.patience}"


def _length(scheduler: SchedulerSpec, trainer: TrainerConfig) -> _Length | None:
    """The run's length as the scheduler counts it; None when it depends on the data, or on the clock."""
    last = trainer.max_epochs if scheduler.interval == "epoch" else trainer.most_steps()
    if last is None or last <= 0:
        return None
    words = f"the run's {last} {scheduler.interval}s"
    if scheduler.frequency > 1:
        words += f", counted in {scheduler.frequency}s"
    return _Length(last // scheduler.frequency, words)


def _of_one(scheduler: SchedulerSpec, length: _Length, path: Path) -> Iterator[Finding]:
    """Times of a single scheduler, against how long it is stepped."""
    times, words = length
    match scheduler:
        case StepLRSpec(step_size=size) if size >= times:
            yield (*path, "step_size"), f"changes nothing within {words}: expected less, found {size}"
        case MultiStepLRSpec(milestones=milestones) if milestones[0] >= times:
            yield (*path, "milestones"), f"change nothing within {words}: expected less, found {list(milestones)}"
        case ConstantLRSpec(total_iters=total) if total >= times:
            yield (*path, "total_iters"), f"the full learning rate is never reached in {words}, found {total}"
        case LinearLRSpec(total_iters=total) | PolynomialLRSpec(total_iters=total) if total > times:
            yield (*path, "total_iters"), f"lasts longer than {words}: expected at most {times}, found {total}"
        case CosineAnnealingLRSpec(T_max=total) if total > times:
            yield (*path, "T_max"), f"lasts longer than {words}: expected {times}, found {total}"
        case CosineAnnealingWarmRestartsSpec(T_0=total) if total > times:
            yield (*path, "T_0"), f"never restarts within {words}: expected at most {times}, found {total}"
        case CyclicLRSpec(step_size_up=total) if total > times:
            yield (
                (*path, "step_size_up"),
                f"max_lr is never reached in {words}: expected at most {times}, found {total}",
            )
        case OneCycleLRSpec(total_steps=int(total)) if total > times:
            yield (*path, "total_steps"), f"the cycle is cut off by the end of {words}, found {total}"
        case ReduceLROnPlateauSpec(patience=patience) if patience >= times:
            yield (*path, "patience"), f"never runs out in {words}: expected less, found {patience}"
        case _:
            pass


def _of_sequence(scheduler: SequentialLRSpec, length: _Length, path: Path) -> Iterator[Finding]:
    """Parts that never begin, and a warm-up that is cut off by the next one's beginning."""
    begun = 0
    for place, milestone in enumerate(scheduler.milestones):
        if milestone >= length.times:
            found = f"what follows never begins within {length.words}: expected less, found {milestone}"
            yield (*path, "milestones", place), found
            return
        part = scheduler.schedulers[place]
        if isinstance(part, LinearLRSpec | ConstantLRSpec) and part.total_iters > milestone - begun:
            found = f"is cut off after {milestone - begun} times by milestones, found {part.total_iters}"
            yield (*path, "schedulers", place, "total_iters"), found
        begun = milestone
