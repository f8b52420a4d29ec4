"""`RunConfig`: everything that one run is made of, the options it starts from, and the rules that span its parts."""

import dataclasses
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final, cast

from app.schemas.callbacks import CallbackConfig, LearningRateMonitorConfig
from app.schemas.checkpoint import LoadCheckpointConfig
from app.schemas.clashes import clashes, clashes_with_several_optimizers
from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText
from app.schemas.datamodule import DataModuleConfig
from app.schemas.export import ENDINGS, ExportConfig, format_of, missing_packages
from app.schemas.find_lr import FindLRConfig
from app.schemas.lengths import ends_too_early, happens_beyond, never_validated, scheduled_beyond, validated_beyond
from app.schemas.loggers import LoggerConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.optimization import (
    NamedOptimizerSpec,
    optimizer_parts,
    optimizers_fit_together,
    optimizers_fit_trainer,
)
from app.schemas.optimizers import OptimizerSpec
from app.schemas.outputs import OutputMapping
from app.schemas.phases import PHASES, Mode, log_prefix
from app.schemas.plain import to_plain
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import ConfigError, Path, did_you_mean, dotted
from app.schemas.registry import Group, groups, option_of, options
from app.schemas.resolution import resolve
from app.schemas.rules import Finding, remark, rule
from app.schemas.schedulers import (
    ReduceLROnPlateauSpec,
    SchedulerSpec,
    scheduler_fits_optimizer,
)
from app.schemas.schema import is_schema, schema
from app.schemas.seed import SeedParams
from app.schemas.task import TaskConfig
from app.schemas.task_fit import OF_A_TASK, misfits, of_another_task, unfit_augmentations, unfit_scores
from app.schemas.trainer import TrainerConfig
from app.schemas.unused import num_workers, unused_by_callbacks, unused_by_scheduler, unused_loading, unused_losses
from app.schemas.user_paths import UserPath
from app.schemas.validation import check

DEFAULT_OPTIONS: Final[Mapping[str, str | list[str] | None]] = {
    "task": "digits",
    "module": "${task}/default",
    "datamodule": "${task}/default",
    "trainer": "default",
    "optimizer_spec": "adamw",
    "scheduler_spec": None,
    "metrics": [],
    "callbacks": ["checkpoint", "progress_bar", "model_summary"],
    "logger": ["csv"],
}
"""What is chosen where nobody chooses, by group; `${task}` stands for the task's name.

Groups that are not here are parts of parts, and start from what that part says: a module names its losses.
"""


def _default_part(group: str, chosen: Mapping[str, Any]) -> Any:
    name = DEFAULT_OPTIONS[group]
    if name is None:
        return None
    names = [option.replace("${task}", chosen["task"].name) for option in (name if isinstance(name, list) else [name])]
    parts = {option: _default_option(group, option, chosen) for option in names}
    return parts if groups[group].several else parts[names[0]]


def _default_option(group: str, name: str, chosen: Mapping[str, Any], **fields: object) -> Any:
    tree = {part: to_plain(config) for part, config in chosen.items() if is_schema(type(config))}
    resolved, faults = resolve({**tree, "default": {**options[group][name].tree, **fields}})
    assert not faults, "a default option interpolates the parts above it, which are there"
    return check(resolved["default"], groups[group].base)


