"""One config tried out: its module is made, trained for two batches, validated and tested, all without data."""

import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from app.builders.callbacks import build_callbacks
from app.builders.run import build_module
from app.losses.joint import JointLoss
from app.models.named_parameters import abbreviated
from app.schemas.callbacks import FreezeConfig, StochasticWeightAveragingConfig
from app.schemas.codes import Code
from app.schemas.problems import Problem, dotted
from app.schemas.run import RunConfig
from app.schemas.task_fit import of_the_task
from app.shapes.batches import DeclaredBatches
from app.shapes.blame import ClassCountError, path_of_part, problems_of
from app.shapes.fake import Values
from app.shapes.measure import Meter, bytes_of, parts_of, state_bytes
from app.shapes.real_metrics import real_metrics
from app.shapes.report import ShapeReport
from app.shapes.trainer import Steps, trial_trainer
from app.shapes.watch import Watch
from app.tasks.shared.module import BaseModule

_T = TypeVar("_T")

_SMALL: Final = 50_000_000
"""Parameters up to which a module is tried with real values too."""

_CERTAIN: Final = frozenset((Code.UNTRAINED, Code.NORMALIZED_TWICE))
"""What does not depend on values."""


def shape_report(config: RunConfig) -> ShapeReport:
    """What a training step of the config takes, and what goes wrong in a step of any kind.

    A small module in which something goes wrong is tried once more with real values: it may only be that it looks at
    them, as by `.item()`, or that torch knows no fake way for what it does.
    """
    report = _Trial(config, Values()).report()
    if not report.problems or all(problem.code in _CERTAIN for problem in report.problems):
        return report
    if report.parameters > _SMALL:
        return report
    real = _Trial(config, Values(fake=False)).report()
    failing = {problem.path for problem in real.problems}
    kept = [each for each in report.problems if each.path in failing and each.code is not Code.UNCHECKED]
    known = {problem.path for problem in kept}
    problems = (*kept, *(problem for problem in real.problems if problem.path not in known))
    return replace(report if report.flops else real, problems=problems)


