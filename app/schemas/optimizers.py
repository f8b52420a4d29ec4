"""The optimizer group: every optimizer of `torch.optim`, parameter groups by path, and rules by kind of parameter.

All constructor arguments are here but `params`, whose place the parameter groups take. Torch fixes few ranges; where
it lets a value through that cannot train (a decay rate of 1, an `eps` of 0 under which Adadelta never moves), the
types here are the narrower ones.
"""

import math
from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_types import Ge, Gt, Le

from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.constraints import (
    AtLeastOne,
    Momentum,
    NonNegativeFloat,
    NonPositiveFloat,
    OpenShare,
    PositiveFloat,
    PositiveInt,
    Probability,
)
from app.schemas.problems import Path, did_you_mean, dotted
from app.schemas.registry import group, leaf_fields, register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import fill, schema

Betas = tuple[Momentum, Momentum]
"""Decay rates of Adam's two running averages: of the gradient, and of its square."""

AboveOne = Annotated[float, Gt(1)]
NewtonSchulzSteps = Annotated[int, Ge(1), Le(99)]
AdjustLrFn = Literal["original", "match_rms_adamw"]

_ALMOST_A_DECADE: Final = 1 - 1e-9
"""Of the logarithm of ten times a float, or a tenth of it, which is not quite 1."""


@schema
class ParamGroupSpec:
    """What one parameter group has of its own; every value left null is the optimizer's.

    The execution flags (`foreach`, `fused`, `capturable`, `differentiable`) belong to the optimizer as a whole. So does
    Adagrad's `initial_accumulator_value`: torch reads it once, for all groups.
    """

    lr: PositiveFloat | None = None
    """Learning rate of the group; usually smaller for pre-trained parts than for new ones."""

    weight_decay: NonNegativeFloat | None = None
    """Pull towards zero; 0 is customary for biases and normalization layers."""

    momentum: Momentum | None = None
    """Share of the previous update that is kept."""

    dampening: Probability | None = None
    """Share of the gradient that does not enter the momentum."""

    nesterov: bool | None = None
    """Look ahead along the momentum before the gradient is applied."""

    betas: Betas | None = None
    """Decay rates of the running averages of the gradient and of its square."""

    eps: NonNegativeFloat | tuple[NonNegativeFloat | None, NonNegativeFloat] | None = None
    """Guard against division by zero; two values for Adafactor."""

    amsgrad: bool | None = None
    """Divide by the largest running average seen so far instead of the current one."""

    decoupled_weight_decay: bool | None = None
    """Shrink the weights directly, as AdamW does, instead of adding the decay to the gradient."""

    alpha: NonNegativeFloat | None = None
    """RMSprop's decay rate of the squared gradient; ASGD's power of the step size's decay."""

    centered: bool | None = None
    """Divide by the gradient's estimated variance instead of its plain second moment."""

    lr_decay: NonNegativeFloat | None = None
    """How fast Adagrad's learning rate falls: `lr / (1 + step * lr_decay)`."""

    rho: Momentum | None = None
    """Adadelta's decay rate of the squared gradient and the squared update."""

    beta2_decay: NonPositiveFloat | None = None
    """Exponent by which Adafactor's decay rate approaches 1."""

    d: AtLeastOne | None = None
    """Largest root mean square of an update before Adafactor clips it."""

    momentum_decay: NonNegativeFloat | None = None
    """How fast NAdam's momentum approaches its full value."""

    lambd: NonNegativeFloat | None = None
    """Decay term of ASGD's step size."""

    t0: NonNegativeFloat | None = None
    """Step at which ASGD starts to average the parameters."""

    etas: tuple[OpenShare, AboveOne] | None = None
    """Factors by which Rprop shrinks and grows a weight's step size."""

    step_sizes: tuple[PositiveFloat, PositiveFloat] | None = None
    """Smallest and largest step size of a weight under Rprop."""

    ns_coefficients: tuple[float, float, float] | None = None
    """Coefficients of Muon's Newton-Schulz polynomial."""

    ns_steps: NewtonSchulzSteps | None = None
    """Newton-Schulz iterations in each of Muon's updates."""

    adjust_lr_fn: AdjustLrFn | None = None
    """How Muon scales the learning rate by a matrix's shape."""

    maximize: bool | None = None
    """Climb the loss with this group while the others descend it, as adversarial parts need."""