def _default_joint_loss(chosen: Mapping[str, Any]) -> JointLossConfig:
    """The losses that the module names."""
    terms = chosen["module"].default_terms(chosen["task"].kind)
    return JointLossConfig(
        losses={tag: _default_option("loss", name, chosen, **fields) for tag, (name, fields) in terms.items()}
    )


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

    joint_loss: JointLossConfig = dataclasses.field(default_factory=cast(Any, _default_joint_loss))
    """What is minimised: named terms, each with a weight; the module's own choice at first."""

    metrics: dict[str, MetricConfig] = default_part("metrics")
    """What is measured beside the task's fixed metrics, by the name it is logged under."""

    trainer: TrainerConfig = default_part("trainer")
    """The arguments of Lightning's Trainer: length, hardware, precision, limits."""

    optimizer_spec: OptimizerSpec = default_part("optimizer_spec")
    """The optimizer, and the parameter groups that differ from the rest."""

    scheduler_spec: SchedulerSpec | None = default_part("scheduler_spec")
    """How the learning rate changes; null keeps it constant."""

    optimizers: dict[str, NamedOptimizerSpec] = dataclasses.field(default_factory=dict)
    """Further optimizers by name, each for parts of the model; the one above trains what they leave over."""

    callbacks: dict[str, CallbackConfig] = default_part("callbacks")
    """What happens beside the training loop, by option name: checkpoints, early stopping, progress."""

    logger: dict[str, LoggerConfig] = default_part("logger")
    """Where metrics go, by option name."""

    seed_params: SeedParams = dataclasses.field(default_factory=SeedParams)
    """Where the run's randomness starts."""

    run_directory: RunDirectoryConfig = dataclasses.field(default_factory=RunDirectoryConfig)
    """Where the run leaves what it produces."""

    load_checkpoint: LoadCheckpointConfig | None = None
    """Weights to start from instead of the initial ones, put together from one file or several."""

    resume_path: UserPath | None = None
    """A checkpoint, or a run's folder, to go on from exactly where it was saved; null starts anew."""

    checkpoint: UserPath | None = None
    """The checkpoint that `app test` measures and `app predict` uses; null for a run that trains its own."""

    model: UserPath | None = None
    """An exported model that takes the checkpoint's place: a file that `app export` wrote, `.onnx` or `.pt2`."""

    find_lr: FindLRConfig = dataclasses.field(default_factory=FindLRConfig)
    """The range that `app find-lr` searches."""

    predictions: PredictionsConfig = dataclasses.field(default_factory=PredictionsConfig)
    """What `app predict` writes."""

    export: ExportConfig = dataclasses.field(default_factory=ExportConfig)
    """What `app export` writes."""

    @rule("task", "module", "datamodule", settles=True)
    def parts_belong_to_the_task(self) -> Iterator[Finding]:
        """A part of another task would train on other data than the test set's, or fail on its shape."""
        for part in OF_A_TASK:
            if message := of_another_task(part, option_of(getattr(self, part)), self.task.name):
                yield part, message

    @rule("datamodule", "predictions.inputs")
    def inputs_can_be_read(self) -> Iterator[Finding]:
        """A task's datamodule knows what kinds of file hold its samples."""
        for path, message in self.predictions.unread_inputs(self.datamodule.input_endings):
            yield ("predictions", *((path,) if isinstance(path, str) else path)), message

    @rule("module", "datamodule")
    def targets_are_declared(self) -> Iterator[Finding]:
        """A model that looks at its targets in training needs them in the batch."""
        there = self.datamodule.target_keys()
        for name in self.module.model_targets():
            if name not in there:
                fitting = [other for other, config in self._datamodules() if name in config.target_keys()]
                instead = f"; choose {' or '.join(f'datamodule={other}' for other in fitting)}" if fitting else ""
                meant = instead or did_you_mean(name, there) or f"; it has {', '.join(there)}"
                yield "module", f"its model needs the target '{name}', which no batch has{meant}"

    @rule("task", "module", "datamodule", "joint_loss", "metrics")
    def outputs_are_declared(self) -> Iterator[Finding]:
        """A loss or metric of an output that the module never puts out would fail at the first step."""
        there = (*self.module.output_keys(self.task.kind), *self.datamodule.target_keys())
        computed: list[tuple[Path, OutputMapping]] = [
            *((("joint_loss", "losses", tag), loss) for tag, loss in self.joint_loss.losses.items()),
            *((("metrics", name), metric) for name, metric in self.metrics.items()),
        ]
        for name, metric in self.task.fixed_metrics().items():
            for output in metric.output_of().values():
                if output not in there:
                    yield "module", f"puts out no '{output}', from which the task's {name} is computed"
        for path, config in computed:
            for argument, output in config.output_of().items():
                if output not in there:
                    meant = did_you_mean(output, there) or f"; there is {', '.join(there)}"
                    found = f"there is no output '{output}'{meant}"
                    yield (*path, "mapping", argument), found

    @rule("task", "module", "joint_loss", "metrics")
    def everything_fits_the_task(self) -> Iterator[Finding]:
        """What is computed from targets of another kind or number fails at the first batch, or measures nothing."""
        yield from misfits(self.task, self.module, self.joint_loss, self.metrics)

    @rule("task", "datamodule")
    def augmentations_fit_the_task(self) -> Iterator[Finding]:
        """A row of a table turned about its middle would be learnt from without a word."""
        yield from unfit_augmentations(self.task, self.datamodule)

    @rule("module", "datamodule")
    def scores_fit_the_target(self) -> Iterator[Finding]:
        """One score for an image has nothing to say of its pixels."""
        yield from unfit_scores(self.module, self.datamodule)

    @rule("task", "module", "joint_loss", "metrics")
    def names_are_logged_once(self) -> Iterator[Finding]:
        """Of two values under one name, one would be lost."""
        fixed = self.task.fixed_metrics()
        for name, metric in self.metrics.items():
            if name in fixed:
                another = f"metrics.<another name>={{id: {name}, …}}"
                yield ("metrics", name), f"is measured by the task already, in a fixed way; to add another: {another}"
                continue
            taken = {"loss", *self.joint_loss.losses, *(key for own, one in fixed.items() for key in one.results(own))}
            for result in metric.results(name):
                if result in taken:
                    yield ("metrics", name), f"would be logged as '{result}', like something else; give it another name"
        for tag in self.joint_loss.losses:
            if tag == "loss" or tag in fixed:
                yield ("joint_loss", "losses", tag), f"cannot be told from what else is logged as '{tag}'; rename it"

    @rule(
        "task",
        "module",
        "datamodule",
        "joint_loss",
        "metrics",
        "callbacks",
        "scheduler_spec",
        "optimizers",
        code=Code.MONITOR,
    )
    def monitors_are_logged(self) -> Iterator[Finding]:
        """A monitor that nothing logs stops a run only after its first epoch, or never takes effect."""
        in_fit = {name: mode for name, mode in self.logged_metrics().items() if not name.startswith("test/")}
        for path, part in self._monitoring():
            monitor, mode = getattr(part, "monitor", None), getattr(part, "mode", None)
            of_task = part is not self.task and monitor == self.task.monitor
            if monitor is None or (of_task and (monitor not in in_fit or mode == self.task.mode)):
                continue  # nothing is watched, or what is wrong with it is the task's, and reported there
            if monitor not in in_fit:
                meant = did_you_mean(monitor, in_fit) or f"; logged: {', '.join(in_fit)}"
                yield f"{path}.monitor", f"nothing logs '{monitor}' during training{meant}"
            elif in_fit[monitor] is not None and mode in ("min", "max") and mode != in_fit[monitor]:
                better = "smaller" if in_fit[monitor] == "min" else "larger"
                right = in_fit[monitor]
                yield f"{path}.mode", f"{monitor} is better the {better} it is: expected '{right}', found '{mode}'"

    @rule(
        "trainer.limit_val_batches",
        "trainer.check_val_every_n_epoch",
        "trainer.max_epochs",
        "callbacks",
        "scheduler_spec",
        "optimizers",
        code=Code.MONITOR,
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
        yield from self._watching_validation(why, instead)

    @rule(
        "trainer.val_check_interval",
        "trainer.max_steps",
        "trainer.max_epochs",
        "trainer.limit_train_batches",
        "trainer.overfit_batches",
        "trainer.accumulate_grad_batches",
        "trainer.fast_dev_run",
        "callbacks",
        "scheduler_spec",
        "optimizers",
        code=Code.MONITOR,
    )
    def monitored_validation_comes_in_time(self) -> Iterator[Finding]:
        """Counted in batches, the first validation may come after the last of them."""
        trainer = self.trainer
        in_epochs = trainer.limit_val_batches == 0 or 0 < trainer.max_epochs < (trainer.check_val_every_n_epoch or 1)
        if not in_epochs and (batches := never_validated(self.callbacks, trainer)):
            why = f"trainer.val_check_interval is {batches[0]}, of {batches[1]} batches"
            yield from self._watching_validation(why, f"trainer.val_check_interval={batches[1]}")

    def _watching_validation(self, why: str, instead: str) -> Iterator[Finding]:
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

    @rule("optimizer_spec", "optimizers", "joint_loss", "trainer", "callbacks")
    def optimizers_share_the_work(self) -> Iterator[Finding]:
        """Each parameter and each loss belongs to one optimizer, and the trainer must be able to step several."""
        yield from optimizers_fit_together(self.optimizer_spec, self.optimizers, self.joint_loss.tags("train"))
        yield from optimizers_fit_trainer(self.optimizers, self.trainer)
        if self.optimizers:
            yield from clashes_with_several_optimizers(self.callbacks)

    @rule("optimizer_spec", "trainer.gradient_clip_val", "trainer.precision")
    def gradients_can_be_clipped(self) -> Iterator[Finding]:
        """A fused optimizer unscales mixed precision's gradients within its step, where Lightning cannot clip them."""
        mixed = self.trainer.precision.endswith("-mixed")
        if mixed and self.trainer.gradient_clip_val and getattr(self.optimizer_spec, "fused", None):
            found = f"true leaves no gradients to clip with trainer.precision={self.trainer.precision}"
            yield "optimizer_spec.fused", f"{found}; expected false or null, or trainer.gradient_clip_val=null"

    @rule("callbacks", "optimizer_spec", "optimizers")
    def logged_weight_decay_is_there(self) -> Iterator[Finding]:
        """Lightning looks it up in every parameter group, and stops where there is none."""
        for name, callback in self.callbacks.items():
            if not isinstance(callback, LearningRateMonitorConfig) or not callback.log_weight_decay:
                continue
            for _, optimizer, _ in self._optimizer_parts():
                if not hasattr(optimizer, "weight_decay"):
                    found = f"true needs an optimizer with weight_decay, which {type(optimizer).__name__} has not"
                    yield f"callbacks.{name}.log_weight_decay", f"{found}; expected false"

    @rule("scheduler_spec", "optimizers", "trainer.check_val_every_n_epoch", code=Code.MONITOR)
    def plateau_is_seen_when_looked_for(self) -> Iterator[Finding]:
        """Lightning stops a run whose scheduler looks for a validation metric in an epoch without validation."""
        every = self.trainer.check_val_every_n_epoch or 1
        for path, _, spec in self._optimizer_parts():
            watched = isinstance(spec, ReduceLROnPlateauSpec) and str(spec.monitor).startswith("val/")
            if spec is not None and watched and spec.frequency % every:
                found = f"looks every {spec.frequency} epochs for what is validated every {every}"
                yield (*path, "scheduler_spec", "frequency"), f"{found}; expected a multiple of {every}"

    @rule("optimizer_spec", "optimizers", "trainer.accelerator")
    def optimizer_runs_on_the_accelerator(self) -> Iterator[Finding]:
        """Torch refuses this only at the first step."""
        for path, spec, _ in self._optimizer_parts():
            if getattr(spec, "capturable", False) and self.trainer.accelerator in ("cpu", "mps"):
                found = f"is for GPUs that replay graphs, but trainer.accelerator is '{self.trainer.accelerator}'"
                yield (*path, "optimizer_spec", "capturable"), f"{found}; expected false"

    @rule("scheduler_spec", "optimizers", "trainer.max_epochs", "trainer.max_steps", code=Code.SCHEDULE)
    def schedulers_last_as_long_as_the_training(self) -> Iterator[Finding]:
        """Past `T_max` the cosine rises again, which would undo the annealing; one_cycle stops the run at its end."""
        for path, _, spec in self._optimizer_parts():
            if spec is not None:
                yield from ends_too_early(spec, self.trainer, (*path, "scheduler_spec"))

    @remark(Code.SCHEDULE)
    def everything_happens_within_the_run(self) -> Iterator[Finding]:
        """What comes after the last epoch never takes effect."""
        for path, _, spec in self._optimizer_parts():
            if spec is not None:
                yield from scheduled_beyond(spec, self.trainer, (*path, "scheduler_spec"))
        yield from happens_beyond(self.callbacks, self.trainer)
        yield from validated_beyond(self.callbacks, self.trainer)
        steps = self.trainer.most_steps()
        for name, optimizer in self.optimizers.items():
            if steps and optimizer.every_n_steps > steps and not self.trainer.fast_dev_run:
                found = f"never steps: the run ends after {steps} steps, found {optimizer.every_n_steps}"
                yield ("optimizers", name, "every_n_steps"), found

    @remark(Code.UNSEEDED)
    def workers_are_seeded(self) -> Iterator[Finding]:
        """A worker starts from a copy of the process's generators, and from the same one as its neighbours."""
        if num_workers(self.datamodule) and not self.seed_params.workers:
            found = "false lets loader workers draw the same random numbers as each other"
            yield "seed_params.workers", f"{found}; expected true"

    @remark(Code.UNUSED)
    def fields_have_an_effect(self) -> Iterator[Finding]:
        """What another part leaves without a meaning."""
        yield from unused_losses(self.joint_loss, self.module)
        yield from unused_loading(self.datamodule, self.trainer)
        yield from unused_by_callbacks(self.callbacks, self.trainer, has_logger=bool(self.logger))
        for path, optimizer, scheduler in self._optimizer_parts():
            yield from unused_by_scheduler(optimizer, scheduler, path)
        if self.resume_path is not None:
            yield "load_checkpoint", "has no effect with resume_path, whose checkpoint holds all weights"

    @rule("joint_loss", "trainer.precision", "trainer.accelerator")
    def losses_run_in_mixed_precision(self) -> Iterator[Finding]:
        """Torch refuses this one on a GPU, at the first step."""
        if not self.trainer.precision.endswith("-mixed") or self.trainer.accelerator == "cpu":
            return
        for tag, loss in self.joint_loss.losses.items():
            if isinstance(loss, options["loss"]["bce"].schema):
                found = f"is refused by torch with trainer.precision={self.trainer.precision}"
                yield ("joint_loss", "losses", tag), f"{found}; expected bce_with_logits"

    @rule("find_lr.optimizer", "optimizers")
    def searched_optimizer_is_there(self) -> Iterator[Finding]:
        """A name that no optimizer has."""
        name = self.find_lr.optimizer
        if name is not None and name not in self.optimizers:
            hint = did_you_mean(name, self.optimizers) or f"; there is {', '.join(self.optimizers) or 'none'}"
            yield "find_lr.optimizer", f"no optimizer '{name}' in optimizers{hint}"

    @rule("predictions.outputs", "module")
    def predicted_outputs_are_there(self) -> Iterator[Finding]:
        """Asked for by another name, an output would be missed only once all is predicted."""
        there = ("class", *(name for name in self.module.output_keys(self.task.kind) if name != "input"))
        for place, name in enumerate(self.predictions.outputs or ()):
            if name not in there:
                meant = did_you_mean(name, there) or f"; there is {', '.join(there)}"
                yield ("predictions", "outputs", place), f"there is no output '{name}'{meant}"

    @rule("resume_path", "checkpoint", "model")
    def one_checkpoint_at_a_time(self) -> Iterator[Finding]:
        """A run either goes on from one or uses one."""
        if self.resume_path is not None and self.checkpoint is not None:
            yield "checkpoint", "is for `app test` and `app predict`, resume_path for training; set one of them"
        if self.model is not None:
            for other in ("checkpoint", "resume_path"):
                if getattr(self, other) is not None:
                    yield "model", f"is an exported model, which holds weights of its own; set it or {other}, not both"

    @rule("model")
    def model_is_exported(self) -> Iterator[Finding]:
        """A checkpoint given as a model would be met by a reader of other files."""
        if self.model is not None and format_of(self.model) is None:
            yield (
                "model",
                f"expected the file of an exported model, {' or '.join(ENDINGS.values())}, found {self.model!r}",
            )

    @rule("model", code=Code.ENVIRONMENT)
    def model_can_be_run(self) -> Iterator[Finding]:
        """Its runtime is no part of this project."""
        if self.model is not None and (missing := missing_packages(format_of(self.model))):
            yield "model", missing

    def logged_metrics(self) -> dict[str, Mode | None]:
        """Everything that the run logs of its splits, `<split>/<name>`, with the mode that suits it.

        It follows from the config alone, so a monitor that nothing logs can be refused before anything runs.
        """
        logged: dict[str, Mode | None] = {}
        for phase in PHASES:
            values: dict[str, Mode | None] = {}
            tags = self.joint_loss.tags(phase)
            if tags and (phase != "val" or self.module.compute_loss_on_valid):
                values |= dict.fromkeys(("loss", *(tags if len(tags) > 1 else ())), "min")
            for name, metric in {**self.task.fixed_metrics(), **self.metrics}.items():
                values |= metric.results(name) if phase in metric.phases else {}
            prefixes = [log_prefix(phase, name) for name in self.datamodule.dataset_names(phase) or [""]]
            logged |= {f"{prefix}/{name}": mode for prefix in prefixes for name, mode in values.items()}
        return {**logged, **self.module.logged_metrics()}

    def _optimizer_parts(self) -> Iterator[tuple[Path, OptimizerSpec, SchedulerSpec | None]]:
        return optimizer_parts(self.optimizer_spec, self.scheduler_spec, self.optimizers)

    def _datamodules(self) -> Iterator[tuple[str, DataModuleConfig]]:
        """The datamodules that the task has beside this one, by name, as they are before anything is set."""
        for name, option in options["datamodule"].items():
            if option.serves(self.task.name):
                try:
                    yield name, _default_option("datamodule", name, {"task": self.task})
                except ConfigError:
                    continue  # it has to be told something first

    def _monitoring(self) -> Iterator[tuple[str, object]]:
        yield "task", self.task
        yield from ((f"callbacks.{name}", callback) for name, callback in self.callbacks.items())
        for path, _, scheduler in self._optimizer_parts():
            if scheduler is not None:
                yield dotted((*path, "scheduler_spec")), scheduler


def groups_in_order() -> list[Group]:
    """The groups as a run's config has them, then those that are parts of parts."""
    inner = [group for group in groups.values() if group.name not in DEFAULT_OPTIONS]
    # Whichever of them was imported first.
    return [*(groups[name] for name in DEFAULT_OPTIONS), *sorted(inner, key=lambda group: group.path[:-1])]