class _Trial:
    """A module on its way through its steps."""

    def __init__(self, config: RunConfig, values: Values) -> None:
        self.config = config
        self.values = values
        self.watch: Watch | None = None
        self.meter: Meter | None = None
        self.problems: dict[tuple[Code, str], Problem] = {}
        self.trained: dict[str, nn.Parameter] = {}
        """The parameters that may change in the first epoch."""

        self.reached: set[int] = set()
        """Those of them that got a gradient, by id."""

        self.with_loss = False
        """Whether a training step gave a loss."""

    def report(self) -> ShapeReport:
        """Try everything."""
        config = _for_a_glance(self.config)
        optimizers: list[torch.optim.Optimizer] = []
        with _silence(), tempfile.TemporaryDirectory() as folder:
            trainer = self._made(
                "making the trainer",
                lambda: trial_trainer(config, [Steps(self), *_freezing(config)], Path(folder)),
            )
            with real_metrics(self.values, self._measuring), self.values.without_values():
                module = self._made("making the module", lambda: build_module(config))
                if module is not None and trainer is not None and self._has_a_model(module):
                    self.watch, self.meter = Watch(module, self.values), Meter(module)
                    self._take_steps(trainer, module, config)
                    optimizers = list(trainer.optimizers)
            return self._summed_up(module, optimizers)

    def add(self, code: Code, path: str, message: str) -> None:
        """Note a problem, unless this one is known already from another step."""
        self.problems.setdefault((code, path), Problem(code=code, path=path, message=message))

    def begin(self, phase: str, batch_idx: int) -> None:
        """A batch begins, the first of a phase as large as the run's."""
        assert self.watch is not None, "there is a module by now"
        self.watch.begin(phase, "full" if batch_idx == 0 else "few")

    def begin_training(self, trained: dict[str, nn.Parameter]) -> None:
        """The batch begins that is measured."""
        assert self.meter is not None, "there is a module by now"
        self.trained = trained
        for parameter in trained.values():
            # Some modules forget the gradients before the step has ended.
            cast(Any, parameter).register_post_accumulate_grad_hook(self._reach)
        self.meter.start()

    def end_training(self, *, with_loss: bool) -> None:
        """A training batch has ended."""
        assert self.meter is not None, "there is a module by now"
        self.with_loss |= with_loss
        self.meter.stop()
        for parameter in self.trained.values():
            if parameter.grad is not None:
                self._reach(parameter)

    def _reach(self, parameter: Tensor) -> None:
        self.reached.add(id(parameter))

    def _has_a_model(self, module: LightningModule) -> bool:
        model = getattr(module, "model", None)
        if not isinstance(module, BaseModule) or isinstance(model, nn.Module):
            return True
        found = "nothing" if model is None else type(model).__name__
        self.add(Code.STEP_FAILS, "module", f"initialize_model must return an nn.Module, found {found}")
        return False

    def _take_steps(self, trainer: Trainer, module: LightningModule, config: RunConfig) -> None:
        assert self.watch is not None, "there is a module by now"
        datamodule = self._made(
            "declaring a batch", lambda: DeclaredBatches(config.datamodule, config.task, self.values)
        )
        if datamodule is None:
            return
        for name in config.datamodule.target_keys():
            if name not in datamodule.declared.targets:
                found = f"{type(config.datamodule).__name__}.batch does not say what the target '{name}' looks like"
                self.add(Code.UNCHECKED, "datamodule", found)
        joint_loss = getattr(module, "joint_loss", None)
        terms = {tag: joint_loss[tag] for tag in joint_loss} if isinstance(joint_loss, JointLoss) else {}
        if hasattr(module, "step_outputs"):
            cast(Any, module).step_outputs = self._counted(cast(Any, module).step_outputs)
        with self.watch.watching(terms):
            trained = False
            with self._noting("the training step"):
                trainer.fit(module, datamodule=datamodule)
                trained = True
            if trained:
                self._judge_training(trainer)
            trainer.limit_val_batches = 2
            for step, run in {"validation": trainer.validate, "test": trainer.test}.items():
                if is_overridden(f"{step}_step", module):
                    with self._noting(f"the {step} step"):
                        run(module, datamodule=datamodule, verbose=False)
        for tag, what in self.watch.normalized_twice.items():
            self.add(
                Code.NORMALIZED_TWICE,
                f"joint_loss.losses.{tag}" if tag else "module",
                f"{'' if tag else 'a loss '}is given what {what} has normalised already;"
                " it takes scores as they are, so leave that out",
            )

    def _counted(self, plain: Any) -> Any:
        """The outputs of a step, once the model's scores were found to have a place for each of the task's classes."""
        task = self.config.task
        computed = (
            *self.config.joint_loss.losses.values(),
            *task.fixed_metrics().values(),
            *self.config.metrics.values(),
        )

        def step_outputs(*args: Any, **kwargs: Any) -> Any:
            outputs = plain(*args, **kwargs)
            logits = outputs.get("logits")
            if task.kind != "binary" and isinstance(logits, Tensor) and any(map(of_the_task, computed)):
                found = logits.shape[1] if logits.ndim > 1 else 1
                if found != task.num_classes:
                    right = (logits.shape[0], task.num_classes, *logits.shape[2:])
                    raise ClassCountError(
                        f"its model scores {found} classes, logits {tuple(logits.shape)}; expected"
                        f" {task.num_classes}, as the task has: {right}"
                    )
            return outputs

        return step_outputs

    def _judge_training(self, trainer: Trainer) -> None:
        """What the step left untrained without failing."""
        if not self.with_loss:
            message = "training_step returned nothing, so that nothing is trained; expected the loss"
            self.add(Code.UNTRAINED, "module", message)
            return
        names = ["optimizer_spec", *(f"{dotted(('optimizers', name))}" for name in self.config.optimizers)]
        mine = len(names) == len(trainer.optimizers)
        covered: set[int] = set()
        for place, optimizer in enumerate(trainer.optimizers):
            own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            covered |= set(map(id, own))
            if not any(parameter.requires_grad for parameter in own):
                self.add(Code.UNTRAINED, names[place] if mine else "module", "covers no parameter that is trained")
        outside = [name for name, parameter in self.trained.items() if id(parameter) not in covered]
        if outside:
            self.add(Code.UNTRAINED, "module", f"no optimizer trains {abbreviated(outside)}")
        left = [
            name
            for name, parameter in self.trained.items()
            if id(parameter) in covered and id(parameter) not in self.reached
        ]
        for path, parts in _by_path(left, self.config).items():
            message = (
                f"{abbreviated(parts)} get no gradient: no loss depends on them"
                if len(parts) > 1
                else (f"{abbreviated(parts)} gets no gradient: no loss depends on it")
            )
            self.add(Code.UNTRAINED, path, f"{message}; freeze or leave out what is not to be trained")
        for name, callback in self.config.callbacks.items():
            rates = callback.swa_lrs if isinstance(callback, StochasticWeightAveragingConfig) else 0.0
            groups = trainer.optimizers[0].param_groups
            if isinstance(rates, tuple) and len(rates) != len(groups):
                listed = ", ".join(group.get("name", "all parameters") for group in groups)
                message = f"needs one value for each parameter group ({listed}): expected {len(groups)}"
                self.add(Code.STEP_FAILS, f"callbacks.{name}.swa_lrs", f"{message}, found {len(rates)}")

    def _summed_up(self, module: LightningModule | None, optimizers: Sequence[torch.optim.Optimizer]) -> ShapeReport:
        problems = tuple(self.problems.values())
        if module is None or self.watch is None or self.meter is None:
            return ShapeReport(precision=self.config.trainer.precision, problems=problems)
        parameters = list(module.parameters())
        return ShapeReport(
            parameters=sum(parameter.numel() for parameter in parameters),
            trainable=sum(parameter.numel() for parameter in self.trained.values()),
            flops=self.meter.flops,
            batch_size=self.config.datamodule.dataloader.batch_size,
            precision=self.config.trainer.precision,
            parameter_bytes=bytes_of(parameters),
            gradient_bytes=bytes_of(one for one in parameters if id(one) in self.reached),
            optimizer_bytes=state_bytes(optimizers),
            activation_bytes=self.meter.activation_bytes,
            parts=tuple(parts_of(module, self.watch.outputs)),
            problems=problems,
        )

    def _measuring(self) -> bool:
        return self.watch is not None and self.watch.measuring()

    def _made(self, doing: str, make: Callable[[], _T]) -> _T | None:
        """What `make` gives, unless it fails."""
        made: list[_T] = []
        with self._noting(doing):
            made.append(make())
        return made[0] if made else None

    @contextmanager
    def _noting(self, doing: str) -> Iterator[None]:
        """Turn what is raised into problems, whatever it is."""
        try:
            yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # a module may even call sys.exit
            for problem in problems_of(error, doing, self.config, self.watch):
                self.add(problem.code, problem.path, problem.message)
        finally:
            if self.meter is not None:
                self.meter.stop()


@contextmanager
def _silence() -> Iterator[None]:
    """Keep to themselves what Lightning tells of a run, and torch of an error that is reported anyway."""
    loggers = [
        logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "app", "torch._subclasses")
    ]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)


def _freezing(config: RunConfig) -> list[Callback]:
    frozen = {name: callback for name, callback in config.callbacks.items() if isinstance(callback, FreezeConfig)}
    return build_callbacks(frozen, run_directory=cast(Any, None))


def _for_a_glance(config: RunConfig) -> RunConfig:
    """The config for two batches, in which every optimizer steps."""
    optimizers = {name: replace(spec, every_n_steps=1) for name, spec in config.optimizers.items()}
    return replace(config, optimizers=optimizers)


def _by_path(names: Sequence[str], config: RunConfig) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        inner = name.removeprefix("model")
        found.setdefault(path_of_part(inner, config) if inner != name else "module", []).append(inner)
    return found
