"""The scheduler group: every learning rate scheduler of `torch.optim.lr_scheduler` that a config can describe.

Left out, because they take functions: LambdaLR, MultiplicativeLR, and CyclicLR's `scale_fn` with its `scale_mode`.
Left out of every scheduler: `last_epoch`, since a resumed run restores the scheduler's whole state.

A scheduler counts in the `interval` of its own settings: where a field says "times", it means epochs with `epoch` and
optimizer steps with `step`.
"""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from annotated_types import MinLen

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.constraints import (
    Fraction,
    Momentum,
    NonEmptyText,
    NonNegativeFloat,
    NonNegativeInt,
    OpenShare,
    PartialShare,
    PositiveFloat,
    PositiveInt,
    Probability,
)
from app.schemas.optimizers import OptimizerSpec
from app.schemas.problems import Path
from app.schemas.registry import group, register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema

Rates = PositiveFloat | Annotated[tuple[PositiveFloat, ...], MinLen(1)]
"""One learning rate, or one for each parameter group in their order."""

LowestRates = NonNegativeFloat | Annotated[tuple[NonNegativeFloat, ...], MinLen(1)]
Momenta = Momentum | Annotated[tuple[Momentum, ...], MinLen(1)]


@group("scheduler_spec")
@schema
class SchedulerSpec:
    """How the learning rate changes during training."""

    interval: Literal["epoch", "step"] = "epoch"
    """What the scheduler counts: epochs, or optimizer steps."""

    frequency: PositiveInt = 1
    """Intervals between two of its steps."""

    monitor: NonEmptyText | None = None
    """The logged value that reduce_on_plateau watches; the others need none."""

    strict: bool = True
    """Stop the run when the monitored value is missing, instead of warning and going on."""

    @remark(Code.UNUSED)
    def something_is_watched(self) -> Iterator[Finding]:
        """Lightning looks a monitor up for this one kind alone."""
        if not isinstance(self, ReduceLROnPlateauSpec):
            yield from ((name, "has an effect with reduce_on_plateau only") for name in ("monitor", "strict"))


_OUTERMOST = tuple(field_types(SchedulerSpec))
"""Fields that say when Lightning steps a scheduler, which it does for the outermost one alone."""


@register("scheduler_spec", "constant", target="torch.optim.lr_scheduler.ConstantLR")
@schema
class ConstantLRSpec(SchedulerSpec):
    """A lower learning rate at first, the full one after `total_iters`."""

    factor: Fraction = 1 / 3
    """What the learning rate is multiplied with at first."""

    total_iters: PositiveInt = 5
    """Times until the full learning rate."""


@register("scheduler_spec", "linear", target="torch.optim.lr_scheduler.LinearLR")
@schema
class LinearLRSpec(SchedulerSpec):
    """A factor on the learning rate that changes linearly: the usual warm-up."""

    start_factor: Fraction = 1 / 3
    """The factor at the start."""

    end_factor: Probability = 1.0
    """The factor from `total_iters` on."""

    total_iters: PositiveInt = 5
    """Times that the change takes."""


@register(
    "scheduler_spec", "polynomial", target="torch.optim.lr_scheduler.PolynomialLR", total_iters="${trainer.max_epochs}"
)
@schema
class PolynomialLRSpec(SchedulerSpec):
    """Decay to 0 along a power of the remaining times."""

    total_iters: PositiveInt = 5
    """Times until the learning rate is 0, where it stays: the length of the run, chosen by name."""

    power: PositiveFloat = 1.0
    """1 decays linearly; more decays faster at first."""


@register("scheduler_spec", "exponential", target="torch.optim.lr_scheduler.ExponentialLR", gamma=0.95)
@schema
class ExponentialLRSpec(SchedulerSpec):
    """The learning rate multiplied by `gamma` every time."""

    gamma: PositiveFloat
    """The factor; above 1 the rate grows, as in a search for the largest that still trains."""


@register("scheduler_spec", "step", target="torch.optim.lr_scheduler.StepLR", step_size=10)
@schema
class StepLRSpec(SchedulerSpec):
    """The learning rate multiplied by `gamma` at regular times."""

    step_size: PositiveInt
    """Times between two changes."""

    gamma: PositiveFloat = 0.1
    """The factor of each change."""