@schema
class ParamFactors:
    """Factors on the values of the parameters that a pattern matches."""

    lr: PositiveFloat = 1.0
    """Factor on the learning rate."""

    weight_decay: NonNegativeFloat = 1.0
    """Factor on the weight decay; 0 takes it away."""


@schema
class ParamwiseConfig:
    """Factors on learning rate and weight decay by a parameter's kind and name; those that apply are multiplied.

    With `{norm_decay: 0, bias_decay: 0}` only weights decay, as is customary for transformers and long schedules.
    """

    norm_decay: NonNegativeFloat = 1.0
    """Factor on the weight decay of normalization layers, their biases included."""

    bias_decay: NonNegativeFloat = 1.0
    """Factor on the weight decay of all other layers' biases."""

    bias_lr: PositiveFloat = 1.0
    """Factor on the learning rate of biases outside normalization layers; 2 was customary for detectors."""

    custom: dict[str, ParamFactors] = field(default_factory=dict)
    """Factors by path or pattern: `{.backbone: {lr: 0.1}, .*.pos_embed: {weight_decay: 0}}`.

    A path names a submodule or parameter, as in `params`; a pattern with `*`, `?` or `[…]` is held against the whole
    names of parameters, where `*` also stands for dots.
    """

    def decay_factors(self) -> Iterator[tuple[Path, float]]:
        """Every factor on weight decay, with the path at which it stands."""
        yield ("norm_decay",), self.norm_decay
        yield ("bias_decay",), self.bias_decay
        yield from ((("custom", name, "weight_decay"), each.weight_decay) for name, each in self.custom.items())

    def lr_factors(self) -> Iterator[tuple[Path, float]]:
        """Every factor on the learning rate, with the path at which it stands."""
        yield ("bias_lr",), self.bias_lr
        yield from ((("custom", name, "lr"), each.lr) for name, each in self.custom.items())


