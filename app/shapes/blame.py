"""From what a step raised to a problem: which value of the config is to blame, and what would be right."""

import re
import sysconfig
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from app.installed import is_installed
from app.losses.inputs import LossInputError, require_classes
from app.metrics.split_metrics import MetricValueError
from app.schemas.codes import Code
from app.schemas.outputs import MissingOutputError
from app.schemas.problems import ConfigError, Problem, first_line, parts_of
from app.schemas.run import RunConfig
from app.shapes.batches import STAND_INS as OF_THE_DATAMODULE
from app.shapes.fake import FEW, needs_values
from app.shapes.trainer import STAND_INS as OF_THE_TRAINER
from app.shapes.watch import BroadcastError, Entered, Watch, shapes_of

_TERM: Final = re.compile(r"(joint_loss\.losses\.\w+): (.*)", re.DOTALL)
_METRIC: Final = re.compile(r"(metrics\.[\w.]+) was given (.*)", re.DOTALL)
_DTYPE: Final = re.compile(
    r"expected scalar type|Expected dtype|Expected floating point type|not implemented for '|Found dtype"
    r"|can't be cast to|to hold classes, as whole numbers"
)
_BROADCAST: Final = re.compile(r"one shape|[Tt]arget size .* (different to|same as) (the )?input size")
_OF_CLASSES: Final = (
    "cross_entropy",
    "CrossEntropyLoss",
    "nll_loss",
    "NLLLoss",
    "multi_margin_loss",
    "MultiMarginLoss",
)
_OUT_OF_BOUNDS: Final = re.compile(r"out of bounds|Class values must be smaller than")
_NO_GRADIENT: Final = "does not require grad and does not have a grad_fn"
_SIZE: Final = re.compile(r"\(?torch\.Size\(\[([\d, ]*)\]\)\)?")
_TRAINING: Final = frozenset(("optimizer_spec", "optimizers", "callbacks"))
"""The config's fields in which a refusal is about what is trained."""

_HOOKS: Final = frozenset(name for name in dir(LightningModule) if re.match("on_|configure_|.*_step$", name))
"""What Lightning calls of a module."""

_OURS: Final = Path(__file__).parent
_PYTHON: Final = Path(sysconfig.get_paths()["stdlib"])


class ClassCountError(ValueError):
    """A model of one's own scores another number of classes than the task has."""


def problems_of(error: BaseException, doing: str, config: RunConfig, watch: Watch | None) -> list[Problem]:
    """What `error` says that a run of `config` would meet; `doing` is what was done, such as `the training step`."""
    if isinstance(error, ConfigError):
        return [
            replace(
                problem,
                code=Code.STEP_FAILS if _TRAINING.isdisjoint(parts_of(problem.path)[:1]) else Code.UNTRAINED,
                source=None,  # who asks knows the config as it was written
            )
            for problem in error.problems
        ]
    return [_problem(error, doing, config, watch)]


def path_of_part(name: str, config: RunConfig) -> str:
    """The config's value that describes a part of the model, as far as the config's words are the model's."""
    path, value = "module.model_config", getattr(config.module, "model_config", None)
    if value is None:
        return "module"
    for word in name.removeprefix(".").split("."):
        inner = getattr(value, word, None)
        if inner is None and word in getattr(value, "heads", {}):
            path, inner = f"{path}.heads", cast(Any, value).heads[word]
        if inner is None or isinstance(inner, str | int | float | tuple):
            break
        path, value = f"{path}.{word}", inner
    return path


