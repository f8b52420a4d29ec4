"""Parameters of a model by name: what a path covers, and what to say of one that covers nothing."""

from collections.abc import Iterator, Mapping, Sequence

from torch import nn

from app.schemas.problems import Path, Problem, did_you_mean, dotted

Named = tuple[str, nn.Parameter]
"""A parameter and a name that it has."""


def covered(path: str, model: nn.Module) -> list[Named]:
    """The parameters at or below a path, each once, by the first name it has there."""
    found: dict[int, Named] = {}
    for name, parameter in all_parameters(model).items():
        if _below(name, bare(path)):
            found.setdefault(id(parameter), (name, parameter))
    return list(found.values())


def names_by_tensor(model: nn.Module) -> dict[int, list[str]]:
    """Every name of a parameter, by the parameter's id: tied weights have several."""
    names: dict[int, list[str]] = {}
    for name, parameter in all_parameters(model).items():
        names.setdefault(id(parameter), []).append(name)
    return names


def unnamed_parts(
    found: Mapping[str, Sequence[Named]], model: nn.Module, where: Path, own: Sequence[Named] | None = None
) -> Iterator[Problem]:
    """Paths of a model that name nothing, or nothing that could be trained; `where` is what holds the paths.

    `found` has the parameters of each path; `own` are those that an optimizer trains, when it is one of several.
    """
    modules = dict(model.named_modules(remove_duplicate=False))
    parts = [name for name in (*modules, *all_parameters(model)) if name]
    for path, parameters in found.items():
        if parameters:
            continue
        if own is not None and covered(path, model):
            message = f"names nothing that this optimizer trains; it trains {abbreviated([name for name, _ in own])}"
        elif bare(path) in modules:
            message = f"names a {type(modules[bare(path)]).__name__}, which has no parameters"
        else:
            dot = "." if path.startswith(".") else ""
            children = abbreviated([dot + name for name in _children(model)], limit=8)
            hint = did_you_mean(path, [dot + part for part in parts]) or f"; it has {children}"
            message = f"names no submodule or parameter of {type(model).__name__}{hint}"
        yield Problem(path=dotted((*where, path)), message=message)


def abbreviated(names: Sequence[str], *, limit: int = 3) -> str:
    """Names for a message, the first few of many.

    >>> abbreviated(["a", "b", "c", "d", "e"])
    "'a', 'b', 'c' and 2 more"
    """
    shown = [f"'{name}'" for name in names[:limit]]
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


def bare(path: str) -> str:
    """A path without its leading dot."""
    return path.removeprefix(".")


def all_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters by every name they have: tied weights have several."""
    return dict(model.named_parameters(remove_duplicate=False))


def _children(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_children()] + [name for name, _ in model.named_parameters(recurse=False)]


def _below(name: str, path: str) -> bool:
    return not path or name == path or name.startswith(f"{path}.")
