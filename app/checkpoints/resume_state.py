"""Whether a checkpoint has all that a resumed run reads, before the run is built. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from app.checkpoints.inert_pickle import Mark, TensorMark

OPTIMIZERS: Final = "optimizer_states"
"""What a checkpoint of the weights alone does not have."""

_EXACT: Final = "exact_resume"
_EXTRA: Final = "_extra_state"
"""How the names end under which modules keep values that are no tensors."""

_MOMENTS: Final = ("within_batch", "batch_end", "validation_end", "epoch_end", "between_epochs")
_STEPS: Final = ("ready", "completed")
_GRADIENTS: Final = ("ready", "started", "completed")
_BATCHES: Final = ("ready", "started", "processed", "completed")

_COUNTS: Final[Mapping[tuple[str, ...], tuple[str, ...]]] = {
    ("epoch_progress",): _BATCHES,
    ("epoch_loop.batch_progress",): _BATCHES,
    ("epoch_loop.scheduler_progress",): _STEPS,
    ("epoch_loop.val_loop.batch_progress",): _BATCHES,
    ("epoch_loop.automatic_optimization.optim_progress", "optimizer", "step"): _STEPS,
    ("epoch_loop.automatic_optimization.optim_progress", "optimizer", "zero_grad"): _GRADIENTS,
    ("epoch_loop.manual_optimization.optim_step_progress",): _STEPS,
}
"""What each part of the training loop counts, in all and in the round that is under way."""

_LAST: Final = ("epoch_loop.batch_progress", "epoch_loop.val_loop.batch_progress")
"""Those that also say whether the batch was the last."""


def fault_in(values: Mapping[Any, Any]) -> str | None:
    """What a resumed run would stumble over in a checkpoint, the first of it; None when there is nothing."""
    return next(_faults(values), None)


def _faults(values: Mapping[Any, Any]) -> Iterator[str]:
    for name in ("epoch", "global_step"):
        if not _is_count(values.get(name)):
            yield f"{name} should be a number from 0"
    yield from _in_weights(values.get("state_dict"))
    for index, state in enumerate(_items(values.get(OPTIMIZERS))):
        if not _has(state, state=dict, param_groups=list):
            yield f"{OPTIMIZERS}[{index}] should hold state and param_groups"
    for name in (OPTIMIZERS, "lr_schedulers"):
        found = values.get(name)
        if type(found) is not list or not all(type(item) is dict for item in found):
            yield f"{name} should be a list of mappings"
    if not isinstance(values.get("callbacks", {}), dict):
        yield "callbacks should be a mapping"
    exact = values.get(_EXACT)
    loops = values.get("loops")
    progress = loops.get("fit_loop") if isinstance(loops, dict) else None
    if isinstance(progress, dict):
        yield from _in_progress(progress, complete=exact is not None)
    else:
        yield "loops.fit_loop should be a mapping that says how far the training was"
    if exact is not None:
        yield from _in_exact(exact)


def _in_weights(weights: object) -> Iterator[str]:
    if not isinstance(weights, dict):
        yield "state_dict should be a mapping of weights by name"
        return
    for name, value in weights.items():
        if not isinstance(name, str):
            yield f"state_dict should have texts for names, not {name!r:.40}"
        elif not isinstance(value, TensorMark | Mark) and not name.endswith(_EXTRA):
            yield f"state_dict should have a tensor under {name}"


def _in_progress(progress: dict[Any, Any], *, complete: bool) -> Iterator[str]:
    """`complete`: whether all has to be there; Lightning by itself does without what older versions did not count."""
    for (part, *path), names in _COUNTS.items():
        if part not in progress and not complete:
            continue
        counted = _at(progress.get(part), *path)
        for scope in ("total", "current"):
            counts = _at(counted, scope)
            if not isinstance(counts, dict) or not all(_is_count(counts.get(name)) for name in names):
                where = "/".join(("loops.fit_loop", part, *path, scope))
                yield f"{where} should count {', '.join(names)}"
        if part in _LAST and type(_at(counted, "is_last_batch")) is not bool:
            yield f"loops.fit_loop/{part} should say in is_last_batch whether a batch was the last"
    epoch = progress.get("epoch_loop.state_dict")
    if (epoch is not None or complete) and not _is_count(_at(epoch, "_batches_that_stepped")):
        yield "loops.fit_loop/epoch_loop.state_dict should count _batches_that_stepped"


def _in_exact(exact: object) -> Iterator[str]:
    if not _has(exact, moment=str, should_stop=bool, callback_metrics=dict, processes=list):
        yield f"{_EXACT} should hold moment, should_stop, callback_metrics and processes"
        return
    assert isinstance(exact, dict)
    if exact["moment"] not in _MOMENTS:
        yield f"{_EXACT}.moment should be one of {', '.join(_MOMENTS)}"
    if type(exact.get("num_batches")) not in (int, float):
        yield f"{_EXACT}.num_batches should be a number"
    if not all(isinstance(value, TensorMark) for value in exact["callback_metrics"].values()):
        yield f"{_EXACT}.callback_metrics should hold tensors"
    if not all(_has(own, random=dict, gradients=dict, metrics=dict) for own in exact["processes"]):
        yield f"{_EXACT}.processes should each hold random, gradients and metrics"


def _at(value: object, *path: str) -> object:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _has(value: object, **kinds: type) -> bool:
    return isinstance(value, dict) and all(type(value.get(name)) is kind for name, kind in kinds.items())


def _items(value: object) -> list[Any]:
    return value if type(value) is list else []


def _is_count(value: object) -> bool:
    return type(value) is int and value >= 0