@group("optimizer_spec")
@schema
class OptimizerSpec:
    """How the parameters are updated."""

    takes_groups: ClassVar[bool] = True

    usual_lr: ClassVar[tuple[float, float] | None] = None
    """The learning rates that are usual with it, from the smallest to the largest, and who says so; null where nobody
    does."""

    lr: PositiveFloat
    """Learning rate: the size of a step, and the first value to tune."""

    params: dict[str, ParamGroupSpec] = field(default_factory=dict)
    """Values for parts of the model, by the path of a submodule or parameter: `{.backbone: {lr: 1e-5}}`.

    A path starts at the model (the module's `self.model`); the leading dot may be left out. What no path covers is
    trained with the optimizer's own values.
    """

    paramwise: ParamwiseConfig = field(default_factory=ParamwiseConfig)
    """Factors on learning rate and weight decay by kind and name, on top of `params`: `{norm_decay: 0}`."""

    filter_requires_grad: bool = False
    """Leave frozen parameters out of the optimizer; they can then not be unfrozen during the run."""

    @rule("paramwise")
    def factors_fit_optimizer(self) -> Iterator[Finding]:
        """A factor on what the optimizer has not would have no effect."""
        cls: type = type(self)
        factors = [*self.paramwise.lr_factors(), *self.paramwise.decay_factors()]
        if not self.takes_groups:
            if any(factor != 1 for _, factor in factors):
                yield "paramwise", f"{cls.__name__} takes no parameter groups, so nothing can differ between them"
        elif "weight_decay" not in field_types(cls):
            for path, factor in self.paramwise.decay_factors():
                if factor != 1:
                    yield ("paramwise", *path), f"{cls.__name__} has no weight decay to multiply; leave this out"

    def own_rates(self) -> list[float]:
        """Learning rates that parts of the model have of their own, beside `lr`."""
        rates = [part.lr for part in self.params.values() if part.lr is not None]
        factors = [factor for _, factor in self.paramwise.lr_factors() if factor != 1]
        return rates + [rate * factor for rate in (self.lr, *rates) for factor in factors]

    @rule("params")
    def params_fit_optimizer(self) -> Iterator[Finding]:
        """Each group's values must be ones that this optimizer has, and pass its rules together with the others."""
        cls: type = type(self)
        if self.params and not self.takes_groups:
            yield "params", f"{cls.__name__} takes no parameter groups: it finds one step for all parameters together"
            return
        settable = [name for name in field_types(ParamGroupSpec) if name in field_types(cls)]
        own: dict[str, Any] = leaf_fields(self) | {"params": {}}
        for path, part in self.params.items():
            values = {name: value for name, value in leaf_fields(part).items() if value is not None}
            for name in [name for name in values if name not in settable]:
                hint = did_you_mean(name, settable) or f"; its groups may set {', '.join(settable)}"
                yield ("params", path, name), f"{cls.__name__} has no such field{hint}"
            fitting = {name: value for name, value in values.items() if name in settable}
            faults, _ = fill(object.__new__(cls), own | fitting)
            for fault in faults:
                changed = [read[0] for read in fault.reads if read[0] in fitting]
                if fault.path[0] in fitting:
                    yield ("params", path, *fault.path), fault.message
                elif changed:
                    yield ("params", path, changed[0]), f"{dotted(fault.path)} {fault.message}"

    @remark(Code.LEARNING_RATE)
    def rates_are_usual(self) -> Iterator[Finding]:
        """A zero too many or too few trains too, to a result that says nothing about the rest of the config.

        For a part of the model a small rate is the usual way to keep what it has learnt before.
        """
        if self.usual_lr is None:
            return
        lowest, highest = self.usual_lr
        rates: list[tuple[Path, float | None]] = [
            (("lr",), self.lr),
            *((("params", path, "lr"), part.lr) for path, part in self.params.items()),
        ]
        for where, rate in rates:
            if rate is None or math.log10(lowest / rate) <= _ALMOST_A_DECADE >= math.log10(rate / highest):
                continue
            if rate < lowest and where != ("lr",):
                continue
            off = "below" if rate < lowest else "above"
            usual = f"what is usual with {type(self).__name__}, {lowest:g} to {highest:g}"
            yield where, f"{rate:g} is a decade or more {off} {usual}"

    @remark(Code.UNUSED)
    def decay_is_multiplied(self) -> Iterator[Finding]:
        """Of no weight decay, every factor is none."""
        if not self._anywhere("weight_decay"):
            yield from (
                (("paramwise", *path), "has no effect without weight_decay")
                for path, _ in self.paramwise.decay_factors()
            )

    def _anywhere(self, name: str) -> bool:
        """Whether a value is set, and not zero, for any of the parameters."""
        return any(getattr(part, name, None) for part in (self, *self.params.values()))


@schema
class MaximizeSpec(OptimizerSpec):
    """Optimizers that can also climb."""

    abstract: ClassVar = True

    maximize: bool = False
    """Climb the loss instead of descending it."""


@schema
class ForeachSpec(MaximizeSpec):
    """Optimizers that can update many parameters in one call."""

    abstract: ClassVar = True

    foreach: bool | None = None
    """Update all parameters in few large kernels: faster on a GPU, and it needs memory for one more copy of them.

    With null torch decides: yes on a GPU, no on a CPU.
    """


@schema
class DifferentiableSpec(ForeachSpec):
    """Optimizers whose step torch can differentiate."""

    abstract: ClassVar = True

    differentiable: bool = False
    """Record the step for differentiation; only false can train a module."""

    @rule("differentiable")
    def differentiable_is_off(self) -> Iterator[Finding]:
        """Torch refuses the recorded in-place update of a leaf tensor, which every module's parameter is."""
        if self.differentiable:
            yield "differentiable", "true cannot train a module: torch differentiates no step on its own parameters"


