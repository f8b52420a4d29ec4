"""Which losses, metrics, heads and augmentations cannot fit the task.

They would fail at the first batch, or measure something else. Of losses and metrics only what is computed from the
task's own `target` and the usual scores is judged. Whoever maps another target, or another output of the model, knows
something of it that the task does not say.

Schemas say what they take in class variables (`kinds`, `masks`, `dense`, `any_shape`), which are read here by name, as
fields are: importing the families of options to ask for their types would cost every start of the program.
"""

from collections.abc import Iterator, Mapping
from typing import Final, get_args

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.datamodule import DataModuleConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.outputs import OutputMapping
from app.schemas.problems import Path, one_of, show
from app.schemas.registry import Option, options
from app.schemas.rules import Finding
from app.schemas.task import ClassKind, TaskConfig, TaskKind

OF_A_TASK: Final = ("module", "datamodule")
"""The parts of a run that have options of one task alone."""

TARGET: Final = "target"
SCORES: Final = frozenset(("logits", "probabilities", "log_probabilities", "classes"))
"""What a model says of the task's target; all of it has a place for each class."""

_MOVES: Final = ("padding", "max_shift")
"""The fields of augmentations that say by how many pixels an image is moved at most."""

_USUAL_LOSSES: Final[Mapping[TaskKind, str]] = {
    "binary": "bce_with_logits or focal",
    "multiclass": "cross_entropy or focal",
    "multilabel": "bce_with_logits or focal",
    "regression": "mse or huber",
    "detection": "the ones that its modules name",
}


def misfits(
    task: TaskConfig, module: ModuleConfig, joint_loss: JointLossConfig, metrics: Mapping[str, MetricConfig]
) -> Iterator[Finding]:
    """What speaks against a loss, a metric or the number of a head's scores; paths are those of the run's config."""
    yield from _of_backbone(task, module)
    yield from _of_head(task, module, [*joint_loss.losses.values(), *task.fixed_metrics().values(), *metrics.values()])
    for tag, loss in joint_loss.losses.items():
        if of_the_task(loss):
            yield from _of_loss(("joint_loss", "losses", tag), loss, task)
    for name, metric in metrics.items():
        if of_the_task(metric):
            yield from _of_metric(("metrics", name), metric, task, module)


def of_another_task(part: str, option: Option | None, task: str) -> str | None:
    """What is wrong with an option of another task: on this one's data it would fail, or say what nobody asks for."""
    if option is None or option.serves(task):
        return None
    here = [name for name, other in options[part].items() if other.serves(task)]
    return f"is of task {option.owner}, but the task is {task}; expected {one_of(here)}"


def unfit_augmentations(task: TaskConfig, datamodule: DataModuleConfig) -> Iterator[Finding]:
    """The augmentations that change images where an input is none, and those that may move one out of sight.

    Paths are those of the run's config.
    """
    is_image = len(task.input_shape) == 3
    side = min(task.input_shape[1:], default=0)
    for path, augmentation in datamodule.all_augmentations():
        for place, step in _steps(augmentation):
            where = ("datamodule", *path, *place)
            if not is_image and not step.any_shape:
                found = f"changes images, and an input of the task is of shape {list(task.input_shape)}"
                yield where, f"{found}; of all augmentations gaussian_noise alone changes these"
            for name in _MOVES if is_image else ():
                if (pixels := getattr(step, name, 0)) >= side:
                    instead = f"expected less than {side}, the shorter side of the task's images"
                    yield (*where, name), f"could leave nothing of an image in sight: {instead}, found {show(pixels)}"


def unfit_scores(module: ModuleConfig, datamodule: DataModuleConfig) -> Iterator[Finding]:
    """A model that scores whole images, where the target has a class for each pixel; paths are those of the run."""
    path, head = _main_head(module)
    scores_pixels = module.dense if head is None else getattr(head, "dense", None)
    if datamodule.placed_targets.get(TARGET) == "mask" and scores_pixels is False:
        instead = "a module of the task's own" if head is None else "head=segmentation with pooling=null"
        where = ("module",) if head is None else path
        yield where, f"scores whole images, and the target has a class for each pixel; expected {instead}"


def of_the_task(config: OutputMapping) -> bool:
    """Whether the model's usual scores are compared with the task's own target."""
    outputs = config.output_of().values()
    return TARGET in outputs and not SCORES.isdisjoint(outputs)


