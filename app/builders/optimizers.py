"""From `OptimizerSpec`s to the optimizers of a model's parameters: one of them all, or several of parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from app.builders.parameter_groups import parameter_groups
from app.builders.schedulers import lightning_scheduler
from app.builders.targets import keyword_arguments, live_class
from app.models.named_parameters import Named, abbreviated, covered, names_by_tensor, unnamed_parts
from app.schemas.optimization import NamedOptimizerSpec
from app.schemas.optimizers import MuonSpec, OptimizerSpec, SparseAdamSpec
from app.schemas.problems import ConfigError, Path, Problem, dotted
from app.schemas.schedulers import OneCycleLRSpec, SchedulerSpec

_NOT_ARGUMENTS = frozenset({"params", "paramwise", "filter_requires_grad"})
_MAIN: Final[Path] = ("optimizer_spec",)


def build_optimizer(
    spec: OptimizerSpec,
    model: nn.Module,
    *,
    trained: Sequence[Named] | None = None,
    path: Path = _MAIN,
    name: str | None = None,
) -> torch.optim.Optimizer:
    """The optimizer that `spec` describes, for the parameters of `model`.

    `trained` are the parameters that it trains when it is one of several, `path` is where `spec` stands in the run's
    config, and `name` is what its learning rate is logged as beside those of others.

    Raises:
        ConfigError: when the spec's paths or patterns do not fit the model, nothing is left to train, or the optimizer
            cannot train parameters of this kind.
    """
    groups = parameter_groups(spec, model, trained=trained, path=path, name=name)
    if unfit := list(_unfit(spec, model, groups)):
        raise ConfigError([Problem(path=dotted(path), message=message) for message in unfit])
    optimizer = live_class(spec)(groups, **keyword_arguments(spec, without=_NOT_ARGUMENTS))
    return cast(torch.optim.Optimizer, optimizer)


def build_optimizers(
    optimizer_spec: OptimizerSpec,
    scheduler_spec: SchedulerSpec | None,
    optimizers: Mapping[str, NamedOptimizerSpec],
    model: nn.Module,
    *,
    run_steps: Callable[[], float] | None = None,
    manual: bool | None = None,
) -> OptimizerLRScheduler:
    """What `configure_optimizers` returns: the main optimizer first, then the further ones in their order.

    Args:
        optimizer_spec: The main optimizer, of the parameters that the further ones leave over.
        scheduler_spec: Its scheduler.
        optimizers: The further optimizers by name.
        model: Where the paths of parameters start.
        run_steps: Asked for the optimizer steps of the whole run, only if a scheduler's length depends on it.
        manual: Whether the module steps them itself, which Lightning wants to be told less for; by default when there
            are several.

    Raises:
        ConfigError: with every path that is wrong, every parameter that two optimizers would train, or an optimizer
            that is left with nothing.
    """
    manual = bool(optimizers) if manual is None else manual
    built: list[dict[str, Any]] = []
    for one in _parts(optimizer_spec, scheduler_spec, optimizers, model):
        trained = one.trained if optimizers else None
        optimizer = build_optimizer(
            one.optimizer_spec, model, trained=trained, path=(*one.path, "optimizer_spec"), name=one.name
        )
        if one.scheduler_spec is None:
            built.append({"optimizer": optimizer})
            continue
        needs_length = isinstance(one.scheduler_spec, OneCycleLRSpec) and one.scheduler_spec.length is None
        steps = run_steps() / one.every_n_steps if needs_length and run_steps is not None else None
        told: dict[str, Any] = dict(
            lightning_scheduler(one.scheduler_spec, optimizer, run_steps=steps, path=(*one.path, "scheduler_spec"))
        )
        if manual:  # Lightning warns of what it would not look at
            told = {key: told[key] for key in ("scheduler", "interval", "frequency")}
        built.append({"optimizer": optimizer, "lr_scheduler": told})
    if len(built) > 1:
        return cast(OptimizerLRScheduler, built)
    return cast(OptimizerLRScheduler, built[0] if "lr_scheduler" in built[0] else built[0]["optimizer"])


class _Part(NamedTuple):
    """One optimizer of a run, with what it trains."""

    path: Path
    name: str | None
    optimizer_spec: OptimizerSpec
    scheduler_spec: SchedulerSpec | None
    every_n_steps: int
    trained: list[Named]


def _parts(
    optimizer_spec: OptimizerSpec,
    scheduler_spec: SchedulerSpec | None,
    optimizers: Mapping[str, NamedOptimizerSpec],
    model: nn.Module,
) -> list[_Part]:
    """The optimizers, each parameter of the model with one of them."""
    found: dict[tuple[str, int], list[Named]] = {}
    problems: list[Problem] = []
    for name, spec in optimizers.items():
        where: Path = ("optimizers", name, "parameters")
        for place, path in enumerate(spec.parameters):
            found[name, place] = covered(path, model)
            unnamed = unnamed_parts({path: found[name, place]}, model, ())
            problems += [replace(problem, path=dotted((*where, place))) for problem in unnamed]
    problems += _claimed_twice(optimizers, found, names_by_tensor(model))
    claimed = {id(parameter) for part in found.values() for _, parameter in part}
    rest = [(name, parameter) for name, parameter in model.named_parameters() if id(parameter) not in claimed]
    if optimizers and not problems and not rest:
        message = f"has nothing to train: the further optimizers train all of {type(model).__name__}"
        problems.append(Problem(path="optimizer_spec", message=message))
    if problems:
        raise ConfigError(problems)
    parts = [_Part((), None, optimizer_spec, scheduler_spec, 1, rest)]
    for name, spec in optimizers.items():
        trained = {id(own): (known, own) for (owner, _), part in found.items() if owner == name for known, own in part}
        parts.append(
            _Part(
                ("optimizers", name),
                name,
                spec.optimizer_spec,
                spec.scheduler_spec,
                spec.every_n_steps,
                list(trained.values()),
            )
        )
    return parts


def _claimed_twice(
    optimizers: Mapping[str, NamedOptimizerSpec],
    found: Mapping[tuple[str, int], list[Named]],
    names: Mapping[int, list[str]],
) -> Iterator[Problem]:
    """Parameters that two optimizers, or two paths of one, would train; told at the later one."""
    owners: dict[int, tuple[str, int]] = {}
    for (name, place), part in found.items():
        shared = [(known, own) for known, own in part if owners.setdefault(id(own), (name, place)) != (name, place)]
        if not shared:
            continue
        owner, earlier = owners[id(shared[0][1])]
        which = [" is ".join(f"{known}" for known in names[id(own)]) for _, own in shared]
        other = optimizers[owner].parameters[earlier]
        message = f"trains {abbreviated(which)}, as optimizers.{owner} does by '{other}'; give each to one optimizer"
        yield Problem(path=dotted(("optimizers", name, "parameters", place)), message=message)


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
