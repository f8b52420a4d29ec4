"""`RunConfig`: everything that one run is made of, the options it starts from, and the rules that span its parts."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, cast

from omegaconf import MISSING, DictConfig, OmegaConf

from app.schemas.annotations import field_types
from app.schemas.callbacks import CallbackConfig, LearningRateMonitorConfig
from app.schemas.clashes import clashes
from app.schemas.constraints import NonEmptyText
from app.schemas.datamodule import DataModuleConfig
from app.schemas.loggers import LoggerConfig
from app.schemas.module import ModuleConfig
from app.schemas.optimizers import OptimizerSpec
from app.schemas.plain import to_plain
from app.schemas.problems import did_you_mean, one_of
from app.schemas.registry import groups, option_of, options
from app.schemas.schedulers import (
    CosineAnnealingLRSpec,
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    scheduler_fits_optimizer,
)
from app.schemas.schema import Finding, is_schema, rule, schema
from app.schemas.seed import SeedParams
from app.schemas.task import TaskConfig
from app.schemas.trainer import TrainerConfig
from app.schemas.validation import check

DEFAULT_OPTIONS: Final[Mapping[str, str | list[str] | None]] = {
    "task": "digits",
    "module": "${task}/default",
    "datamodule": "${task}/default",
    "trainer": "default",
    "optimizer_spec": "adamw",
    "scheduler_spec": None,
    "callbacks": ["checkpoint", "progress_bar", "model_summary"],
    "logger": ["csv"],
}
"""What is chosen where nobody chooses, by group; `${task}` stands for the task's name."""


def _default_part(group: str, chosen: Mapping[str, Any]) -> Any:
    name = DEFAULT_OPTIONS[group]
    if name is None:
        return None
    base = groups[group].base
    tree = {part: to_plain(config) for part, config in chosen.items() if is_schema(type(config))}
    parts: dict[str, Any] = {}
    for option_name in name if isinstance(name, list) else [name]:
        option = options[group][option_name.replace("${task}", chosen["task"].name)]
        resolved = OmegaConf.to_container(OmegaConf.create({**tree, group: option.node}), resolve=True)
        parts[option_name] = check(cast(dict[str, Any], resolved)[group], base)
    return parts if groups[group].several else parts[str(name)]


def default_part(group: str) -> Any:
    """A field of `RunConfig` that starts from `DEFAULT_OPTIONS`, interpolating the parts above it."""
    return dataclasses.field(default_factory=cast(Any, partial(_default_part, group)))


@schema
class RunDirectoryConfig:
    """Where runs leave what they produce."""

    root: NonEmptyText = "runs"
    """Folder of all runs; each is at `<root>/<task>/<date>_<time>_<unique>`, unless `hydra.run.dir` says otherwise."""


