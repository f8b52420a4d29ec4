"""Parameter groups: parts of a model by path, and parameters by kind and name, trained with values of their own.

The form of `params` is robbytorch's; the rules by kind are known from MMEngine's `paramwise_cfg`.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from app.models.named_parameters import (
    Named,
    abbreviated,
    all_parameters,
    bare,
    covered,
    names_by_tensor,
    unnamed_parts,
)
from app.schemas.model_paths import nested
from app.schemas.optimizers import OptimizerSpec
from app.schemas.problems import ConfigError, Path, Problem, did_you_mean, dotted, show
from app.schemas.registry import leaf_fields

log = logging.getLogger(__name__)

REMAINING: Final = "remaining"
"""Name of the last group: the parameters that no path covers."""

WHOLE: Final = "all"
"""What the names of groups begin with when factors divide them and no path does."""

_MAIN: Final[Path] = ("optimizer_spec",)
_NORMS: Final = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
_NO_FACTORS: Final = (1.0, 1.0)


def parameter_groups(
    spec: OptimizerSpec,
    model: nn.Module,
    *,
    trained: Sequence[Named] | None = None,
    path: Path = _MAIN,
    name: str | None = None,
) -> list[dict[str, Any]]:
    """The parameters in the groups that `spec.params` and `spec.paramwise` describe, as `torch.optim` takes them.

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
    - The factors of `spec.paramwise` divide each of these groups further, into one for each pair of factors that occurs
      in it, with the factors behind its name: `backbone/no_decay`.

    Args:
        spec: The optimizer's values, and those of its groups.
        model: Where paths start.
        trained: The parameters this optimizer trains, when it is one of several; null means all of the model's.
        path: Where `spec` stands in the run's config, for messages.
        name: What a group is called that no path gives a name.

    Raises:
        ConfigError: with every path and pattern that is wrong, or when there is nothing to train.
    """
    own = list(model.named_parameters()) if trained is None else list(trained)
    _require_trainable(own, model, path)
    found = {part: _among(own, covered(part, model)) for part in spec.params}
    factors, unmatched = _factors(spec, model, own, path)
    pathless = unnamed_parts(found, model, (*path, "params"), own)
    problems = [*pathless, *_overlaps(found, names_by_tensor(model), (*path, "params")), *unmatched]
    if problems:
        raise ConfigError(problems)

    in_parts = {id(parameter) for part in found.values() for _, parameter in part}
    rest = [(name, parameter) for name, parameter in own if id(parameter) not in in_parts]
    groups: list[dict[str, Any]] = []
    for part_path, part in found.items():
        if kept := _kept(spec, part):
            groups += _divided(
                {"params": kept, "name": bare(part_path) or ".", **_values(spec, part_path)}, spec, factors
            )
        else:
            log.warning(
                "%s is left out of the optimizer: all its parameters are frozen (%s)",
                dotted((*path, "params", part_path)),
                abbreviated([name for name, _ in part]),
            )
    if kept := _kept(spec, rest):
        if spec.params:
            log.info(
                "the optimizer's own values train what %s does not cover: %s",
                dotted((*path, "params")),
                abbreviated([name for name, _ in kept]),
            )
        called = "/".join(filter(None, [name, REMAINING if spec.params else None]))
        groups += _divided({"params": kept, **({"name": called} if called else {})}, spec, factors)
    return groups


def _divided(
    group: dict[str, Any], spec: OptimizerSpec, factors: Mapping[int, tuple[float, float]]
) -> Iterator[dict[str, Any]]:
    """A group as one for each pair of factors, on learning rate and weight decay, that its parameters have."""
    parts: dict[tuple[float, float], list[Named]] = {}
    for name, parameter in group["params"]:
        parts.setdefault(factors.get(id(parameter), _NO_FACTORS), []).append((name, parameter))
    for (rate, decay), named in parts.items():
        words = [f"lr_x{rate:g}"] if rate != 1 else []
        words += ["no_decay" if decay == 0 else f"decay_x{decay:g}"] if decay != 1 else []
        part = {**group, "params": named}
        if words:
            part["name"] = f"{group.get('name', WHOLE)}/{','.join(words)}"
        elif len(parts) > 1:
            part["name"] = group.get("name", WHOLE)
        if rate != 1:
            part["lr"] = group.get("lr", spec.lr) * rate
        if decay != 1:
            part["weight_decay"] = group.get("weight_decay", leaf_fields(spec)["weight_decay"]) * decay
        yield part


def _factors(
    spec: OptimizerSpec, model: nn.Module, own: Sequence[Named], path: Path
) -> tuple[dict[int, tuple[float, float]], list[Problem]]:
    """The factors on learning rate and weight decay that are not 1, by parameter; and the patterns without a match."""
    paramwise = spec.paramwise
    of_norms = {
        id(parameter) for layer in model.modules() if _is_norm(layer) for parameter in layer.parameters(recurse=False)
    }
    factors: dict[int, tuple[float, float]] = {}
    for name, parameter in own:
        if id(parameter) in of_norms:
            factors[id(parameter)] = (1.0, paramwise.norm_decay)
        elif _is_bias(name):
            factors[id(parameter)] = (paramwise.bias_lr, paramwise.bias_decay)
    problems: list[Problem] = []
    for pattern, each in paramwise.custom.items():
        at: Path = (*path, "paramwise", "custom", pattern)
        matching = _among(own, _matching(pattern, model))
        for _, parameter in matching:
            rate, decay = factors.get(id(parameter), _NO_FACTORS)
            factors[id(parameter)] = (rate * each.lr, decay * each.weight_decay)
        if not matching and _is_pattern(pattern):
            hint = (
                did_you_mean(pattern, _usual_patterns(own)) or f"; its parameters: {abbreviated([n for n, _ in own])}"
            )
            problems.append(Problem(path=dotted(at), message=f"matches no parameter of {type(model).__name__}{hint}"))
        elif not matching:
            problems += unnamed_parts({pattern: []}, model, at[:-1], own)
    return factors, problems


def _is_norm(layer: nn.Module) -> bool:
    """Whether this is a normalization layer: one of torch's, or one whose class says so, such as `LlamaRMSNorm`."""
    return isinstance(layer, _NORMS) or re.search(r"Norm(\dd)?$", type(layer).__name__) is not None


