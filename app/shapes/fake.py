"""Tensors without values, and the few tiny ones with values that stand in where values are looked at."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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

from app.schemas.batch import BatchSpec, TensorSpec
from app.tasks.shared.datasets import Batch

_NEEDS_VALUES: Final = (
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

    @contextmanager
    def without_values(self) -> Iterator[None]:
        """Make every tensor a fake one."""
        with ExitStack() as stack:
            if self.mode is not None:
                stack.enter_context(replaced(nn.Module, "_apply", _converting(nn.Module._apply)))
                stack.enter_context(self.mode)
            yield

    def batch(self, spec: BatchSpec, size: int) -> Batch:
        """A batch as the datamodule declares it."""
        targets = {name: self._tensor(target, size) for name, target in spec.targets.items()}
        alone = targets["target"] if targets.keys() == {"target"} else None
        return Batch(self._tensor(spec.input, size), targets if alone is None else alone)

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
        if isinstance(seen, _NEEDS_VALUES) or any(words in str(seen) for words in _OUTSIDE_TORCH):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def paused() -> Iterator[None]:
    """Real tensors for a while, nothing recorded of what is done with them."""
    with unset_fake_temporarily(), torch._C.DisableTorchFunction():
        yield


@contextmanager
def replaced(owner: type, name: str, replacement: Any) -> Iterator[None]:
    """Let a class have another attribute for a while."""
    with ExitStack() as stack:
        if name in vars(owner):
            stack.callback(setattr, owner, name, vars(owner)[name])
        else:
            stack.callback(delattr, owner, name)
        setattr(owner, name, replacement)
        yield


def _converting(plain: Any) -> Any:
    """`nn.Module._apply` where torch would swap fake parameters, which fails when anything else holds them."""
    converted: dict[int, tuple[Tensor, nn.Parameter]] = {}

    def applied(self: nn.Module, function: Callable[[Tensor], Tensor], recurse: bool = True) -> nn.Module:
        if not any(isinstance(parameter, FakeTensor) for parameter in self.parameters(recurse=False)):
            return cast(nn.Module, plain(self, function, recurse))
        for child in self.children() if recurse else ():
            cast(Any, child)._apply(function)
        for name, parameter in self._parameters.items():
            self._parameters[name] = None if parameter is None else _converted(parameter, function, converted)
        for name, buffer in self._buffers.items():
            self._buffers[name] = buffer if buffer is None else function(buffer)
        return self

    return applied


def _converted(
    parameter: nn.Parameter, function: Callable[[Tensor], Tensor], known: dict[int, tuple[Tensor, nn.Parameter]]
) -> nn.Parameter:
    """The parameter of another dtype, the same one again where weights are tied; nothing else counts here."""
    if id(parameter) in known:
        return known[id(parameter)][1]
    with torch.no_grad():
        new = function(parameter)
    if new.dtype == parameter.dtype:
        return parameter
    made = nn.Parameter(new, requires_grad=parameter.requires_grad)
    known[id(parameter)] = (parameter, made)  # the old one too, so that its id stays its own
    return made


def _drawn(spec: TensorSpec, shape: tuple[int, ...], dtype: torch.dtype, generator: torch.Generator) -> Tensor:
    """Values that the spec allows; the largest is among those of whole numbers, where a class too few would show."""
    low = 0.0 if spec.low is None else spec.low
    high = max(1.0, low) if spec.high is None else spec.high
    if dtype.is_floating_point:
        return (low + (high - low) * torch.rand(shape, generator=generator)).to(dtype)
    whole = torch.randint(int(low), int(high) + 1, shape, generator=generator).to(dtype)
    whole.view(-1)[-1:] = int(high)
    return whole


def _key(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
