"""From an `OptimizerSpec` to the optimizer of a model's parameters."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import nn

from app.builders.parameter_groups import abbreviated, parameter_groups
from app.builders.targets import keyword_arguments, live_class
from app.schemas.optimizers import MuonSpec, OptimizerSpec, SparseAdamSpec
from app.schemas.problems import ConfigError, Problem

_NOT_ARGUMENTS = frozenset({"params", "filter_requires_grad"})


def build_optimizer(spec: OptimizerSpec, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `spec` describes, for the parameters of `model`.

    Raises:
        ConfigError: when `spec.params` does not fit the model, nothing is left to train, or the optimizer cannot
            train parameters of this kind.
    """
    groups = parameter_groups(spec, model)
    if unfit := list(_unfit(spec, model, groups)):
        raise ConfigError([Problem(path="optimizer_spec", message=message) for message in unfit])
    optimizer = live_class(spec)(groups, **keyword_arguments(spec, without=_NOT_ARGUMENTS))
    return cast(torch.optim.Optimizer, optimizer)


def _unfit(spec: OptimizerSpec, model: nn.Module, groups: list[dict[str, Any]]) -> Iterator[str]:
    """Why this optimizer cannot train some of the parameters."""
    parameters = [named for group in groups for named in group["params"]]
    if getattr(spec, "capturable", False) and any(parameter.device.type == "cpu" for _, parameter in parameters):
        yield "capturable=true is for GPUs that replay graphs, and the parameters are on the CPU; set it to false"
    instead = "freeze them and set filter_requires_grad, or choose another optimizer"
    if isinstance(spec, MuonSpec):
        names = [f"{name} {tuple(parameter.shape)}" for name, parameter in parameters if parameter.ndim != 2]
        if names:
            yield f"muon trains matrices only, found {abbreviated(names)}; {instead}"
    if isinstance(spec, SparseAdamSpec):
        dense = _with_dense_gradients(model)
        names = [name for name, parameter in parameters if parameter.requires_grad and id(parameter) in dense]
        if names:
            yield (f"sparse_adam trains embeddings made with sparse=True only, found {abbreviated(names)}; {instead}")


def _with_dense_gradients(model: nn.Module) -> set[int]:
    """Parameters of torch's own layers with dense gradients; what other layers do is known only once they run."""
    return {
        id(parameter)
        for module in model.modules()
        if type(module).__module__.startswith("torch.nn.") and not getattr(module, "sparse", False)
        for parameter in module.parameters(recurse=False)
    }
