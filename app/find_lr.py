"""`app find-lr`: trains with rising learning rates and looks where the loss falls fastest (Smith, 2017).

The rates rise by the same factor from step to step. What follows `lr` in the config follows here: groups of parameters
with a rate of their own, and further optimizers, keep theirs. Schedulers rest.
"""

import csv
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from rich.console import Console

from app.builders.callbacks import build_callbacks
from app.builders.run import DONE_BY_THE_MODULE, build_datamodule, build_module
from app.builders.trainer import build_trainer, route_lightning_logging
from app.callbacks.finite_loss import FiniteLoss, NonFiniteLossError
from app.checkpoints.merging import load_into
from app.compose import Composed
from app.models.named_parameters import bare
from app.run_directory import value_sources, write_record
from app.running import refuse_a_used_folder, shown
from app.schemas.callbacks import FreezeConfig
from app.schemas.optimizers import OptimizerSpec
from app.schemas.problems import AppError
from app.schemas.run import RunConfig
from app.schemas.trainer import TrainerConfig

log = logging.getLogger(__name__)

TABLE: Final = "lr_find.csv"
PLOT: Final = "lr_find.png"

_KEPT: Final = (
    "accelerator",
    "precision",
    "deterministic",
    "benchmark",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "limit_train_batches",
    "overfit_batches",
    "detect_anomaly",
)
"""What the search takes over from the run's trainer: all that a step depends on."""

_FORGETTING: Final = 0.9
"""Share of the smoothed loss that each step keeps."""

_DIVERGED: Final = 4.0
"""How many times the best smoothed loss is reason enough to stop."""

_UNSETTLED: Final = round(1 / (1 - _FORGETTING))
"""Steps at the start over which the smoothed loss is an average of too few to tell a slope from noise."""

_MOST_UNSETTLED: Final = 5
"""Of a short search no more than one in so many steps is passed over."""

_FEWEST: Final = 5
"""Steps without which there is no slope to speak of."""