@schema
class CapturableSpec(DifferentiableSpec):
    """Optimizers whose step can be part of a CUDA graph."""

    abstract: ClassVar = True

    capturable: bool = False
    """Make the step safe for capture in a CUDA graph: slower without one, and impossible on a CPU."""


@schema
class FusedSpec(DifferentiableSpec):
    """Optimizers with a kernel that does the whole step."""

    abstract: ClassVar = True

    fused: bool | None = None
    """Do the whole step in one kernel: the fastest way, for floating-point parameters only.

    With null torch uses none.
    """

    @rule("fused", "foreach")
    def one_implementation(self) -> Iterator[Finding]:
        """Torch refuses both at once."""
        if self.fused and self.foreach:
            yield "fused", "true does not go together with foreach=true; choose one of the two"


@register("optimizer_spec", "adadelta", target="torch.optim.Adadelta")
@schema
class AdadeltaSpec(CapturableSpec):
    """Step sizes from running averages of past updates, almost without a learning rate (Zeiler, 2012)."""

    usual_lr: ClassVar = (0.1, 1.0)
    """Zeiler (2012) has none, which is 1; 0.1 is taken too."""

    lr: PositiveFloat = 1.0
    """Factor on the step that the method finds by itself; 1 is the paper's."""

    rho: Momentum = 0.9
    """Decay rate of the running averages of the squared gradient and the squared update."""

    eps: PositiveFloat = 1e-6
    """Added under both roots; it sets the size of the first steps, so 0 would never move."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""


@register("optimizer_spec", "adafactor", target="torch.optim.Adafactor")
@schema
class AdafactorSpec(ForeachSpec):
    """Adam with second moments kept as row and column sums, for models that fill the memory (Shazeer & Stern, 2018)."""

    usual_lr: ClassVar = (1e-4, 1e-1)
    """Shazeer and Stern (2018): relative steps of 0.01; T5 fine-tunes with 0.001 (Raffel et al., 2020)."""

    lr: PositiveFloat = 1e-2
    """Upper bound of the relative step size, which then falls with the inverse root of the step."""

    beta2_decay: NonPositiveFloat = -0.8
    """Exponent by which the second moment's decay rate approaches 1: `1 - step ** beta2_decay`."""

    eps: tuple[NonNegativeFloat | None, NonNegativeFloat] = (None, 1e-3)
    """Floors of the squared gradient (null: the machine epsilon of its type) and of the parameters' scale."""

    d: AtLeastOne = 1.0
    """Largest root mean square of an update; larger ones are clipped to it."""

    weight_decay: NonNegativeFloat = 0.0
    """Shrinks the weights directly in every step, times the learning rate."""


@register("optimizer_spec", "adagrad", target="torch.optim.Adagrad")
@schema
class AdagradSpec(FusedSpec):
    """Step sizes that shrink with the sum of past squared gradients, good for sparse features (Duchi et al., 2011)."""

    usual_lr: ClassVar = (1e-3, 1e-1)
    """Torch's is 0.01; 0.1 is customary for sparse features."""

    lr: PositiveFloat = 1e-2
    """Learning rate before the accumulated gradients shrink it."""

    lr_decay: NonNegativeFloat = 0.0
    """Further decay of the learning rate: `lr / (1 + step * lr_decay)`."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""

    initial_accumulator_value: NonNegativeFloat = 0.0
    """Where the sums of squared gradients start; more makes the first steps smaller."""

    eps: NonNegativeFloat = 1e-10
    """Added to the denominator against division by zero."""


@register("optimizer_spec", "adam", target="torch.optim.Adam")
@schema
class AdamSpec(CapturableSpec, FusedSpec):
    """Momentum with a step size for each weight (Kingma & Ba, 2015)."""

    usual_lr: ClassVar = (1e-5, 1e-2)
    """Kingma and Ba (2015): 0.001; fine-tuning takes 2e-5 to 5e-5 (Devlin et al., 2019)."""

    lr: PositiveFloat = 1e-3
    """Learning rate: about the size of a weight's largest step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the running averages of the gradient and of its square."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator; more damps the steps of weights with tiny gradients."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient unless `decoupled_weight_decay` is set."""

    amsgrad: bool = False
    """Divide by the largest running average seen so far (Reddi et al., 2018)."""

    decoupled_weight_decay: bool = False
    """Shrink the weights directly instead: the same as choosing adamw."""

    @remark(Code.UNUSED)
    def there_is_decay(self) -> Iterator[Finding]:
        """What is decoupled has to be there."""
        if not self._anywhere("weight_decay"):
            yield "decoupled_weight_decay", "has no effect without weight_decay"


