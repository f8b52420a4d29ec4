"""What torchmetrics needs before it brings together the states of several processes."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed
from torch import Tensor
from torchmetrics import Metric

from app.metrics.update_counts import num_updates


def prepare_to_sync(metrics: Mapping[str, Metric], device: torch.device) -> list[str]:
    """Make the states of all processes alike in form; the names of the metrics that any process has updated.

    Processes need not have seen the same number of batches, or any. Torchmetrics brings states together one by one:
    it waits forever when only some processes compute a metric, and mixes up lists that differ in length or dtype. So
    each list becomes one tensor, an empty one of the right form where there was no batch.

    To be called by all processes at the same time; one alone has nothing to prepare.
    """
    updated = [name for name, metric in metrics.items() if num_updates(metric)]
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return updated
    for name in updated:
        _join_lists(metrics[name])
    own = {name: _forms(metrics[name]) for name in updated}
    everyones: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(everyones, own)
    forms: dict[str, dict[str, tuple[torch.dtype, tuple[int, ...]]]] = {}
    for one in everyones:
        for name, of_lists in one.items():
            forms.setdefault(name, {}).update(of_lists)
    for name, metric in metrics.items():
        if name in forms:
            for state, (dtype, shape) in forms[name].items():
                if not getattr(metric, state):
                    setattr(metric, state, [torch.empty((0, *shape), dtype=dtype, device=device)])
    return sorted(forms)  # an order that all processes agree on, whichever name each of them has seen first


def _join_lists(metric: Metric) -> None:
    for state, value in metric.metric_state.items():
        if isinstance(value, list) and value:
            setattr(metric, state, [torch.cat([part.reshape(1) if part.ndim == 0 else part for part in value])])


def _forms(metric: Metric) -> dict[str, tuple[torch.dtype, tuple[int, ...]]]:
    """The dtype of each list, and the shape of what is in it but for the first dimension."""
    return {
        state: (value[0].dtype, tuple(value[0].shape[1:]))
        for state, value in metric.metric_state.items()
        if isinstance(value, list) and value and isinstance(value[0], Tensor)
    }