@dataclass(frozen=True, kw_only=True)
class RangeTest:
    """What the search has seen, step by step."""

    rates: tuple[float, ...]
    """Learning rates in rising order."""

    losses: tuple[float, ...]
    """The loss at each of them, before the step was taken."""

    override: str
    """The field of the config that was varied: `optimizer_spec.lr`."""

    @property
    def smoothed(self) -> tuple[float, ...]:
        """The losses as a running average that starts without a bias."""
        found: list[float] = []
        average = 0.0
        for count, loss in enumerate(self.losses, start=1):
            average = _FORGETTING * average + (1 - _FORGETTING) * loss
            found.append(average / (1 - _FORGETTING**count))
        return tuple(found)

    @property
    def suggestion(self) -> float:
        """Where the smoothed loss falls fastest on the way to its lowest point, to two digits.

        Raises:
            AppError: when the loss never falls, or there are too few steps to tell.
        """
        if len(self.losses) < _FEWEST:
            found = f"only {len(self.losses)} steps gave a finite loss, too few to see a slope"
            raise AppError(f"{found}; try another range, or more steps")
        start = min(_UNSETTLED, len(self.losses) // _MOST_UNSETTLED)
        smoothed = torch.tensor(self.smoothed)[start:]
        end = int(smoothed.argmin()) + 1
        if end == 1:
            searched = f"between {_short(self.rates[start])} and {_short(self.rates[-1])}"
            raise AppError(f"the loss fell at no learning rate {searched}; try another range, or more steps")
        slopes = torch.gradient(smoothed, spacing=(torch.tensor(self.rates[start:]).log(),))[0]
        return float(f"{self.rates[start + int(slopes[:end].argmin())]:.1e}")


def find_lr(composed: Composed, run_directory: str) -> float:
    """Search, leave a table and a plot in the run directory, and say what to type.

    Raises:
        AppError: when nothing can be found.
    """
    folder = Path(run_directory)
    refuse_a_used_folder(folder)
    test = range_test(composed.config, folder)
    sources = value_sources(composed.config, composed.sources)
    write_record(folder, composed.config, overrides=composed.overrides, sources=sources)
    _write_table(test, folder / TABLE)
    found = test.suggestion
    drawn = _draw(test, found, folder / PLOT)
    console = Console()
    console.print(f"the loss falls fastest at a learning rate of {_short(found)}; to train with it, type")
    console.print(f"  {test.override}={_short(found)}", soft_wrap=True, highlight=False)
    console.print(f"all rates that were tried: {shown(folder / (PLOT if drawn else TABLE))}", soft_wrap=True)
    return found


def range_test(config: RunConfig, folder: Path) -> RangeTest:
    """Train once with the rising learning rates of `config.find_lr`, on one device, leaving no files.

    The training ends early when it diverges.

    Raises:
        AppError: when nothing in the config follows the learning rate.
    """
    search = config.find_lr
    optimizer, steps = search.optimizer, search.steps
    further = {name: replace(spec, scheduler_spec=None) for name, spec in config.optimizers.items()}
    config = replace(config, scheduler_spec=None, optimizers=further)
    spec = config.optimizer_spec if optimizer is None else config.optimizers[optimizer].optimizer_spec
    place = 0 if optimizer is None else list(config.optimizers).index(optimizer) + 1
    where = "optimizer_spec.lr" if optimizer is None else f"optimizers.{optimizer}.optimizer_spec.lr"
    rising = RisingRates(
        spec,
        place,
        where,
        [search.smallest * (search.largest / search.smallest) ** (n / (steps - 1)) for n in range(steps)],
    )

    route_lightning_logging()
    seed_everything(config.seed_params.seed, workers=config.seed_params.workers, verbose=False)
    freezing = {name: each for name, each in config.callbacks.items() if isinstance(each, FreezeConfig)}
    trainer = build_trainer(
        _trainer_config(config.trainer, steps),
        without=frozenset(DONE_BY_THE_MODULE if config.optimizers else ()),
        callbacks=[*build_callbacks(freezing, run_directory=folder), rising, FiniteLoss()],
        loggers=[],
        run_directory=folder,
    )
    module = build_module(config)
    if config.load_checkpoint is not None:
        load_into(cast(Any, module).model, config.load_checkpoint)
    try:
        trainer.fit(model=module, datamodule=build_datamodule(config))
    except NonFiniteLossError:
        log.info("the search ends at a learning rate of %s: the loss is no number any more", _short(rising.rate))
    finite = [math.isfinite(loss) for loss in rising.losses]
    count = finite.index(False) if False in finite else len(finite)
    return RangeTest(rates=tuple(rising.rates[:count]), losses=tuple(rising.losses[:count]), override=where)


class RisingRates(Callback):
    """Gives each step of one optimizer the next learning rate, and writes down the loss.

    Args:
        spec: The optimizer's config.
        place: Its place among the trainer's optimizers.
        where: The learning rate's path in the run's config, for messages.
        rates: The learning rates, one for each step.
    """

    def __init__(self, spec: OptimizerSpec, place: int, where: str, rates: Sequence[float]) -> None:
        self.rates = list(rates)
        self.losses: list[float] = []
        self._spec, self._place, self._where = spec, place, where
        self._following: list[tuple[dict[str, Any], float]] = []
        self._window: list[float] = []
        self._average, self._best = 0.0, math.inf

    @property
    def rate(self) -> float:
        """The learning rate of the step under way."""
        return self.rates[min(len(self.losses), len(self.rates) - 1)]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Find the groups whose learning rate follows the optimizer's."""
        own = {bare(path) or "." for path, part in self._spec.params.items() if part.lr is not None}
        groups = trainer.optimizers[self._place].param_groups
        follow = [group for group in groups if str(group.get("name")).partition("/")[0] not in own]
        if not follow:
            raise AppError(f"{self._where} has no effect: every part of the model has a learning rate of its own")
        self._following = [(group, group["lr"] / self._spec.lr) for group in follow]

    def on_train_batch_start(self, *_: Any) -> None:
        """Set the step's learning rate."""
        for group, factor in self._following:
            group["lr"] = self.rate * factor

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:  # noqa: ARG002  # Lightning's signature
        """Write down the loss once the step is complete, and stop when it has grown beyond hope."""
        self._window.append(float(outputs["loss"]) * trainer.accumulate_grad_batches)
        if trainer.global_step <= len(self.losses):
            return
        loss = sum(self._window) / len(self._window)
        self._window.clear()
        self.losses.append(loss)
        self._average = _FORGETTING * self._average + (1 - _FORGETTING) * loss
        smoothed = self._average / (1 - _FORGETTING ** len(self.losses))
        self._best = min(self._best, smoothed)
        if not math.isfinite(loss) or (len(self.losses) > _FEWEST and smoothed > _DIVERGED * abs(self._best)):
            trainer.should_stop = True


def _trainer_config(config: TrainerConfig, steps: int) -> TrainerConfig:
    kept: dict[str, Any] = {name: getattr(config, name) for name in _KEPT}
    return TrainerConfig(
        **kept,
        max_epochs=-1,
        max_steps=steps,
        limit_val_batches=None if config.overfit_batches else 0,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _write_table(test: RangeTest, file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["lr", "loss", "smoothed_loss"])
        writer.writerows(zip(test.rates, test.losses, test.smoothed, strict=True))


def _draw(test: RangeTest, found: float, file: Path) -> bool:
    """The losses over the learning rates, as a picture; whether it could be drawn."""
    if find_spec("matplotlib") is None:
        log.warning("no plot is drawn, as matplotlib is not installed (pip install matplotlib); see %s", TABLE)
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.plot(test.rates, test.losses, color="0.8", label="loss")
    axes.plot(test.rates, test.smoothed, color="tab:blue", label="smoothed")
    axes.axvline(found, color="tab:red", linestyle="--", label=f"{test.override}={_short(found)}")
    axes.set_xscale("log")
    axes.set_xlabel(test.override)
    axes.set_ylabel("train/loss")
    axes.set_ylim(top=max(test.smoothed) * 1.1)
    axes.legend()
    figure.savefig(file, dpi=150)
    return True


def _short(rate: float) -> str:
    """A learning rate as one types it: `3.2e-3`."""
    digits, _, exponent = f"{rate:.1e}".partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"
