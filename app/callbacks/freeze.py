"""`Freeze`: keeps parts of a model as they are in some of the epochs."""

import logging
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from app.models.named_parameters import Named, abbreviated, bare, covered, unnamed_parts
from app.schemas.problems import ConfigError, Path, Problem, dotted

log = logging.getLogger(__name__)

_WHERE: Final[Path] = ("callbacks", "freeze", "parts")


class Epochs(Protocol):
    """The epochs in which a part is frozen, counted from 0."""

    first: int
    """The first of them."""

    until: int | None
    """The first in which the part is trained again; None when it never is."""


_NO_PARTS: Final[Mapping[str, Epochs]] = MappingProxyType({})


class Freeze(Callback):
    """Freezes parts of `module.model` by epoch: no gradients, hence no updates, no weight decay and no momentum.

    What is frozen follows from the epoch alone, so a resumed run goes on as it was. In its other epochs a part is
    trained, whatever the model has set itself. A part that is frozen throughout is so before the optimizers are made,
    and `filter_requires_grad` then leaves it out of them.

    Args:
        parts: The epochs by the path of a submodule or parameter, seen from the model.
        norm_statistics: Also keep the running statistics of normalization layers in a frozen part.
    """

    def __init__(self, parts: Mapping[str, Epochs] = _NO_PARTS, norm_statistics: bool = True) -> None:
        self.parts = dict(parts)
        self.norm_statistics = norm_statistics
        self._covered: dict[str, list[Named]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find the parts.

        Raises:
            ConfigError: for every path that names nothing, or when an epoch would have nothing to train.
        """
        if stage != "fit":
            return
        if not self.parts:
            log.warning("%s is empty: nothing is frozen", dotted(_WHERE))
        model = _model(pl_module)
        self._covered = {path: covered(path, model) for path in self.parts}
        problems = [*unnamed_parts(self._covered, model, _WHERE), *self._without_work(trainer, pl_module)]
        if problems:
            raise ConfigError(problems)
        for path, epochs in self.parts.items():
            if epochs.first == 0 and epochs.until is None:
                for _, parameter in self._covered[path]:
                    parameter.requires_grad_(False)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze what the first epoch does, or the one that a resumed run is in.

        Raises:
            ConfigError: for every part that no optimizer could train once it is no longer frozen.
        """
        trained = {id(own) for each in trainer.optimizers for group in each.param_groups for own in group["params"]}
        problems: list[Problem] = []
        for path, epochs in self.parts.items():
            if epochs.first == 0 and epochs.until is None:
                continue
            if left_out := [name for name, own in self._covered[path] if id(own) not in trained]:
                message = f"shall be trained at times, but no optimizer has {abbreviated(left_out)}"
                hint = "set filter_requires_grad of its optimizer to false"
                problems.append(Problem(path=dotted((*_WHERE, path)), message=f"{message}; {hint}"))
        if problems:
            raise ConfigError(problems)
        self._apply(pl_module, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Freeze and unfreeze."""
        self._apply(pl_module, trainer.current_epoch)

    def _apply(self, pl_module: LightningModule, epoch: int) -> None:
        for path, epochs in self.parts.items():
            self._set(pl_module, path, frozen=_contains(epochs, epoch))

    def _set(self, pl_module: LightningModule, path: str, *, frozen: bool) -> None:
        for _, parameter in self._covered[path]:
            parameter.requires_grad_(not frozen)
            if frozen:
                parameter.grad = None
        if self.norm_statistics:
            for layer in _norms(_model(pl_module), path):
                layer.train(not frozen)

    def _without_work(self, trainer: Trainer, pl_module: LightningModule) -> Iterator[Problem]:
        """The first epoch in which everything would be frozen."""
        parts = {id(own): path for path, part in self._covered.items() for _, own in part}
        others = [own for own in pl_module.parameters() if id(own) not in parts]
        if any(own.requires_grad for own in others) or not parts:
            return
        end = trainer.max_epochs if trainer.max_epochs is not None and trainer.max_epochs >= 0 else None
        for epoch in sorted({0, *(time for each in self.parts.values() for time in (each.first, each.until) if time)}):
            if (end is None or epoch < end) and all(_contains(self.parts[path], epoch) for path in parts.values()):
                message = (
                    f"leaves nothing to train in epoch {epoch}: all of {type(_model(pl_module)).__name__} is frozen"
                )
                yield Problem(path=dotted(_WHERE), message=message)
                return


def _contains(epochs: Epochs, epoch: int) -> bool:
    return epochs.first <= epoch and (epochs.until is None or epoch < epochs.until)


def _model(pl_module: LightningModule) -> nn.Module:
    """Where paths start."""
    model = pl_module.model
    assert isinstance(model, nn.Module), "a module keeps its model in `model`"
    return model


def _norms(model: nn.Module, path: str) -> Iterator[nn.Module]:
    """The layers with running statistics at or below a path."""
    for name, layer in model.named_modules(remove_duplicate=False):
        below = not bare(path) or name == bare(path) or name.startswith(f"{bare(path)}.")
        if below and isinstance(layer, _NormBase) and layer.track_running_stats:
            yield layer