def _problem(error: BaseException, doing: str, config: RunConfig, watch: Watch | None) -> Problem:
    said, doing = _said(error), _hook(error) or doing
    if isinstance(error, ClassCountError):
        head = getattr(getattr(config.module, "model_config", None), "head", None)
        inner = ".head.num_classes" if hasattr(head, "num_classes") else ""
        return Problem(code=Code.CLASS_COUNT, path=f"module.model_config{inner}", message=said)
    if isinstance(error, MissingOutputError):
        path = _known(error.part, config)
        what = said.removeprefix(f"{error.part} ") if path == error.part else said
        return Problem(code=Code.STEP_FAILS, path=path, message=what)
    if isinstance(error, MetricValueError):
        return Problem(code=Code.STEP_FAILS, path=_known(f"metrics.{error.metric}", config), message=said)
    if _needs_data(error):
        message = f"{doing} needs the run's datamodule, which this check does not have{_at(error)}"
        return Problem(code=Code.UNCHECKED, path="module", message=message)
    if needs_values(error):
        part = watch.innermost() if watch is not None else None
        message = f"{part or doing} looks at values, which a check without data does not have{_at(error)}"
        path = "module" if part is None else path_of_part(part.name, config)
        return Problem(code=Code.UNCHECKED, path=path, message=message)
    if _NO_GRADIENT in said:
        return Problem(
            code=Code.UNTRAINED,
            path="joint_loss",
            message="nothing that is trained has a part in the loss: no parameter would get a gradient",
        )
    found = _of_loss(error, said, config, watch) or _of_metric(error, said, config)
    if found is not None:
        return found
    part = watch.innermost() if watch is not None else None
    if part is None:
        what = f"{doing} fails: {_typed(error, said)}{_at(error)}"
        return Problem(code=Code.STEP_FAILS, path="module", message=what)
    wanted = _wanted(part)
    why = f"; expected {wanted}" if wanted else f": {_typed(error, said)}"
    what = f"{part} fails in {doing}, given {shapes_of(part.given)}{why}"
    return Problem(code=Code.STEP_FAILS, path=path_of_part(part.name, config), message=what)


def _wanted(entered: Entered) -> str:
    """The shape that a layer of torch's takes, if what it was given has another."""
    part, given = entered.part, next((item for item in entered.given if isinstance(item, Tensor)), None)
    if given is None:
        return ""
    if isinstance(part, nn.Linear) and given.shape[-1:] != (part.in_features,):
        return f"(…, {part.in_features})"
    places = getattr(part, "in_channels", getattr(part, "num_features", getattr(part, "num_channels", None)))
    if isinstance(part, _ConvNd | _BatchNorm | nn.GroupNorm) and given.shape[1:2] != (places,):
        return f"(batch, {places}, …)"
    return ""


def _of_loss(error: BaseException, said: str, config: RunConfig, watch: Watch | None) -> Problem | None:
    """A problem with a term of the joint loss, or with a loss of torch's that the module calls itself."""
    named = _TERM.match(said)
    if isinstance(error, LossInputError) and named:
        return Problem(code=_loss_code(error, said), path=named[1], message=named[2])
    if isinstance(error, BroadcastError):
        message = f"{said}{'' if watch and watch.tag else _at(error)}; expected tensors of one shape"
        return Problem(code=Code.BROADCAST, path=_term(watch), message=message)
    if watch is None or not (watch.tag or watch.loss):
        return None
    if (found := _of_pixels(config, watch)) is not None:
        return found
    code = _loss_code(error, said)
    given = watch.given.get(watch.tag or watch.loss, "")
    if code is Code.BROADCAST:
        why = "each would be compared with all; expected tensors of one shape"
    elif code is Code.CLASS_COUNT:
        why = f"{said}; expected a score for each of the task's {config.task.num_classes} classes"
    else:
        why = _of_classes(watch) or _typed(error, said)
    where = "" if watch.tag else _at(error)
    return Problem(code=code, path=_term(watch), message=f"{watch.loss} cannot be computed of {given}: {why}{where}")


def _of_pixels(config: RunConfig, watch: Watch) -> Problem | None:
    """A head that scores every pixel, where what is compared with it is said of whole images."""
    head = getattr(getattr(config.module, "model_config", None), "head", None)
    maps, *others = watch.compared.get(watch.tag or "", (torch.empty(()),))
    if not getattr(head, "dense", False) or maps.ndim != 4 or any(other.ndim > 2 for other in others):
        return None
    found = f"scores every pixel, {shapes_of(maps)}, and {watch.loss} compares it with {shapes_of(others)}"
    message = f"{found}; expected a head that scores whole images, such as linear with pooling=average"
    return Problem(code=Code.STEP_FAILS, path="module.model_config.head", message=message)


