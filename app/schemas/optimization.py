"""Several optimizers in one run: what each of the further ones trains, with which losses, how often."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Final

from annotated_types import MinLen

from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.model_paths import nested
from app.schemas.optimizers import LBFGSSpec, OptimizerSpec
from app.schemas.problems import Path, did_you_mean, one_of
from app.schemas.rules import Finding, rule
from app.schemas.schedulers import SchedulerSpec, scheduler_fits_optimizer
from app.schemas.schema import schema
from app.schemas.trainer import TrainerConfig

_STRATEGIES: Final = ("auto", "ddp", "single_device")
"""What a strategy's name begins with under which several optimizers can be stepped."""


@schema
class NamedOptimizerSpec:
    """A further optimizer, beside the run's `optimizer_spec`, for parts of the model.

    All optimizers step after the same forward pass, each from gradients of the same weights. Gradients are clipped for
    each optimizer on its own.
    """

    parameters: Annotated[tuple[NonEmptyText, ...], MinLen(1)]
    """What it trains, by the paths of submodules or parameters: `[.head]`; `optimizer_spec` trains the rest."""

    optimizer_spec: OptimizerSpec
    """The optimizer: `{id: sgd, lr: 0.1}`; the paths in its `params` start at the model too."""

    scheduler_spec: SchedulerSpec | None = None
    """How its learning rate changes: `{id: cosine_annealing, T_max: 20}`; null keeps it constant."""

    losses: Annotated[tuple[NonEmptyText, ...], MinLen(1)] | None = None
    """Tags of the joint loss's terms that it alone minimises; null shares what the others leave with the main one."""

    every_n_steps: PositiveInt = 1
    """Step only at every n-th step of the run, from that step's gradient alone: 5 for WGAN's generator."""

    @rule("losses")
    def losses_are_named_once(self) -> Iterator[Finding]:
        """Twice would be a slip of the pen for another term."""
        for tag in dict.fromkeys(tag for tag in self.losses or () if (self.losses or ()).count(tag) > 1):
            yield "losses", f"names '{tag}' twice"

    @rule("parameters")
    def parameters_are_separate(self) -> Iterator[Finding]:
        """A path within another adds nothing, so something else must have been meant."""
        for place, path in enumerate(self.parameters):
            for earlier in self.parameters[:place]:
                if nested(path, earlier):
                    yield ("parameters", place), f"overlaps with '{earlier}'; name separate parts"

    @rule("scheduler_spec", "optimizer_spec")
    def scheduler_suits_optimizer(self) -> Iterator[Finding]:
        """What a scheduler changes has to be there."""
        if self.scheduler_spec is not None:
            yield from scheduler_fits_optimizer(self.scheduler_spec, self.optimizer_spec)


def optimizer_parts(
    optimizer_spec: OptimizerSpec, scheduler_spec: SchedulerSpec | None, optimizers: Mapping[str, NamedOptimizerSpec]
) -> Iterator[tuple[Path, OptimizerSpec, SchedulerSpec | None]]:
    """Every optimizer with its scheduler, and the path of what holds both: `()` for the main one, which comes first."""
    yield (), optimizer_spec, scheduler_spec
    yield from ((("optimizers", name), each.optimizer_spec, each.scheduler_spec) for name, each in optimizers.items())


def optimizers_fit_together(
    optimizer_spec: OptimizerSpec, optimizers: Mapping[str, NamedOptimizerSpec], tags: Collection[str]
) -> Iterator[Finding]:
    """What is wrong between several optimizers and the joint loss, whose `tags` in training are these.

    Paths are those of the config that holds `optimizers`. What the model alone can tell, the builder does.
    """
    if not optimizers:
        return
    for name, spec in optimizers.items():
        if isinstance(spec.optimizer_spec, LBFGSSpec):
            yield ("optimizers", name, "optimizer_spec"), _LBFGS
    if isinstance(optimizer_spec, LBFGSSpec):
        yield "optimizer_spec", _LBFGS
    yield from _claimed_parameters(optimizers)
    yield from _claimed_losses(optimizers, tags)


def optimizers_fit_trainer(optimizers: Mapping[str, NamedOptimizerSpec], trainer: TrainerConfig) -> Iterator[Finding]:
    """What this trainer cannot do with several optimizers."""
    if not optimizers:
        return
    if not trainer.strategy.startswith(_STRATEGIES):
        found = f"'{trainer.strategy}' cannot step several optimizers"
        yield "trainer.strategy", f"{found}; expected {one_of(_STRATEGIES)}, or optimizers={{}}"
    mixed = trainer.precision.endswith("-mixed")
    for name, spec in optimizers.items():
        if mixed and trainer.gradient_clip_val and getattr(spec.optimizer_spec, "fused", None):
            found = f"true leaves no gradients to clip with trainer.precision={trainer.precision}"
            path: Path = ("optimizers", name, "optimizer_spec", "fused")
            yield path, f"{found}; expected false or null, or trainer.gradient_clip_val=null"


_LBFGS: Final = "lbfgs evaluates the loss several times a step, which only an optimizer on its own can; choose another"


def _claimed_parameters(optimizers: Mapping[str, NamedOptimizerSpec]) -> Iterator[Finding]:
    """Parts that two optimizers would train."""
    seen: list[tuple[str, str]] = []
    for name, spec in optimizers.items():
        for place, path in enumerate(spec.parameters):
            where: Path = ("optimizers", name, "parameters", place)
            if path == ".":
                yield where, "is the whole model, which leaves nothing to optimizer_spec; name the parts"
                continue
            for owner, other in seen:
                if nested(path, other):
                    yield where, f"overlaps with '{other}', which optimizers.{owner} trains; give it to one of them"
        seen += [(name, path) for path in spec.parameters if path != "."]


def _claimed_losses(optimizers: Mapping[str, NamedOptimizerSpec], tags: Collection[str]) -> Iterator[Finding]:
    """Terms that are not there, or that two optimizers would each minimise alone."""
    owners: dict[str, str] = {}
    for name, spec in optimizers.items():
        for place, tag in enumerate(spec.losses or ()):
            where: Path = ("optimizers", name, "losses", place)
            if tag not in tags:
                hint = did_you_mean(tag, tags) or f"; its terms in training: {', '.join(tags)}"
                yield where, f"joint_loss has no term '{tag}' in training{hint}"
            elif owners.setdefault(tag, name) != name:
                yield where, f"'{tag}' is minimised by optimizers.{owners[tag]} alone; leave it to one of them"
    if tags and set(tags) <= owners.keys():
        last = list(optimizers)[-1]
        yield ("optimizers", last, "losses"), "leaves no term of joint_loss to optimizer_spec; leave it at least one"
