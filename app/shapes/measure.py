"""What a training step takes: operations, and the memory of what it keeps."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode
from torchmetrics import Metric

from app.losses.joint import JointLoss
from app.shapes.report import PartReport


class Meter:
    """Counts from `start` to `stop`, between which one batch goes forward and back."""

    def __init__(self, module: nn.Module) -> None:
        self.flops = 0
        self.activation_bytes = 0
        self._own = {_storage(parameter) for parameter in module.parameters()}
        self._kept: dict[int, Any] = {}
        self._stack = ExitStack()

    def start(self) -> None:
        """Begin to count."""
        self._counter = self._stack.enter_context(FlopCounterMode(display=False))
        self._stack.enter_context(saved_tensors_hooks(self._keep, _as_kept))

    def stop(self) -> None:
        """Have counted; a second time does nothing."""
        self._stack.close()
        if hasattr(self, "_counter"):
            self.flops = self._counter.get_total_flops()
        self.activation_bytes += sum(storage.nbytes() for storage in self._kept.values())
        self._kept.clear()

    def _keep(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self._own:
            # Held on to, so that no other storage gets its number.
            self._kept.setdefault(_storage(tensor), tensor.untyped_storage())
        return tensor


def bytes_of(tensors: Iterable[Tensor]) -> int:
    """The memory of tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def state_bytes(optimizers: Iterable[torch.optim.Optimizer]) -> int:
    """What optimizers remember."""
    states = (state for optimizer in optimizers for state in optimizer.state.values())
    return bytes_of(leaf for state in states for leaf in tree_leaves(state) if isinstance(leaf, Tensor))


def parts_of(module: nn.Module, outputs: dict[int, str]) -> Iterator[PartReport]:
    """The parts of the module's model, two levels deep; `outputs` says what each gave."""
    model = getattr(module, "model", module)
    for name, part in model.named_modules():
        if name and name.count(".") < 2 and not isinstance(part, Metric | JointLoss):
            yield PartReport(
                path=f".{name}",
                kind=type(part).__name__,
                parameters=sum(parameter.numel() for parameter in part.parameters()),
                output=outputs.get(id(part), ""),
            )


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _as_kept(tensor: Tensor) -> Tensor:
    return tensor