def _of_classes(watch: Watch) -> str:
    """What a loss of classes should have been given."""
    if watch.loss not in _OF_CLASSES:
        return ""
    try:
        require_classes(*watch.compared.get(watch.tag or watch.loss, ())[:2])
    except (LossInputError, TypeError) as error:
        return str(error).partition(", found")[0] if isinstance(error, LossInputError) else ""
    return ""


def _term(watch: Watch | None) -> str:
    return f"joint_loss.losses.{watch.tag}" if watch is not None and watch.tag else "module"


def _of_metric(error: BaseException, said: str, config: RunConfig) -> Problem | None:
    """A problem with a metric, which says in a note what it was given."""
    for note in getattr(error, "__notes__", ()):
        if named := _METRIC.match(note):
            path = _known(named[1], config)
            what = "" if path == named[1] else f"its metric '{named[1].removeprefix('metrics.')}' "
            message = f"{what}cannot be computed of {FEW} samples, {named[2]}: {_typed(error, said)}"
            return Problem(code=Code.STEP_FAILS, path=path, message=message)
    return None


def _loss_code(error: BaseException, said: str) -> Code:
    if isinstance(error, BroadcastError) or _BROADCAST.search(said):
        return Code.BROADCAST
    if _OUT_OF_BOUNDS.search(said):
        return Code.CLASS_COUNT
    return Code.TARGET_DTYPE if _DTYPE.search(said) else Code.STEP_FAILS


def _known(path: str, config: RunConfig) -> str:
    """The path of a metric, if it is one of the config's own; the task's stand nowhere in it."""
    kind, _, name = path.partition(".")
    return "module" if kind == "metrics" and name not in config.metrics else path


def _typed(error: BaseException, said: str) -> str:
    """What was raised, by its type where that is needed to understand it."""
    plain = isinstance(error, RuntimeError | ValueError | UserWarning | LossInputError) and str(error)
    return said if plain else f"{type(error).__name__}: {said}" if str(error) else said


def _said(error: BaseException) -> str:
    text = _SIZE.sub(lambda size: f"({size[1]}{',' if size[1].isdigit() else ''})", first_line(error))
    for stand_in, meant in {**OF_THE_DATAMODULE, **OF_THE_TRAINER}.items():
        text = text.replace(f"'{stand_in.__name__}'", f"'{meant.__name__}'")
    return text.rstrip(".")


def _needs_data(error: BaseException) -> bool:
    """Whether a module looked for something that a datamodule of the task may have, and its stand-in has not."""
    if isinstance(getattr(error, "obj", None), tuple(OF_THE_DATAMODULE)):
        return True
    frame = _own_frame(error)
    return frame is not None and "datamodule" in (frame.line or "")


def _hook(error: BaseException) -> str:
    """The hook of the module in which it was raised; empty for a step, which needs no name of its own."""
    hooks = [frame.name for frame in _frames(error) if frame.name in _HOOKS and _is_own(Path(frame.filename))]
    return "" if not hooks or hooks[-1].endswith("_step") else hooks[-1]


def _at(error: BaseException) -> str:
    """The line of code that raised it, leaving out those of packages and of this check."""
    frame = _own_frame(error)
    return f" ({Path(frame.filename).name}:{frame.lineno})" if frame is not None else ""


def _own_frame(error: BaseException) -> traceback.FrameSummary | None:
    """The innermost call in the user's or the project's code."""
    return next((frame for frame in reversed(_frames(error)) if _is_own(Path(frame.filename))), None)


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)


def _is_own(file: Path) -> bool:
    if not file.exists() or is_installed(file):
        return False
    return _OURS not in file.parents and _PYTHON not in file.parents