@register("scheduler_spec", "multi_step", target="torch.optim.lr_scheduler.MultiStepLR", milestones=[10, 15])
@schema
class MultiStepLRSpec(SchedulerSpec):
    """The learning rate multiplied by `gamma` at chosen times."""

    milestones: Annotated[tuple[PositiveInt, ...], MinLen(1)]
    """The times of the changes, in increasing order."""

    gamma: PositiveFloat = 0.1
    """The factor of each change."""

    @rule("milestones")
    def milestones_increase(self) -> Iterator[Finding]:
        """Torch would sort them, and change the rate twice at one that is repeated."""
        yield from _disorder(self.milestones)


@register(
    "scheduler_spec",
    "cosine_annealing",
    target="torch.optim.lr_scheduler.CosineAnnealingLR",
    T_max="${trainer.max_epochs}",
)
@schema
class CosineAnnealingLRSpec(SchedulerSpec):
    """Decay along half a cosine (Loshchilov & Hutter, 2017, without restarts)."""

    T_max: PositiveInt
    """Times until `eta_min`: the length of the run, chosen by name. Beyond it the rate rises again."""

    eta_min: NonNegativeFloat = 0.0
    """Lowest learning rate."""


@register(
    "scheduler_spec",
    "cosine_annealing_warm_restarts",
    target="torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
    T_0=10,
)
@schema
class CosineAnnealingWarmRestartsSpec(SchedulerSpec):
    """Half cosines one after another, each from the full learning rate (SGDR; Loshchilov & Hutter, 2017)."""

    T_0: PositiveInt
    """Times until the first restart."""

    T_mult: PositiveInt = 1
    """Factor by which each cycle is longer than the one before."""

    eta_min: NonNegativeFloat = 0.0
    """Lowest learning rate."""


class MomentumCycle:
    """What the schedulers share that move the momentum against the learning rate; no schema, so it adds no fields."""

    cycle_momentum: bool
    base_momentum: Momenta
    max_momentum: Momenta

    @remark(Code.UNUSED)
    def momentum_is_moved(self) -> Iterator[Finding]:
        """The optimizer keeps its own otherwise."""
        if not self.cycle_momentum:
            names = ("base_momentum", "max_momentum")
            yield from ((name, "has an effect with cycle_momentum=true only") for name in names)

    @rule("base_momentum", "max_momentum")
    def momenta_ordered(self) -> Iterator[Finding]:
        """Torch would cycle the momentum together with the rate."""
        if wrong := _inverted(self.base_momentum, self.max_momentum, equal=True):
            yield "base_momentum", f"must not be above max_momentum, {wrong}"


@register(
    "scheduler_spec",
    "cyclic",
    target="torch.optim.lr_scheduler.CyclicLR",
    base_lr=0.0,
    max_lr="${optimizer_spec.lr}",
)
@schema
class CyclicLRSpec(MomentumCycle, SchedulerSpec):
    """The learning rate up and down between two bounds, which replace the optimizer's own (Smith, 2017)."""

    base_lr: LowestRates
    """Lower bound, where it starts; a list gives each parameter group its own."""

    max_lr: Rates
    """Upper bound: the optimizer's `lr`, chosen by name; a list gives each parameter group its own."""

    step_size_up: PositiveInt = 2000
    """Times from the lower bound to the upper; the paper advises 2 to 8 epochs."""

    step_size_down: PositiveInt | None = None
    """Times from the upper bound to the lower; null means as many as up."""

    mode: Literal["triangular", "triangular2", "exp_range"] = "triangular"
    """Whether the upper bound stays, halves with every cycle, or shrinks by `gamma` every time."""

    gamma: Fraction = 1.0
    """The factor of `exp_range`."""

    cycle_momentum: bool = True
    """Move the optimizer's momentum (Adam's first beta) the other way; its own value is replaced."""

    base_momentum: Momenta = 0.8
    """Lower bound of the momentum, reached at `max_lr`."""

    max_momentum: Momenta = 0.9
    """Upper bound of the momentum, reached at `base_lr`."""

    interval: Literal["epoch", "step"] = "step"
    """What the scheduler counts: epochs, or optimizer steps, for which the method is meant."""

    @remark(Code.UNUSED)
    def bound_shrinks(self) -> Iterator[Finding]:
        """The other modes have a rule of their own."""
        if self.mode != "exp_range":
            yield "gamma", f"has an effect with mode=exp_range only, found mode={self.mode}"

    @rule("base_lr", "max_lr")
    def rates_ordered(self) -> Iterator[Finding]:
        """A cycle needs room to move in."""
        if wrong := _inverted(self.base_lr, self.max_lr, equal=False):
            yield "base_lr", f"must be below max_lr, {wrong}"