@register("optimizer_spec", "adamax", target="torch.optim.Adamax")
@schema
class AdamaxSpec(CapturableSpec):
    """Adam with the infinity norm in place of the second moment (Kingma & Ba, 2015, section 7)."""

    usual_lr: ClassVar = (1e-4, 1e-2)
    """Kingma and Ba (2015, section 7): 0.002."""

    lr: PositiveFloat = 2e-3
    """Learning rate: the bound of a weight's step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the gradient's running average and of its running maximum."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator against division by zero."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""


@register("optimizer_spec", "adamw", target="torch.optim.AdamW")
@schema
class AdamWSpec(CapturableSpec, FusedSpec):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019)."""

    usual_lr: ClassVar = (1e-5, 1e-2)
    """Loshchilov and Hutter (2019): 0.001; 0.003 for vision transformers, 2e-5 to fine-tune (Devlin et al., 2019)."""

    lr: PositiveFloat = 1e-3
    """Learning rate: about the size of a weight's largest step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the running averages of the gradient and of its square."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator; more damps the steps of weights with tiny gradients."""

    weight_decay: NonNegativeFloat = 1e-2
    """Share of each weight that a step takes away, times the learning rate."""

    amsgrad: bool = False
    """Divide by the largest running average seen so far (Reddi et al., 2018)."""


@register("optimizer_spec", "asgd", target="torch.optim.ASGD")
@schema
class ASGDSpec(CapturableSpec):
    """SGD that also averages the parameters over time (Polyak & Juditsky, 1992)."""

    usual_lr: ClassVar = (1e-3, 30.0)
    """Torch's 0.01, up to 30 for the language models of Merity et al. (2018)."""

    lr: PositiveFloat = 1e-2
    """Learning rate at the start; `lambd` and `alpha` let it fall."""

    lambd: NonNegativeFloat = 1e-4
    """Decay term: each step takes this share of a weight away, times the learning rate."""

    alpha: NonNegativeFloat = 0.75
    """Power of the learning rate's decay."""

    t0: NonNegativeFloat = 1e6
    """Step at which the averaging starts."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""

    @remark(Code.UNUSED)
    def rate_falls(self) -> Iterator[Finding]:
        """The rate is divided by a power of `1 + lambd * lr * step`."""
        if not self._anywhere("lambd"):
            yield "alpha", "has no effect with lambd=0, which keeps the learning rate as it is"


@register("optimizer_spec", "lbfgs", target="torch.optim.LBFGS")
@schema
class LBFGSSpec(OptimizerSpec):
    """A quasi-Newton method that evaluates the loss several times a step, for small problems (Liu & Nocedal, 1989)."""

    usual_lr: ClassVar = (1e-2, 1.0)
    """The full step of 1 (Nocedal and Wright, 2006, section 7.2); less where there is no line search."""

    takes_groups: ClassVar[bool] = False

    lr: PositiveFloat = 1.0
    """Length of a step along the found direction; with a line search, of its first trial."""

    max_iter: PositiveInt = 20
    """Most iterations within one step."""

    max_eval: PositiveInt | None = None
    """Most evaluations of the loss within one step; null means a quarter more than `max_iter`."""

    tolerance_grad: NonNegativeFloat = 1e-7
    """A step ends early when no gradient is larger than this."""

    tolerance_change: NonNegativeFloat = 1e-9
    """A step ends early when loss and parameters change by less than this."""

    history_size: PositiveInt = 100
    """Past updates kept to estimate the curvature; each needs the memory of all parameters twice."""

    line_search_fn: Literal["strong_wolfe"] | None = None
    """How a step's length is found; null takes `lr` as it is."""