def _is_bias(name: str) -> bool:
    """Whether a parameter of this name is a bias, also of the kinds `in_proj_bias` and `bias_hh_l0`."""
    last = name.rpartition(".")[2]
    return last == "bias" or last.endswith("_bias") or last.startswith("bias_")


def _is_pattern(text: str) -> bool:
    return any(sign in text for sign in "*?[")


def _matching(pattern: str, model: nn.Module) -> list[Named]:
    """The parameters that a path or pattern stands for, each once."""
    if not _is_pattern(pattern):
        return covered(pattern, model)
    found: dict[int, Named] = {}
    for name, parameter in all_parameters(model).items():
        if fnmatchcase(name, bare(pattern)):
            found.setdefault(id(parameter), (name, parameter))
    return list(found.values())


def _usual_patterns(own: Sequence[Named]) -> list[str]:
    """The patterns one would write for these parameters: `*.bias`, `backbone.*`."""
    parts = [name.split(".") for name, _ in own]
    ends = [".".join(["*", *each[place:]]) for each in parts for place in range(1, len(each))]
    starts = [".".join([*each[:place], "*"]) for each in parts for place in range(1, len(each))]
    return list(dict.fromkeys([*ends, *starts]))


def _among(own: Sequence[Named], parameters: Sequence[Named]) -> list[Named]:
    """Those of the parameters that are also the optimizer's own."""
    known = {id(parameter) for _, parameter in own}
    return [(name, parameter) for name, parameter in parameters if id(parameter) in known]


def _require_trainable(own: Sequence[Named], model: nn.Module, path: Path) -> None:
    if any(parameter.requires_grad for _, parameter in own):
        return
    names = [name for name, _ in own]
    whole = len(names) == len(list(model.parameters()))
    if names:
        whose = f"all parameters of {type(model).__name__}" if whole else "all its parameters"
        message = f"nothing to train: {whose} are frozen ({abbreviated(names)})"
    else:
        message = f"nothing to train: {type(model).__name__} has no parameters"
    raise ConfigError([Problem(path=dotted(path), message=message)])


def _overlaps(found: Mapping[str, list[Named]], names: Mapping[int, list[str]], where: Path) -> Iterator[Problem]:
    """Pairs of paths that would give one parameter two sets of values; told at the later one."""
    paths = list(found)
    for place, later in enumerate(paths):
        own = {id(parameter) for _, parameter in found[later]}
        for earlier in paths[:place]:
            shared = [(name, parameter) for name, parameter in found[earlier] if id(parameter) in own]
            if not shared:
                continue
            if nested(earlier, later):
                listed = abbreviated([name for name, _ in shared])
                message = f"overlaps with {show(earlier)}, both cover {listed}; name separate parts instead"
            else:
                tied = " is ".join(f"'{name}'" for name in names[id(shared[0][1])])
                message = f"shares parameters with {show(earlier)}: {tied}; give tied weights to one group, by name"
            yield Problem(path=dotted((*where, later)), message=message)


def _kept(spec: OptimizerSpec, parameters: Sequence[Named]) -> list[Named]:
    return [
        (name, parameter) for name, parameter in parameters if parameter.requires_grad or not spec.filter_requires_grad
    ]


def _values(spec: OptimizerSpec, path: str) -> dict[str, object]:
    return {name: value for name, value in leaf_fields(spec.params[path]).items() if value is not None}