@register("scheduler_spec", "one_cycle", target="torch.optim.lr_scheduler.OneCycleLR", max_lr="${optimizer_spec.lr}")
@schema
class OneCycleLRSpec(MomentumCycle, SchedulerSpec):
    """Up to a large learning rate and down to almost none, over the whole run (Smith & Topin, 2019).

    How long that is follows from the run when neither `total_steps` nor `epochs` with `steps_per_epoch` says so.
    """

    max_lr: Rates
    """The peak: the optimizer's `lr`, chosen by name; a list gives each parameter group its own."""

    total_steps: PositiveInt | None = None
    """Times that the cycle takes; null means `epochs * steps_per_epoch`, or the length of the run."""

    epochs: PositiveInt | None = None
    """Epochs that the cycle takes, together with `steps_per_epoch`."""

    steps_per_epoch: PositiveInt | None = None
    """Optimizer steps in an epoch, together with `epochs`."""

    pct_start: PartialShare = 0.3
    """Share of the cycle in which the rate rises: 0.3 is 30 %."""

    anneal_strategy: Literal["cos", "linear"] = "cos"
    """Along which curve the rate moves."""

    cycle_momentum: bool = True
    """Move the optimizer's momentum (Adam's first beta) the other way; its own value is replaced."""

    base_momentum: Momenta = 0.85
    """Lower bound of the momentum, reached at the peak."""

    max_momentum: Momenta = 0.95
    """Upper bound of the momentum, where it starts."""

    div_factor: PositiveFloat = 25.0
    """The first learning rate is `max_lr / div_factor`."""

    final_div_factor: PositiveFloat = 1e4
    """The last learning rate is the first one divided by this."""

    three_phase: bool = False
    """Fall at the pace of the rise, then further to the last rate, as in the paper; false falls once."""

    interval: Literal["epoch", "step"] = "step"
    """What the scheduler counts: epochs, or optimizer steps, for which the method is meant."""

    @property
    def length(self) -> int | None:
        """Times that the cycle takes, as far as the config says."""
        if self.epochs is not None and self.steps_per_epoch is not None:
            return self.epochs * self.steps_per_epoch
        return self.total_steps

    def flaw(self, length: int) -> str | None:
        """Why a cycle of this length cannot run with `pct_start`: torch divides by the length of each phase.

        See https://github.com/pytorch/pytorch/pull/180187.
        """
        if self.pct_start * length == 1:
            return f"{self.pct_start} of {length} is a single step, for which torch divides by zero; change it a little"
        return None

    @rule("total_steps", "epochs", "steps_per_epoch", "interval")
    def length_said_once(self) -> Iterator[Finding]:
        """Torch would ignore whatever is said beyond `total_steps`."""
        pair = {"epochs": self.epochs, "steps_per_epoch": self.steps_per_epoch}
        given = [name for name, value in pair.items() if value is not None]
        if self.total_steps is not None and given:
            yield "total_steps", f"says the cycle's length a second time, beside {' and '.join(given)}; keep one"
        elif len(given) == 1:
            missing = next(name for name in pair if name not in given)
            yield given[0], f"says nothing without {missing}; give both, or total_steps"
        elif self.interval == "epoch" and self.total_steps is None:
            yield "total_steps", "needs a value, the cycle's length in epochs, while interval is 'epoch'"

    @rule("pct_start", "three_phase")
    def fall_as_long_as_rise(self) -> Iterator[Finding]:
        """With three phases the second mirrors the first."""
        if self.three_phase and self.pct_start > 0.5:
            yield (
                "pct_start",
                f"must be at most 0.5 with three_phase, where rise and fall take it twice, found {self.pct_start}",
            )

    @rule("pct_start", "total_steps", "epochs", "steps_per_epoch")
    def phases_have_length(self) -> Iterator[Finding]:
        """The same is looked at again by the builder, when the run decides the length."""
        if self.length is not None and (flaw := self.flaw(self.length)):
            yield "pct_start", flaw