@schema
class RunConfig:
    """One run: the task, what is trained on it, and how."""

    task: TaskConfig
    """The fixed test set and metrics; other parts interpolate its facts: `${task.monitor}`."""

    module: ModuleConfig = default_part("module")
    """The model and the way through it."""

    datamodule: DataModuleConfig = default_part("datamodule")
    """The data to train and validate on; the test set is the task's."""

    trainer: TrainerConfig = default_part("trainer")
    """The arguments of Lightning's Trainer: length, hardware, precision, limits."""

    optimizer_spec: OptimizerSpec = default_part("optimizer_spec")
    """The optimizer, and the parameter groups that differ from the rest."""

    scheduler_spec: SchedulerSpec | None = default_part("scheduler_spec")
    """How the learning rate changes; null keeps it constant."""

    callbacks: dict[str, CallbackConfig] = default_part("callbacks")
    """What happens beside the training loop, by option name: checkpoints, early stopping, progress."""

    logger: dict[str, LoggerConfig] = default_part("logger")
    """Where metrics go, by option name."""

    seed_params: SeedParams = dataclasses.field(default_factory=SeedParams)
    """Where the run's randomness starts."""

    run_directory: RunDirectoryConfig = dataclasses.field(default_factory=RunDirectoryConfig)
    """Where the run leaves what it produces."""

    checkpoint: NonEmptyText | None = None
    """The file whose weights `app test` measures; null for a run that trains its own."""

    @rule("task", "module", "datamodule")
    def parts_belong_to_the_task(self) -> Iterator[Finding]:
        """A part of another task would train on other data than the test set's, or fail on its shape."""
        for part, config in (("module", self.module), ("datamodule", self.datamodule)):
            option = option_of(config)
            owner = option.name.partition("/")[0] if option else self.task.name
            if owner != self.task.name:
                here = [name for name in options[part] if name.startswith(f"{self.task.name}/")]
                yield part, f"is of task {owner}, but the task is {self.task.name}; expected {one_of(here)}"

    @rule("task", "module", "callbacks", "scheduler_spec")
    def monitors_are_logged(self) -> Iterator[Finding]:
        """A monitor that nothing logs stops a run only after its first epoch, or never takes effect."""
        logged = {**self.task.logged_metrics(), **self.module.logged_metrics()}
        in_fit = {name: mode for name, mode in logged.items() if not name.startswith("test/")}
        for path, part in self._monitoring():
            monitor, mode = getattr(part, "monitor", None), getattr(part, "mode", None)
            if monitor is None or (part is not self.task and monitor == self.task.monitor not in in_fit):
                continue  # nothing is watched, or the task's wrong monitor is, which is reported once
            if monitor not in in_fit:
                meant = did_you_mean(monitor, in_fit) or f"; logged: {', '.join(in_fit)}"
                yield f"{path}.monitor", f"nothing logs '{monitor}' during training{meant}"
            elif mode in ("min", "max") and mode != in_fit[monitor]:
                better = "smaller" if in_fit[monitor] == "min" else "larger"
                right = in_fit[monitor]
                yield f"{path}.mode", f"{monitor} is better the {better} it is: expected '{right}', found '{mode}'"

    @rule(
        "trainer.limit_val_batches",
        "trainer.check_val_every_n_epoch",
        "trainer.max_epochs",
        "callbacks",
        "scheduler_spec",
    )
    def monitored_validation_runs(self) -> Iterator[Finding]:
        """What is watched on the validation split exists only if that is looked at in time."""
        trainer = self.trainer
        every = trainer.check_val_every_n_epoch or 1
        if trainer.limit_val_batches == 0:
            why = "trainer.limit_val_batches is 0"
            instead = "trainer.limit_val_batches=null"
        elif 0 < trainer.max_epochs < every:
            why = f"trainer.check_val_every_n_epoch is {every}, of {trainer.max_epochs} epochs"
            instead = "trainer.check_val_every_n_epoch=1"
        else:
            return
        for path, part in self._monitoring():
            monitor = str(getattr(part, "monitor", None))
            if monitor.startswith("val/") and (part is self.task or monitor != self.task.monitor):
                found = f"watches the validation split, which never runs: {why}"
                yield f"{path}.monitor", f"{found}; type {instead} or {path}.monitor=train/loss"

    @rule("callbacks", "logger", "trainer")
    def callbacks_and_loggers_suit_the_trainer(self) -> Iterator[Finding]:
        """Lightning refuses these combinations once the Trainer is made."""
        yield from clashes(self.callbacks, self.trainer, has_logger=bool(self.logger))
        if self.trainer.barebones and self.logger:
            yield "logger", "is not allowed with trainer.barebones=true; choose logger=[]"

    @rule("scheduler_spec", "optimizer_spec")
    def scheduler_suits_optimizer(self) -> Iterator[Finding]:
        """What a scheduler changes has to be there, and what it sets must not undo the optimizer's own settings."""
        if self.scheduler_spec is not None:
            yield from scheduler_fits_optimizer(self.scheduler_spec, self.optimizer_spec)

    @rule("optimizer_spec", "trainer.gradient_clip_val", "trainer.precision")
    def gradients_can_be_clipped(self) -> Iterator[Finding]:
        """A fused optimizer unscales mixed precision's gradients within its step, where Lightning cannot clip them."""
        mixed = self.trainer.precision.endswith("-mixed")
        if mixed and self.trainer.gradient_clip_val and getattr(self.optimizer_spec, "fused", None):
            found = f"true leaves no gradients to clip with trainer.precision={self.trainer.precision}"
            yield "optimizer_spec.fused", f"{found}; expected false or null, or trainer.gradient_clip_val=null"

    @rule("callbacks", "optimizer_spec")
    def logged_weight_decay_is_there(self) -> Iterator[Finding]:
        """Lightning looks it up in every parameter group, and stops where there is none."""
        for name, callback in self.callbacks.items():
            shown = isinstance(callback, LearningRateMonitorConfig) and callback.log_weight_decay
            if shown and not hasattr(self.optimizer_spec, "weight_decay"):
                found = f"true needs an optimizer with weight_decay, which {type(self.optimizer_spec).__name__} has not"
                yield f"callbacks.{name}.log_weight_decay", f"{found}; expected false"

    @rule("scheduler_spec", "trainer.check_val_every_n_epoch")
    def plateau_is_seen_when_looked_for(self) -> Iterator[Finding]:
        """Lightning stops a run whose scheduler looks for a validation metric in an epoch without validation."""
        spec, every = self.scheduler_spec, self.trainer.check_val_every_n_epoch or 1
        if isinstance(spec, ReduceLROnPlateauSpec) and str(spec.monitor).startswith("val/") and spec.frequency % every:
            found = f"looks every {spec.frequency} epochs for what is validated every {every}"
            yield "scheduler_spec.frequency", f"{found}; expected a multiple of {every}"

    @rule("optimizer_spec", "trainer.accelerator")
    def optimizer_runs_on_the_accelerator(self) -> Iterator[Finding]:
        """Torch refuses this only at the first step."""
        if getattr(self.optimizer_spec, "capturable", False) and self.trainer.accelerator in ("cpu", "mps"):
            found = f"is for GPUs that replay graphs, but trainer.accelerator is '{self.trainer.accelerator}'"
            yield "optimizer_spec.capturable", f"{found}; expected false"

    @rule("scheduler_spec", "trainer.max_epochs", "trainer.max_steps")
    def cosine_lasts_as_long_as_the_training(self) -> Iterator[Finding]:
        """Past `T_max` the cosine rises again: the last epochs would undo the annealing."""
        spec = self.scheduler_spec
        if not isinstance(spec, CosineAnnealingLRSpec):
            return
        unit, length = (
            ("epoch", self.trainer.max_epochs) if spec.interval == "epoch" else ("step", self.trainer.max_steps)
        )
        if unit == "step" and length == -1 and 0 < spec.T_max * spec.frequency <= self.trainer.max_epochs:
            found = f"counts optimizer steps with interval=step, found {spec.T_max}, no more than there are epochs"
            yield "scheduler_spec.T_max", f"{found}; expected the steps of the whole run, or interval=epoch"
        elif length > 0 and spec.T_max * spec.frequency < length:
            end = f"ends after {spec.T_max * spec.frequency} {unit}s of {length}, and the rate would rise again"
            yield "scheduler_spec.T_max", f"{end}; expected at least {-(-length // spec.frequency)}"

    def _monitoring(self) -> Iterator[tuple[str, object]]:
        yield "task", self.task
        yield from ((f"callbacks.{name}", callback) for name, callback in self.callbacks.items())
        if self.scheduler_spec is not None:
            yield "scheduler_spec", self.scheduler_spec


def root_node() -> DictConfig:
    """What composing starts from: the defaults list, the parts that have no options, and Hydra's own settings."""
    defaults = ["_self_", *({group: name} for group, name in DEFAULT_OPTIONS.items()), {"experiment": None}]
    tree: dict[str, Any] = {"defaults": defaults}
    for name, annotation in field_types(RunConfig).items():
        if name in DEFAULT_OPTIONS:
            tree[name] = {} if groups[name].several else None if DEFAULT_OPTIONS[name] is None else MISSING
        elif is_schema(annotation):
            tree[name] = to_plain(annotation())
            del tree[name]["_target_"]  # the field says which schema it is
        else:
            tree[name] = None
    return OmegaConf.create(tree)
