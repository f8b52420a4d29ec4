"""Tensors without values, and the few tiny ones with values that stand in where values are looked at.

Metrics count, sort and index: nothing that a tensor without values could answer. They are made and updated with real
tensors of the same shapes, whoever makes them. Made of fake ones they can end the process.
"""

import copy
import functools
from abc import ABCMeta
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Final, cast

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
    unset_fake_temporarily,
)
from torch.utils._pytree import tree_map
from torchmetrics import Metric, MetricCollection

from app.schemas.batch import BatchSpec, TensorSpec
from app.tasks.shared.datasets import Batch

NEEDS_VALUES: Final = (
    DataDependentOutputException,
    DynamicOutputShapeException,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
"""What a tensor without values raises when it is asked for one, or has no shape to give."""

_OUTSIDE_TORCH: Final = (".numpy() is not supported", "data pointer of Tensor", "data pointer of FakeTensor")
"""What torch says when values are handed to another library."""

FEW: Final = 3
"""Samples in a batch of real values: more than one, which batch normalisation would refuse, and an odd number."""


class Values:
    """Fake tensors and what stands in for them: of a batch as the datamodule declares it, of all else at random."""

    def __init__(self, *, fake: bool = True) -> None:
        self.fake = fake
        self.mode = FakeTensorMode(allow_non_fake_inputs=True) if fake else None
        self._known: dict[int, tuple[Tensor, Tensor]] = {}
        self._generator = torch.Generator().manual_seed(0)

    def without_values(self) -> AbstractContextManager[Any]:
        """Make every tensor a fake one."""
        return nullcontext() if self.mode is None else self.mode

    def batch(self, spec: BatchSpec, size: int) -> Batch:
        """A batch as the datamodule declares it."""
        targets = {name: self._tensor(target, size) for name, target in spec.targets.items()}
        alone = targets["target"] if targets.keys() == {"target"} else None
        return Batch(self._tensor(spec.input, size), targets if alone is None else alone)  # type: ignore[arg-type]  # targets may be a mapping

    def real(self, value: Any) -> Any:
        """The same with values, whatever it is made of."""
        return tree_map(lambda item: self._filled(item) if isinstance(item, FakeTensor) else item, value)

    def _tensor(self, spec: TensorSpec, size: int) -> Tensor:
        dtype = getattr(torch, spec.dtype)
        if self.mode is not None and size != FEW:
            with self.mode:
                return torch.empty((size, *spec.shape), dtype=dtype)
        with paused():
            real = _drawn(spec, (size, *spec.shape), dtype, self._generator)
        if self.mode is None:
            return real
        fake = self.mode.from_tensor(real)
        self._known[_key(fake)] = (fake, real)
        return fake

    def _filled(self, fake: FakeTensor) -> Tensor:
        known = self._known.get(_key(fake))
        if known is not None and known[0].shape == fake.shape and known[0].dtype == fake.dtype:
            return known[1].clone()
        with paused():
            if fake.dtype.is_floating_point or fake.dtype.is_complex:
                filled = torch.rand(fake.shape, dtype=fake.dtype, generator=self._generator)
                return filled.requires_grad_(fake.requires_grad)
            return torch.zeros(fake.shape, dtype=fake.dtype)  # a class that there is in every number of classes


def needs_values(error: BaseException) -> bool:
    """Whether this, or what it was raised from, is what a tensor without values cannot answer."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, NEEDS_VALUES) or any(words in str(seen) for words in _OUTSIDE_TORCH):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def paused() -> Iterator[None]:
    """Real tensors for a while, nothing recorded of what is done with them."""
    with unset_fake_temporarily(), torch._C.DisableTorchFunction():
        yield


@contextmanager
def metrics_apart(values: Values, measuring: Callable[[], bool]) -> Iterator[None]:
    """Let every metric live with real tensors, and take in batches only while `measuring` says so."""
    make: Any = ABCMeta.__call__

    def made(cls: Any, *args: Any, **kwargs: Any) -> Any:
        if Metric not in cls.__mro__:
            return make(cls, *args, **kwargs)
        with paused():
            return make(cls, *args, **kwargs)

    def apart(plain: Any, *, counts: bool = False) -> Any:
        @functools.wraps(plain)
        def called(*args: Any, **kwargs: Any) -> Any:
            if counts and not measuring():
                return None
            with paused():
                return plain(*values.real(args), **values.real(kwargs))

        return called

    def deepcopied(self: Any, memo: dict[int, Any]) -> Any:
        with paused():
            new = object.__new__(type(self))
            new.__setstate__(copy.deepcopy(self.__getstate__(), memo))
            return new

    apply: Any = nn.Module._apply
    converted: dict[int, tuple[Tensor, nn.Parameter]] = {}

    def applied(self: nn.Module, function: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        """Torch swaps fake parameters, which fails where anything else holds them; here only other dtypes count."""
        if not any(isinstance(parameter, FakeTensor) for parameter in self.parameters(recurse=False)):
            return cast(nn.Module, apply(self, function, recurse))
        for child in self.children() if recurse else ():
            cast(Any, child)._apply(function)
        for name, parameter in self._parameters.items():
            if parameter is None or id(parameter) in converted:
                self._parameters[name] = parameter if parameter is None else converted[id(parameter)][1]
                continue
            with torch.no_grad():
                new = function(parameter)
            if new.dtype != parameter.dtype:
                made_of_it = nn.Parameter(new, requires_grad=parameter.requires_grad)
                converted[id(parameter)] = (parameter, made_of_it)  # again where weights are tied
                self._parameters[name] = made_of_it
        for name, buffer in self._buffers.items():
            self._buffers[name] = buffer if buffer is None else function(buffer)
        return self

    def kept_apart(plain: Any, *, counts: bool) -> Any:
        return lambda self, function: apart(plain(self, function), counts=counts)

    replaced: dict[tuple[type, str], Any] = {
        (ABCMeta, "__call__"): made,
        (nn.Module, "_apply"): applied,
        (Metric, "__deepcopy__"): deepcopied,
    }
    for cls in (Metric, MetricCollection, *_below(Metric)):
        for name in {"_apply", "compute", "forward", "reset", "update"} & vars(cls).keys():
            if cls is MetricCollection or name in ("_apply", "forward", "reset"):
                replaced[cls, name] = apart(vars(cls)[name], counts=name in ("forward", "update"))
        for name in {"_wrap_update", "_wrap_compute"} & vars(cls).keys():
            # What an instance calls as its update and compute is made by these, when it is made itself.
            replaced[cls, name] = kept_apart(vars(cls)[name], counts=name == "_wrap_update")
    with ExitStack() as stack:
        for (owner, name), replacement in replaced.items():
            if name in vars(owner):
                stack.callback(setattr, owner, name, vars(owner)[name])
            else:
                stack.callback(delattr, owner, name)
            setattr(owner, name, replacement)
        yield


def _drawn(spec: TensorSpec, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Values that the spec allows; the largest is among those of whole numbers, where a class too few would show."""
    low = 0.0 if spec.low is None else spec.low
    high = max(1.0, low) if spec.high is None else spec.high
    if dtype.is_floating_point:
        return (low + (high - low) * torch.rand(shape, generator=generator)).to(dtype)
    whole = torch.randint(int(low), int(high) + 1, shape, generator=generator).to(dtype)
    whole.view(-1)[-1:] = int(high)
    return whole


def _below(cls: type) -> set[type]:
    children: list[type] = cls.__subclasses__()
    return {inner for child in children for inner in (child, *_below(child))}


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