@register("optimizer_spec", "muon", target="torch.optim.Muon")
@schema
class MuonSpec(OptimizerSpec):
    """Momentum made orthogonal, for the matrices of hidden layers and nothing else (Jordan et al., 2024)."""

    usual_lr: ClassVar = (1e-4, 5e-2)
    """Jordan et al. (2024): 0.02; 2e-4 and more with `match_rms_adamw` (Liu et al., 2025)."""

    lr: PositiveFloat = 1e-3
    """Learning rate before `adjust_lr_fn` scales it by a matrix's shape."""

    weight_decay: NonNegativeFloat = 0.1
    """Share of each weight that a step takes away, times the learning rate."""

    momentum: Momentum = 0.95
    """Share of the previous update that is kept."""

    nesterov: bool = True
    """Look ahead along the momentum before it is made orthogonal."""

    ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315)
    """Coefficients of the Newton-Schulz polynomial; the defaults converge fastest near zero."""

    eps: PositiveFloat = 1e-7
    """Floor of the norm by which an update is divided."""

    ns_steps: NewtonSchulzSteps = 5
    """Newton-Schulz iterations: more come closer to orthogonal and cost as many more matrix products."""

    adjust_lr_fn: AdjustLrFn | None = None
    """How a matrix's shape scales the learning rate; null is `original`.

    `match_rms_adamw` gives updates of AdamW's size, so that its learning rate and weight decay carry over.
    """

    @remark(Code.UNUSED)
    def there_is_momentum(self) -> Iterator[Finding]:
        """Without any there is nothing to look ahead along."""
        if not self._anywhere("momentum"):
            yield "nesterov", "has no effect with momentum=0"


@register("optimizer_spec", "nadam", target="torch.optim.NAdam")
@schema
class NAdamSpec(CapturableSpec):
    """Adam with Nesterov momentum (Dozat, 2016)."""

    usual_lr: ClassVar = (1e-5, 1e-2)
    """Dozat (2016): as Adam's; torch's is 0.002."""

    lr: PositiveFloat = 2e-3
    """Learning rate: about the size of a weight's largest step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the running averages of the gradient and of its square."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator against division by zero."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient unless `decoupled_weight_decay` is set."""

    momentum_decay: NonNegativeFloat = 4e-3
    """How fast the momentum approaches its full value."""

    decoupled_weight_decay: bool = False
    """Shrink the weights directly, as AdamW does, instead of adding the decay to the gradient."""

    @remark(Code.UNUSED)
    def there_is_decay(self) -> Iterator[Finding]:
        """What is decoupled has to be there."""
        if not self._anywhere("weight_decay"):
            yield "decoupled_weight_decay", "has no effect without weight_decay"


@register("optimizer_spec", "radam", target="torch.optim.RAdam")
@schema
class RAdamSpec(CapturableSpec):
    """Adam that needs no warm-up, because it adapts only once the variance is known (Liu et al., 2020)."""

    usual_lr: ClassVar = (1e-5, 1e-1)
    """Liu et al. (2020): 0.003 to 0.1 on images, and as Adam's elsewhere."""

    lr: PositiveFloat = 1e-3
    """Learning rate: about the size of a weight's largest step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the running averages of the gradient and of its square."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator against division by zero."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient unless `decoupled_weight_decay` is set."""

    decoupled_weight_decay: bool = False
    """Shrink the weights directly, as AdamW does, instead of adding the decay to the gradient."""

    @remark(Code.UNUSED)
    def there_is_decay(self) -> Iterator[Finding]:
        """What is decoupled has to be there."""
        if not self._anywhere("weight_decay"):
            yield "decoupled_weight_decay", "has no effect without weight_decay"


