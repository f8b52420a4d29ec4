"""robbytorch's parameter groups: parts of a model, named by path, that are trained with values of their own."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from app.schemas.optimizers import OptimizerSpec
from app.schemas.problems import ConfigError, Problem, did_you_mean, dotted, show
from app.schemas.registry import leaf_fields

log = logging.getLogger(__name__)

REMAINING = "remaining"
"""Name of the last group: the parameters that no path covers."""

Named = tuple[str, nn.Parameter]


def parameter_groups(spec: OptimizerSpec, model: nn.Module) -> list[dict[str, Any]]:
    """The model's parameters in the groups that `spec.params` describes, as `torch.optim` takes them.

    Paths start at `model` and name a submodule or a parameter; `.head` and `head` are the same, and `.` is all of it.
    Each group has its path as `name`, so that learning rates are logged under it, and its parameters carry their own
    names. A tensor with several names (tied weights) is in one group, under its first name.

    - A path that names nothing, or a part without parameters, is an error: the values given for it would have no
      effect, and the run would not be the one described.
    - Paths that overlap, by nesting or by tied weights, are an error. That the deeper path wins would be a guess, and
      tied weights have no deeper one.
    - Parameters that no path covers form the last group, with the optimizer's own values: whoever slows down a
      backbone wants the rest trained as before. The log names them. Freezing is how parameters are left out.
    - Parameters frozen by `requires_grad = False` stay in their groups, where torch passes over them, unless
      `spec.filter_requires_grad` leaves them out. A group that this empties is left out too, with a warning: freezing a
      part is a choice of its own, and should not need another change here.

    Raises:
        ConfigError: with every path that is wrong, or when there is nothing to train.
    """
    _require_trainable(model)
    if not spec.params:
        return [{"params": _kept(spec, list(model.named_parameters()))}]

    names = _names_by_tensor(model)
    found = {path: _covered(path, model) for path in spec.params}
    problems = [*_pathless(spec, model, found), *_overlaps(found, names)]
    if problems:
        raise ConfigError(problems)

    covered = {id(parameter) for part in found.values() for _, parameter in part}
    rest = [(name, parameter) for name, parameter in model.named_parameters() if id(parameter) not in covered]
    groups: list[dict[str, Any]] = []
    for path, part in found.items():
        if kept := _kept(spec, part):
            groups.append({"params": kept, "name": _bare(path) or ".", **_values(spec, path)})
        else:
            log.warning(
                "%s is left out of the optimizer: all its parameters are frozen (%s)",
                dotted(("optimizer_spec", "params", path)),
                abbreviated([name for name, _ in part]),
            )
    if kept := _kept(spec, rest):
        groups.append({"params": kept, "name": REMAINING})
        log.info(
            "the optimizer's own values train what optimizer_spec.params does not cover: %s",
            abbreviated([name for name, _ in kept]),
        )
    return groups


def abbreviated(names: Sequence[str], *, limit: int = 3) -> str:
    """Names for a message, the first few of many.

    >>> abbreviated(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = [f"'{name}'" for name in names[:limit]]
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def _require_trainable(model: nn.Module) -> None:
    parameters = dict(model.named_parameters())
    if any(parameter.requires_grad for parameter in parameters.values()):
        return
    if parameters:
        message = (
            f"nothing to train: all parameters of {type(model).__name__} are frozen ({abbreviated([*parameters])})"
        )
    else:
        message = f"nothing to train: {type(model).__name__} has no parameters"
    raise ConfigError([Problem(path="optimizer_spec", message=message)])


def _pathless(spec: OptimizerSpec, model: nn.Module, found: Mapping[str, list[Named]]) -> Iterator[Problem]:
    """Paths that name nothing, or nothing that could be trained."""
    modules = dict(model.named_modules(remove_duplicate=False))
    parts = [name for name in (*modules, *_all_parameters(model)) if name]
    for path in spec.params:
        if found[path]:
            continue
        if _bare(path) in modules:
            message = f"names a {type(modules[_bare(path)]).__name__}, which has no parameters"
        else:
            dot = "." if path.startswith(".") else ""
            children = abbreviated([dot + name for name in _children(model)], limit=8)
            hint = did_you_mean(path, [dot + part for part in parts]) or f"; it has {children}"
            message = f"names no submodule or parameter of {type(model).__name__}{hint}"
        yield _problem(path, message)


def _overlaps(found: Mapping[str, list[Named]], names: Mapping[int, list[str]]) -> Iterator[Problem]:
    """Pairs of paths that would give one parameter two sets of values; told at the later one."""
    paths = list(found)
    for place, later in enumerate(paths):
        own = {id(parameter) for _, parameter in found[later]}
        for earlier in paths[:place]:
            shared = [(name, parameter) for name, parameter in found[earlier] if id(parameter) in own]
            if not shared:
                continue
            if _nested(_bare(earlier), _bare(later)):
                listed = abbreviated([name for name, _ in shared])
                yield _problem(
                    later, f"overlaps with {show(earlier)}, both cover {listed}; name separate parts instead"
                )
            else:
                tied = " is ".join(f"'{name}'" for name in names[id(shared[0][1])])
                yield _problem(
                    later, f"shares parameters with {show(earlier)}: {tied}; give tied weights to one group, by name"
                )


def _covered(path: str, model: nn.Module) -> list[Named]:
    """The parameters at or below a path, each once, by the first name it has there."""
    found: dict[int, Named] = {}
    for name, parameter in _all_parameters(model).items():
        if _below(name, _bare(path)):
            found.setdefault(id(parameter), (name, parameter))
    return list(found.values())


def _all_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters by every name they have: tied weights have several."""
    return dict(model.named_parameters(remove_duplicate=False))


def _names_by_tensor(model: nn.Module) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for name, parameter in _all_parameters(model).items():
        names.setdefault(id(parameter), []).append(name)
    return names


def _children(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children()] + [name for name, _ in model.named_parameters(recurse=False)]


def _kept(spec: OptimizerSpec, parameters: Sequence[Named]) -> list[Named]:
    return [
        (name, parameter) for name, parameter in parameters if parameter.requires_grad or not spec.filter_requires_grad
    ]


def _values(spec: OptimizerSpec, path: str) -> dict[str, object]:
    return {name: value for name, value in leaf_fields(spec.params[path]).items() if value is not None}


def _problem(path: str, message: str) -> Problem:
    return Problem(path=dotted(("optimizer_spec", "params", path)), message=message)


def _bare(path: str) -> str:
    return path.removeprefix(".")


def _below(name: str, path: str) -> bool:
    return not path or name == path or name.startswith(f"{path}.")


def _nested(one: str, other: str) -> bool:
    return _below(one, other) or _below(other, one)