@register(
    "scheduler_spec",
    "reduce_on_plateau",
    target="torch.optim.lr_scheduler.ReduceLROnPlateau",
    monitor="${task.monitor}",
    mode="${task.mode}",
)
@schema
class ReduceLROnPlateauSpec(SchedulerSpec):
    """A lower learning rate whenever the monitored value has stopped improving."""

    mode: Literal["min", "max"] = "min"
    """Whether the monitored value should be small or large."""

    factor: OpenShare = 0.1
    """What the learning rate is multiplied with."""

    patience: NonNegativeInt = 10
    """Times without improvement that are let pass."""

    threshold: NonNegativeFloat = 1e-4
    """Least change that counts as an improvement."""

    threshold_mode: Literal["rel", "abs"] = "rel"
    """Whether `threshold` is a share of the best value or a difference from it."""

    cooldown: NonNegativeInt = 0
    """Times after a reduction in which nothing is counted."""

    min_lr: LowestRates = 0.0
    """Lowest learning rate; a list gives each parameter group its own."""

    eps: NonNegativeFloat = 1e-8
    """A reduction smaller than this is not made."""

    @rule("monitor", code=Code.MONITOR)
    def monitor_given(self) -> Iterator[Finding]:
        """It is the whole point of this scheduler."""
        if self.monitor is None:
            yield "monitor", "needs a value: the logged value whose plateau lowers the learning rate"

    @rule("interval", code=Code.MONITOR)
    def monitor_is_logged_once_an_epoch(self) -> Iterator[Finding]:
        """At a step there is nothing to look at yet."""
        if self.interval != "epoch":
            yield "interval", "expected 'epoch', found 'step': what it watches is logged once an epoch"


@schema
class CompositeSpec(SchedulerSpec):
    """Schedulers made of others."""

    abstract: ClassVar = True

    schedulers: Annotated[tuple[SchedulerSpec, ...], MinLen(1)]
    """The parts, each with the option's name as `id`: `{id: linear, total_iters: 5}`."""

    @rule("schedulers", code=Code.UNUSED)
    def parts_are_stepped_from_outside(self) -> Iterator[Finding]:
        """Lightning steps the outermost scheduler, at its times and without a value to watch."""
        for place, part in enumerate(self.schedulers):
            if isinstance(part, ReduceLROnPlateauSpec):
                continue
            own = {field.name: field.default for field in dataclasses.fields(part)}
            for name in _OUTERMOST:
                if getattr(part, name) != own[name]:
                    yield ("schedulers", place, name), f"has no effect on a part; set {name} of the scheduler around it"

    @rule("schedulers")
    def parts_can_be_combined(self) -> Iterator[Finding]:
        """Torch refuses reduce_on_plateau, and gets the others wrong without a word.

        It steps a nested list once too often (https://github.com/pytorch/pytorch/issues/196243), and OneCycleLR
        overwrites the learning rate that its neighbours start from.
        """
        for place, part in enumerate(self.schedulers):
            if isinstance(part, ReduceLROnPlateauSpec):
                yield ("schedulers", place), "reduce_on_plateau watches a value, which no part is given; use it alone"
            elif isinstance(part, OneCycleLRSpec):
                yield (
                    ("schedulers", place),
                    "one_cycle covers a whole run and changes where the others start; use it alone",
                )
            elif isinstance(part, CompositeSpec):
                yield (
                    ("schedulers", place),
                    "a part made of parts runs at the wrong times in torch; list its parts here",
                )


@register(
    "scheduler_spec",
    "chained",
    target="torch.optim.lr_scheduler.ChainedScheduler",
    schedulers=[{"id": "constant", "total_iters": 5}, {"id": "exponential", "gamma": 0.95}],
)
@schema
class ChainedSchedulerSpec(CompositeSpec):
    """Several schedulers at once, their factors multiplied; chosen by name: a low start, then a slow decay."""

    @rule("schedulers")
    def parts_multiply(self) -> Iterator[Finding]:
        """These two set the learning rate instead of changing it, so that the others are lost."""
        for place, part in enumerate(self.schedulers):
            if isinstance(part, CyclicLRSpec | CosineAnnealingWarmRestartsSpec) and len(self.schedulers) > 1:
                yield (
                    ("schedulers", place),
                    "sets the learning rate anew each time, so nothing multiplies with it; use it alone",
                )