@register("optimizer_spec", "rmsprop", target="torch.optim.RMSprop")
@schema
class RMSpropSpec(CapturableSpec):
    """SGD divided by a running root mean square of the gradient (Hinton, 2012; centered: Graves, 2013)."""

    usual_lr: ClassVar = (1e-5, 1e-2)
    """Hinton (2012): 0.001; torch's is 0.01, and reinforcement learning takes 0.00025 (Mnih et al., 2015)."""

    lr: PositiveFloat = 1e-2
    """Learning rate: about the size of a step while gradients stay alike."""

    alpha: Momentum = 0.99
    """Decay rate of the running average of the squared gradient."""

    eps: NonNegativeFloat = 1e-8
    """Added to the denominator against division by zero."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""

    momentum: Momentum = 0.0
    """Share of the previous update that is kept."""

    centered: bool = False
    """Divide by the gradient's estimated variance instead of its plain second moment."""


@register("optimizer_spec", "rprop", target="torch.optim.Rprop")
@schema
class RpropSpec(CapturableSpec):
    """Steps by the gradient's sign alone, for training on the full batch (Riedmiller & Braun, 1993)."""

    usual_lr: ClassVar = (1e-3, 1e-1)
    """Riedmiller and Braun (1993): a first step of 0.1, on which little depends."""

    lr: PositiveFloat = 1e-2
    """Step size of every weight at the start."""

    etas: tuple[OpenShare, AboveOne] = (0.5, 1.2)
    """Factors on a weight's step size when its gradient changes sign, and when it keeps it."""

    step_sizes: tuple[PositiveFloat, PositiveFloat] = (1e-6, 50.0)
    """Smallest and largest step size of a weight."""

    @rule("step_sizes")
    def step_sizes_ordered(self) -> Iterator[Finding]:
        """The other way round every step would have the same size."""
        smallest, largest = self.step_sizes
        if smallest >= largest:
            yield "step_sizes", f"the smallest comes first, found {smallest} and {largest}"


@register("optimizer_spec", "sgd", target="torch.optim.SGD")
@schema
class SGDSpec(FusedSpec):
    """Stochastic gradient descent (Robbins & Monro, 1951), with momentum as in Sutskever et al. (2013)."""

    usual_lr: ClassVar = (1e-3, 1.0)
    """He et al. (2016): 0.1; more for large batches (Goyal et al., 2017), 0.001 to fine-tune."""

    lr: PositiveFloat = 1e-3
    """Learning rate: the factor on the gradient."""

    momentum: Momentum = 0.0
    """Share of the previous update that is kept; 0.9 is customary."""

    dampening: Probability = 0.0
    """Share of the gradient that does not enter the momentum."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty, added to the gradient."""

    nesterov: bool = False
    """Look ahead along the momentum before the gradient is applied."""

    @rule("nesterov", "momentum", "dampening")
    def nesterov_has_momentum(self) -> Iterator[Finding]:
        """Torch refuses it otherwise."""
        if self.nesterov and (self.momentum == 0 or self.dampening != 0):
            found = f"found momentum {self.momentum} and dampening {self.dampening}"
            yield "nesterov", f"needs a momentum above 0 and a dampening of 0, {found}"

    @remark(Code.UNUSED)
    def there_is_momentum(self) -> Iterator[Finding]:
        """The first gradient enters undampened, and without momentum nothing of it is kept."""
        if not self._anywhere("momentum"):
            yield "dampening", "has no effect with momentum=0"


@register("optimizer_spec", "sparse_adam", target="torch.optim.SparseAdam")
@schema
class SparseAdamSpec(MaximizeSpec):
    """Adam for sparse gradients, which only embeddings made with `sparse=True` have (Kingma & Ba, 2015)."""

    usual_lr: ClassVar = (1e-5, 1e-2)
    """As Adam's."""

    lr: PositiveFloat = 1e-3
    """Learning rate: about the size of a weight's largest step."""

    betas: Betas = (0.9, 0.999)
    """Decay rates of the running averages of the gradient and of its square."""

    eps: PositiveFloat = 1e-8
    """Added to the denominator against division by zero."""
