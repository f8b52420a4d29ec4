"""What is seen of a step while it is taken: which part is at work, what it was given, what its losses are made of."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torchmetrics import Metric

from app.losses.inputs import described
from app.shapes.fake import Values, needs_values, paused

Size = Literal["full", "few"]
"""A batch as large as the run's, without values; or of a few samples, by which metrics and losses are tried."""

_LOSSES: Final = frozenset(
    function
    for name, function in vars(functional).items()
    if name.endswith("_loss")
    or name in ("cross_entropy", "binary_cross_entropy", "kl_div", "binary_cross_entropy_with_logits")
)
_TAKE_SCORES: Final = frozenset(
    (
        functional.cross_entropy,
        functional.binary_cross_entropy_with_logits,
        functional.multilabel_soft_margin_loss,
        functional.multi_margin_loss,
    )
)
"""Losses of scores, which normalise them themselves or count on their being free."""

_NORMALISE: Final = frozenset(
    (
        functional.softmax,
        functional.log_softmax,
        functional.sigmoid,
        functional.logsigmoid,
        torch.softmax,
        torch.log_softmax,
        torch.sigmoid,
        Tensor.softmax,
        Tensor.log_softmax,
        Tensor.sigmoid,
    )
)
_COMPARE: Final = frozenset(
    (
        functional.gaussian_nll_loss,
        functional.hinge_embedding_loss,
        functional.huber_loss,
        functional.kl_div,
        functional.l1_loss,
        functional.mse_loss,
        functional.poisson_nll_loss,
        functional.smooth_l1_loss,
        functional.soft_margin_loss,
    )
)
"""Losses of each value and its target, some of which compare each with all without a word."""

_DIFFER: Final = frozenset((torch.sub, torch.subtract, torch.rsub, Tensor.sub, Tensor.__sub__, Tensor.__rsub__))
_BROADCASTS: Final = "Using a target size"
"""How torch begins its warning that a loss compares each with all."""


class BroadcastError(RuntimeError):
    """A prediction for each sample was compared with the targets of all."""


class Entered(NamedTuple):
    """A module at work."""

    part: nn.Module

    name: str
    """Where it stands in the model: `.head`, or `.` for all of it; empty when it stands elsewhere."""

    given: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{self.name if self.name != '.' else 'the model'} ({type(self.part).__name__})"


