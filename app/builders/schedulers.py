"""From a `SchedulerSpec` to a learning rate scheduler, and to what Lightning wants to know about it."""

import math
from collections.abc import Iterator
from typing import Any, Final, cast

from lightning.pytorch.utilities.types import LRSchedulerConfigType
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, SequentialLR

from app.builders.targets import keyword_arguments, live_class
from app.schemas.problems import ConfigError, Path, Problem, dotted
from app.schemas.registry import leaf_fields
from app.schemas.schedulers import (
    ChainedSchedulerSpec,
    CompositeSpec,
    OneCycleLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    SequentialLRSpec,
)

_FOR_LIGHTNING = frozenset({"interval", "frequency", "monitor", "strict"})
_MAIN: Final[Path] = ("scheduler_spec",)


def build_scheduler(
    spec: SchedulerSpec, optimizer: Optimizer, *, run_steps: float | None = None, path: Path = _MAIN
) -> LRScheduler:
    """The scheduler that `spec` describes; it sets the optimizer's first learning rate.

    `run_steps` are the optimizer steps of the whole run (`trainer.estimated_stepping_batches`), by which a `one_cycle`
    without a length of its own is measured. `path` is where `spec` stands in the run's config.

    Raises:
        ConfigError: when a list has not one value for each of the optimizer's parameter groups, or a cycle's length is
            not known or cannot be run.
    """
    if problems := list(_unfit(spec, optimizer, path)):
        raise ConfigError(problems)
    if isinstance(spec, OneCycleLRSpec):
        length = _cycle_length(spec, run_steps, path)
        told = keyword_arguments(spec, without=_FOR_LIGHTNING | {"total_steps", "epochs", "steps_per_epoch"})
        return cast(LRScheduler, live_class(spec)(optimizer, total_steps=length, **told))
    if isinstance(spec, CompositeSpec):
        parts = [build_scheduler(part, optimizer) for part in spec.schedulers]
        if isinstance(spec, SequentialLRSpec):
            return SequentialLR(optimizer, parts, milestones=list(spec.milestones))
        assert isinstance(spec, ChainedSchedulerSpec), f"{type(spec).__name__} is no known list of schedulers"
        return ChainedScheduler(parts, optimizer=optimizer)
    return cast(LRScheduler, live_class(spec)(optimizer, **keyword_arguments(spec, without=_FOR_LIGHTNING)))


def lightning_scheduler(
    spec: SchedulerSpec, optimizer: Optimizer, *, run_steps: float | None = None, path: Path = _MAIN
) -> LRSchedulerConfigType:
    """The scheduler with the times at which Lightning steps it: `lr_scheduler` of what `configure_optimizers` returns.

    Raises:
        ConfigError: as `build_scheduler` does.
    """
    return {
        "scheduler": build_scheduler(spec, optimizer, run_steps=run_steps, path=path),
        "interval": spec.interval,
        "frequency": spec.frequency,
        "monitor": spec.monitor,
        "strict": spec.strict,
        "reduce_on_plateau": isinstance(spec, ReduceLROnPlateauSpec),
    }


def _unfit(spec: SchedulerSpec, optimizer: Optimizer, path: Path) -> Iterator[Problem]:
    """Lists for the parameter groups that have not one value for each."""
    if isinstance(spec, CompositeSpec):
        for place, part in enumerate(spec.schedulers):
            yield from _unfit(part, optimizer, (*path, "schedulers", place))
        return
    groups = optimizer.param_groups
    for name in ("base_lr", "max_lr", "min_lr", "base_momentum", "max_momentum"):
        values: Any = leaf_fields(spec).get(name)
        if isinstance(values, tuple) and len(values) != len(groups):
            names = ", ".join(group.get("name", "all parameters") for group in groups)
            message = f"needs one value for each parameter group ({names}): expected {len(groups)}, found {len(values)}"
            yield Problem(path=dotted((*path, name)), message=message)


def _cycle_length(spec: OneCycleLRSpec, run_steps: float | None, path: Path) -> int:
    """How often a `one_cycle` is stepped."""
    if spec.length is not None:
        return spec.length
    if run_steps is None or not 1 <= run_steps < math.inf:
        message = "needs a value: the run has no end that would give the cycle's length"
        raise ConfigError([Problem(path=dotted((*path, "total_steps")), message=message)])
    length = math.ceil(run_steps / spec.frequency)
    if flaw := spec.flaw(length):
        raise ConfigError([Problem(path=dotted((*path, "pct_start")), message=flaw)])
    return length