@register(
    "scheduler_spec",
    "sequential",
    target="torch.optim.lr_scheduler.SequentialLR",
    schedulers=[{"id": "linear", "total_iters": 5}, {"id": "cosine_annealing", "T_max": "${trainer.max_epochs}"}],
    milestones=[5],
)
@schema
class SequentialLRSpec(CompositeSpec):
    """One scheduler after another; chosen by name: a linear warm-up, then a cosine decay."""

    milestones: tuple[PositiveInt, ...]
    """When the next scheduler takes over, in increasing order: one less than there are schedulers."""

    @rule("milestones")
    def milestones_increase(self) -> Iterator[Finding]:
        """A scheduler between two equal milestones would never run."""
        yield from _disorder(self.milestones)

    @rule("milestones", "schedulers")
    def milestone_between_schedulers(self) -> Iterator[Finding]:
        """Torch refuses any other number."""
        wanted = len(self.schedulers) - 1
        if len(self.milestones) != wanted:
            yield (
                "milestones",
                f"needs one value between each two schedulers: expected {wanted}, found {len(self.milestones)}",
            )


def scheduler_fits_optimizer(scheduler: SchedulerSpec, optimizer: OptimizerSpec) -> Iterator[Finding]:
    """What is wrong between the two, with paths from the config that holds both.

    How many values a list for the parameter groups must have is known to the builder alone.
    """
    path: Path = ("scheduler_spec",)
    parts = [(path, scheduler)]
    if isinstance(scheduler, CompositeSpec):
        parts = [((*path, "schedulers", place), part) for place, part in enumerate(scheduler.schedulers)]
    for where, part in parts:
        yield from (((*where, name), message) for name, message in _misfits(part, optimizer))


def _misfits(scheduler: SchedulerSpec, optimizer: OptimizerSpec) -> Iterator[tuple[str, str]]:
    cls: type = type(optimizer)
    own_rates = optimizer.own_rates()
    rates = [optimizer.lr, *own_rates]
    match scheduler:
        case CyclicLRSpec() | OneCycleLRSpec():
            if scheduler.cycle_momentum and not {"momentum", "betas"} & set(field_types(cls)):
                yield "cycle_momentum", f"true needs an optimizer with momentum or betas; {cls.__name__} has neither"
            if own_rates and not isinstance(scheduler.max_lr, tuple):
                replaced = "would replace the learning rates in optimizer_spec.params and paramwise"
                yield "max_lr", f"{replaced}; give a list, one for each group"
        case CosineAnnealingLRSpec(eta_min=lowest) | CosineAnnealingWarmRestartsSpec(eta_min=lowest):
            if lowest >= min(rates):
                yield "eta_min", f"must be below the learning rate it is reached from, {min(rates)}, found {lowest}"
        case ReduceLROnPlateauSpec(min_lr=float(lowest)):
            if lowest >= max(rates):
                yield "min_lr", f"must be below the learning rate to reduce, {max(rates)}, found {lowest}"
        case _:
            pass


def _disorder(milestones: tuple[int, ...]) -> Iterator[Finding]:
    for place, (before, after) in enumerate(itertools.pairwise(milestones), start=1):
        if after <= before:
            yield ("milestones", place), f"must come after the milestone before it, {before}, found {after}"


def _inverted(low: float | tuple[float, ...], high: float | tuple[float, ...], *, equal: bool) -> str | None:
    """What was found, when a lower bound is not below its upper one; single values stand for every group."""
    lows = low if isinstance(low, tuple) else (low,) * (len(high) if isinstance(high, tuple) else 1)
    highs = high if isinstance(high, tuple) else (high,) * len(lows)
    if len(lows) != len(highs):
        return f"group by group, found lists of {len(lows)} and {len(highs)} values"
    for one, other in zip(lows, highs, strict=True):
        if one > other or (one == other and not equal):
            return f"found {one} and {other}"
    return None