class Watch(TorchFunctionMode):
    """Sees every call of torch in a step, and every module that is entered and left."""

    def __init__(self, module: nn.Module, values: Values) -> None:
        super().__init__()
        self.values = values
        self.size: Size = "full"
        self.phase = ""
        self.entered: list[Entered] = []
        """The modules that are at work, outermost first."""

        self.tag: str | None = None
        """The term of the joint loss that is being computed."""

        self.loss = ""
        """The class or function of the loss that is being computed, wherever it was called."""

        self.given: dict[str, str] = {}
        """What each loss was given, from a batch as large as the run's, by its tag or its name."""

        self.compared: dict[str, tuple[Tensor, ...]] = {}
        """The tensors of that, in the order in which they were given."""

        self.outputs: dict[int, str] = {}
        """What each module gave in training, by its id."""

        self.normalized_twice: dict[str, str] = {}
        """What was normalised before it went into a loss of scores, by the loss's tag; empty for one without."""

        model = getattr(module, "model", None)
        named = (module if model is None else model).named_modules()
        self._names = {id(part): f".{name}" for name, part in named if name or model is not None}
        self._normalised: dict[int, tuple[Tensor, str]] = {}

    def begin(self, phase: str, size: Size) -> None:
        """Know what is about to be done."""
        self.phase, self.size, self.tag, self.loss = phase, size, None, ""
        self.entered.clear()
        self._normalised.clear()

    def measuring(self) -> bool:
        """Whether metrics take this batch in."""
        return self.size == "few"

    def innermost(self) -> "Entered | None":
        """The innermost part of the model that is at work, if any is."""
        return next((one for one in reversed(self.entered) if one.name), None)

    @contextmanager
    def watching(self, losses: Mapping[str, nn.Module]) -> Iterator[None]:
        """Watch what is done meanwhile; `losses` are the terms of the joint loss."""
        with ExitStack() as stack:
            for handle in (register_module_forward_pre_hook(self._enter), register_module_forward_hook(self._leave)):
                stack.callback(handle.remove)
            for tag, loss in losses.items():
                plain = loss.forward
                loss.forward = self._tried(tag, type(loss).__name__, plain)
                stack.callback(loss.__dict__.pop, "forward")
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", _BROADCASTS)
            stack.enter_context(self)
            yield

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Let torch do what it was asked to, and look at it."""
        kwargs = kwargs or {}
        first = args[0] if args else kwargs.get("input")
        if (func in _TAKE_SCORES or (self.tag is not None and func in _NORMALISE)) and id(first) in self._normalised:
            self.normalized_twice.setdefault(self.tag or "", self._normalised[id(first)][1])
        if (func in _DIFFER or func in _COMPARE) and len(args) > 1:
            self._require_no_broadcast(args[0], args[1])
        if func in _LOSSES:
            return self._loss(func, args, kwargs)
        result = func(*args, **kwargs)
        if func in _NORMALISE and isinstance(result, Tensor) and self.tag is None:
            self._normalised[id(result)] = (result, self._normaliser(func))
        return result

    def _loss(self, func: Any, args: Any, kwargs: Any) -> Any:
        """A loss of torch's, computed from a few real values too."""
        if self.tag is None:
            self.loss = str(func.__name__)
            if self.size == "full":
                self._keep(self.loss, shapes_of((*args, *kwargs.values())), (args, kwargs))
            elif self.values.fake:
                with paused():
                    func(*self.values.real(args), **self.values.real(kwargs))
        result = func(*args, **kwargs)
        if self.tag is None:
            self.loss = ""
        return result

    def _keep(self, key: str, given: str, items: Any) -> None:
        self.given[key] = given
        self.compared[key] = tuple(item for item in tree_leaves(items) if isinstance(item, Tensor))

    def _normaliser(self, func: Any) -> str:
        return str(self.entered[-1]) if self.entered and self.entered[-1].name else str(func.__name__)

    def _require_no_broadcast(self, one: Any, other: Any) -> None:
        """Refuse a column of predictions less a row of targets: explicit new axes would give both two dimensions."""
        if not isinstance(one, Tensor) or not isinstance(other, Tensor):
            return
        column, row = (one, other) if one.ndim == 2 else (other, one)
        fits = column.shape[1:] == (1,) and row.ndim == 1 and column.shape[0] == row.shape[0] > 1
        if fits and column.requires_grad != row.requires_grad:  # of one kind, it is meant as that of all pairs
            raise BroadcastError(f"{shapes_of(one)} is compared with {shapes_of(other)}, each with all")

    def _enter(self, part: nn.Module, given: tuple[Any, ...]) -> None:
        if not isinstance(part, Metric):
            self.entered.append(Entered(part, self._names.get(id(part), ""), given))

    def _leave(self, part: nn.Module, given: tuple[Any, ...], output: Any) -> None:  # noqa: ARG002  # torch's signature
        if isinstance(part, Metric):
            return
        self.entered.pop()
        if self.phase == "training" and self.size == "full":
            self.outputs.setdefault(id(part), shapes_of(output))

    def _tried(self, tag: str, name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        """A term that is also computed from a few real values, since torch looks at dtypes and classes only then."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            self.tag, self.loss = tag, name
            if self.size == "full":
                self._keep(tag, shapes_of(kwargs), (args, kwargs))
            elif self.values.fake:
                with paused():
                    plain(*self.values.real(args), **self.values.real(kwargs))
            try:
                value = plain(*args, **kwargs)
            except Exception as error:
                if not needs_values(error):
                    raise
                value = sum(_means(args, kwargs), start=torch.zeros(()))
            self.tag, self.loss = None, ""
            return value

        return forward


def shapes_of(value: Any) -> str:
    """Tensors for a message: `(64, 10) float32`, or what is in a mapping by name."""
    if isinstance(value, Tensor):
        return described(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {shapes_of(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(filter(None, map(shapes_of, value)))
    return ""


def _means(args: Any, kwargs: Any) -> Iterator[Tensor]:
    """A number that depends on all that a loss depends on, in place of one that needs values."""
    for item in tree_leaves((args, kwargs)):
        if isinstance(item, Tensor) and item.requires_grad:
            yield item.mean()
