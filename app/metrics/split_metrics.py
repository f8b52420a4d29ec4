"""The losses and metrics of one split, gathered over an epoch."""

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchmetrics import Metric

from app.metrics.distributed import prepare_to_sync
from app.metrics.gathered_batches import GatheredBatches
from app.metrics.named_metric import NamedMetric
from app.metrics.sharing import share_state, shared_updates
from app.metrics.tables import table_of
from app.metrics.update_counts import num_updates, set_num_updates
from app.schemas.outputs import MissingOutputError
from app.schemas.phases import Phase, log_prefix
from app.schemas.problems import AppError


class MetricValueError(AppError):
    """A metric's value is not made of the numbers that its config says are logged."""

    def __init__(self, metric: str, expected: Sequence[str], found: int) -> None:
        self.metric, self.expected, self.found = metric, tuple(expected), found
        super().__init__(
            f"metrics.{metric} is to be logged as {', '.join(expected)}, and its value has {found} numbers"
        )

    def __reduce__(self) -> tuple[type["MetricValueError"], tuple[str, tuple[str, ...], int]]:
        return type(self), (self.metric, self.expected, self.found)


class SplitMetrics(nn.Module):
    """Updated at every step, computed and reset at the epoch's end.

    A step does not wait for the device, as far as the metrics themselves do not. Metrics that count the same are
    updated once, and with several small batches at a time. Under several processes the values are those of all
    processes' batches together, on each of them; so all of them must compute at the same time.

    With several dataloaders each has values of its own, under `<split>/<dataloader>/<name>`; one without a name, the
    split's own, has them under `<split>/<name>`.
    """

    def __init__(
        self, split: Phase, metrics: Mapping[str, NamedMetric] | None = None, dataloaders: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self.split: Phase = split
        self._by_dataloader: tuple[_Part, ...] = (_Part(split, metrics or {}),)
        self._parts = nn.ModuleList(self._by_dataloader)  # which moves them to a device, and looks them up slowly
        self.name_dataloaders(dataloaders)

    def name_dataloaders(self, names: Sequence[str]) -> None:
        """Tell the split's dataloaders apart from now on, if there are several; what was gathered is forgotten."""
        prefixes = [log_prefix(self.split, name) for name in names] if len(names) > 1 else [log_prefix(self.split)]
        if prefixes == [part.prefix for part in self._by_dataloader]:
            return
        first = self._by_dataloader[0]
        first.reset()
        # Lightning sets modules back to training after a validation only if they were there before it, and warns.
        self._by_dataloader = (first, *(copy.deepcopy(first).train() for _ in prefixes[1:]))
        self._parts = nn.ModuleList(self._by_dataloader)
        for prefix, part in zip(prefixes, self._by_dataloader, strict=True):
            part.prefix = prefix

    def update(
        self,
        losses: Mapping[str, Tensor],
        outputs: Mapping[str, Tensor],
        batch_size: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Take in one batch: its losses, each a mean over the batch, and what the step put out, by name.

        Raises:
            MissingOutputError: when a metric is computed from something else.
        """
        part = self._by_dataloader[dataloader_idx if len(self._by_dataloader) > 1 else 0]
        part.update(losses, outputs, batch_size)

    def compute(self) -> dict[str, Tensor]:
        """The epoch's numbers by the full names they are logged under; what no batch updated is left out."""
        return {name: value for part in self._by_dataloader for name, value in part.numbers()}

    def tables(self) -> dict[str, dict[str, Tensor]]:
        """The epoch's values that are no numbers by their full names, each as its named parts."""
        return {name: value for part in self._by_dataloader for name, value in part.tables()}

    def reset(self) -> None:
        """Forget every batch."""
        for part in self._by_dataloader:
            part.reset()

    def state(self) -> dict[str, Any]:
        """What was gathered so far, in plain containers of tensors and numbers, to go on from within an epoch."""
        return {part.prefix: part.state() for part in self._by_dataloader}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state` gave, of metrics with the same names and settings."""
        for part in self._by_dataloader:
            part.reset()
            if (own := state.get(part.prefix)) is not None:
                part.load_state(own)


class _Part(nn.Module):
    """What is gathered over one dataloader."""

    _anchor: Tensor

    def __init__(self, prefix: str, metrics: Mapping[str, NamedMetric]) -> None:
        super().__init__()
        self.prefix = prefix
        self._named = dict(metrics)
        # Lists, since a `ModuleDict` takes no names such as `type` and `values`, or with dots in them.
        self._metrics = nn.ModuleList([named.metric for named in metrics.values()])
        self._losses = nn.ModuleList()
        self._loss_by_name: dict[str, Metric] = {}
        self._groups = shared_updates(metrics)
        self._updates = [
            (group[0], GatheredBatches(metrics[group[0]].metric), metrics[group[0]].inputs) for group in self._groups
        ]
        # Moved along with the module, it knows the device on a process that has seen no batch.
        self.register_buffer("_anchor", torch.empty(0), persistent=False)

    def update(self, losses: Mapping[str, Tensor], outputs: Mapping[str, Tensor], batch_size: int) -> None:
        for name, loss in losses.items():
            self._loss(name).update(loss.detach(), batch_size)
        detached: dict[str, Tensor] = {}
        for name, batches, inputs in self._updates:
            for output in inputs.values():
                if output not in detached:
                    if output not in outputs:
                        raise MissingOutputError(f"metrics.{name}", output, outputs)
                    detached[output] = outputs[output].detach()
            try:
                batches.add({argument: detached[output] for argument, output in inputs.items()})
            except Exception as error:
                given = {argument: f"{output} {_described(detached[output])}" for argument, output in inputs.items()}
                error.add_note(f"metrics.{name} was given {', '.join(f'{a}={o}' for a, o in given.items())}")
                raise

    def numbers(self) -> Iterator[tuple[str, Tensor]]:
        for name, loss in self._gathered(self._loss_by_name, may_be_new=True):
            yield f"{self.prefix}/{name}", loss
        numbers = {name: named.metric for name, named in self._named.items() if named.results}
        for name, value in self._gathered(numbers):
            values, names = _flat(value), self._named[name].results
            if len(values) != len(names):
                raise MetricValueError(name, names, len(values))
            yield from zip((f"{self.prefix}/{result}" for result in names), values, strict=True)

    def tables(self) -> Iterator[tuple[str, dict[str, Tensor]]]:
        tables = {name: named.metric for name, named in self._named.items() if not named.results}
        for name, value in self._gathered(tables):
            yield f"{self.prefix}/{name}", table_of(value, self._named[name].table)

    def reset(self) -> None:
        for _, batches, _ in self._updates:
            batches.forget()
        for metric in (*self._metrics, *self._losses):
            cast(Metric, metric).reset()

    def state(self) -> dict[str, Any]:
        self._take_in()
        return {
            "losses": {name: _state(loss) for name, loss in self._loss_by_name.items()},
            "metrics": {name: _state(batches.metric) for name, batches, _ in self._updates},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        for name, kept in state["losses"].items():
            _load_state(self._loss(name), kept)
        for name, batches, _ in self._updates:
            if name in state["metrics"]:
                _load_state(batches.metric, state["metrics"][name])

    def _loss(self, name: str) -> Metric:
        if name not in self._loss_by_name:
            self._loss_by_name[name] = MeanLoss().to(self._anchor.device)
            self._losses.append(self._loss_by_name[name])
        return self._loss_by_name[name]

    def _gathered(self, metrics: Mapping[str, Metric], *, may_be_new: bool = False) -> Iterator[tuple[str, Any]]:
        """The values of those that any process has updated, of the batches of all processes."""
        self._take_in()
        self._share()
        for name in prepare_to_sync(metrics, self._anchor.device):
            assert name in metrics or may_be_new, f"only some processes have the metric {name}"
            metric = metrics[name] if name in metrics else self._loss(name)
            with warnings.catch_warnings():
                # It is asked for though this process has seen no batch, since others have.
                warnings.filterwarnings("ignore", "The ``compute`` method of metric")
                yield name, metric.compute()

    def _take_in(self) -> None:
        for _, batches, _ in self._updates:
            batches.take_in()

    def _share(self) -> None:
        for leader, *others in self._groups:
            for other in others:
                share_state(self._named[leader].metric, self._named[other].metric)


class MeanLoss(Metric):
    """The mean over all samples of what is given as means over batches.

    Torchmetrics' own `MeanMetric` would wait for the device at every step to look for NaN, and ignores the weights
    when told not to look (1.9.0, `nan_strategy="disable"`). A NaN shows in the mean anyway.
    """

    full_state_update = False
    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("samples", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, mean: Tensor, samples: int) -> None:
        """Take in the mean over a batch of so many samples."""
        self.total.add_(mean, alpha=samples)
        self.samples.add_(samples)

    def compute(self) -> Tensor:
        """The mean over every sample of every batch, on all processes."""
        return self.total / self.samples


def _flat(value: Any) -> list[Tensor]:
    """All numbers of a metric's value, in their order."""
    if isinstance(value, Tensor):
        numbers = value if value.is_floating_point() else value.float()
        return list(numbers.reshape(-1))
    parts = value.values() if isinstance(value, Mapping) else value
    return [number for part in parts for number in _flat(part)]


def _described(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"


def _state(metric: Metric) -> dict[str, Any]:
    """A metric's state; later updates do not change it."""
    kept = {
        name: [tensor.detach() for tensor in value] if isinstance(value, list) else value.detach().clone()
        for name, value in metric.metric_state.items()
    }
    return {"updates": num_updates(metric), "state": kept}


def _load_state(metric: Metric, kept: Mapping[str, Any]) -> None:
    device = metric.device
    for name, value in kept["state"].items():
        new = [tensor.to(device) for tensor in value] if isinstance(value, list) else value.to(device, copy=True)
        setattr(metric, name, new)
    set_num_updates(metric, kept["updates"])