def _of_loss(path: Path, loss: LossConfig, task: TaskConfig) -> Iterator[Finding]:
    usual = f"expected {_USUAL_LOSSES[task.kind]}, or another target: {_mapping(loss)}"
    if loss.kinds is not None and task.kind not in loss.kinds:
        yield path, f"{_taken(loss.kinds, task)}; {usual}"
        return
    kind = getattr(loss, "kind", None)
    if kind in get_args(ClassKind) and kind != task.kind:
        found = f"expected '{task.kind}', as the task is, found '{kind}'"
        yield (*path, "kind"), f"{found}; a loss of another target maps it: {_mapping(loss)}"
        return
    weights = getattr(loss, "class_weights", None)
    if task.kind == "multiclass" and weights is not None and len(weights) != task.num_classes:
        yield (*path, "class_weights"), f"expected {task.num_classes} of them, one for each class, found {len(weights)}"


def _of_metric(path: Path, metric: MetricConfig, task: TaskConfig, module: ModuleConfig) -> Iterator[Finding]:
    another = f"a metric of another target maps it: {_mapping(metric)}"
    if metric.kinds is not None and task.kind not in metric.kinds:
        yield path, f"{_taken(metric.kinds, task)}; {another}"
        return
    if metric.masks and not _scores_pixels(task, module):
        yield path, f"compares a class for each pixel, and the model scores whole images; {another}"
        return
    kind = getattr(metric, "task", None)
    if kind in get_args(ClassKind) and kind != task.kind:
        yield (*path, "task"), f"expected '{task.kind}', as the task is, found '{kind}'; {another}"
        return
    if task.kind == "binary":  # yes and no are counted as one by some, and as two by others
        return
    for name in ("num_classes", "num_labels"):
        count = getattr(metric, name, None)
        if count is not None and count != task.num_classes:
            yield (*path, name), f"expected {task.num_classes}, as the task has, found {show(count)}; {another}"


def _of_backbone(task: TaskConfig, module: ModuleConfig) -> Iterator[Finding]:
    """Convolutions look at pixels and their neighbours."""
    backbone = getattr(getattr(module, "model_config", None), "backbone", None)
    if len(task.input_shape) != 3 and not getattr(backbone, "any_shape", True):
        found = f"takes images, and an input of the task is of shape {list(task.input_shape)}"
        yield ("module", "model_config", "backbone"), f"{found}; expected backbone=mlp"


def _of_head(task: TaskConfig, module: ModuleConfig, computed: list[LossConfig | MetricConfig]) -> Iterator[Finding]:
    """A score too few has no place for a class, and one too many is learnt as what never happens."""
    path, head = _main_head(module)
    count = getattr(head, "num_classes", None)
    # A yes or no has one score, or two.
    if task.kind == "binary" or count is None or count == task.num_classes:
        return
    if "logits" in getattr(head, "outputs", ()) and any(map(of_the_task, computed)):
        yield (*path, "num_classes"), f"expected {task.num_classes}, as the task has, found {show(count)}"


def _steps(augmentation: AugmentationConfig, path: tuple[str, ...] = ()) -> Iterator[tuple[Path, AugmentationConfig]]:
    """An augmentation and all that it is made of."""
    yield path, augmentation
    for name, step in getattr(augmentation, "steps", {}).items():
        yield from _steps(step, (*path, "steps", name))


def _main_head(module: ModuleConfig) -> tuple[Path, object]:
    """The head of a model made of parts that gives the outputs by their plain names, and where it stands."""
    path: Path = ("module", "model_config", "head")
    head = getattr(getattr(module, "model_config", None), "head", None)
    heads = getattr(head, "heads", None)
    if isinstance(heads, Mapping):
        main = getattr(head, "main", None)
        return (*path, "heads", str(main)), heads.get(main)
    return path, head


def _scores_pixels(task: TaskConfig, module: ModuleConfig) -> bool:
    """Whether the target and the scores are masks, as far as the task, the module and its head say so."""
    head = _main_head(module)[1]
    if head is not None:
        return bool(getattr(head, "dense", True))
    return bool(getattr(module, "dense", False)) or any(metric.masks for metric in task.fixed_metrics().values())


def _taken(kinds: tuple[str, ...], task: TaskConfig) -> str:
    if not kinds:
        return f"takes targets of another form than those of a {task.kind} task"
    return f"takes targets of kind {one_of(kinds)}, and the task is '{task.kind}'"


def _mapping(config: OutputMapping) -> str:
    """How another target is chosen, as it is typed."""
    argument = next(argument for argument, output in config.output_of().items() if output == TARGET)
    return f"mapping={{{argument}: …}}"
