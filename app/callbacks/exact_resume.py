"""`ExactResume`: a run that goes on from a checkpoint ends with the weights of one that was never interrupted.

Lightning stores weights, optimizers, schedulers and counters. What it leaves out is stored here: the random generators,
the gradients of an accumulation that was under way, the epoch's metrics so far, and what monitors have seen. Lightning
also does not know where between two batches a checkpoint was saved, and skips a validation, a scheduler's step or the
end of an epoch, or does them twice. So a resumed epoch is entered here at the very hook in which it was left.
"""

import random
import warnings
from collections.abc import Mapping
from copy import deepcopy
from functools import partial
from typing import Any, Final, Literal, Protocol, cast, runtime_checkable

import numpy as np
import torch
from lightning.fabric.utilities.data import _set_sampler_epoch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, GradientAccumulationScheduler, Timer
from lightning.pytorch.loops.fetchers import _DataFetcher
from lightning.pytorch.loops.fit_loop import RestartStage
from lightning.pytorch.loops.loop import _Loop
from torch import Tensor

KEY: Final = "exact_resume"
"""Where in a checkpoint the state stands."""

Moment = Literal["within_batch", "batch_end", "validation_end", "epoch_end", "between_epochs"]
"""Where in the course of training a checkpoint was saved."""

_BESIDE_THE_POINT: Final = (
    # The data goes on in the right place without the loader's help.
    "You're resuming from a checkpoint that ended before the epoch ended",
    # After the optimizer's step is where weights, optimizer and counters agree.
    "Using ModelCheckpoint with manual optimization and every_n_train_steps",
)


@runtime_checkable
class EpochMetrics(Protocol):
    """What gathers values over an epoch and can say what it has so far."""

    split: str

    def state(self) -> dict[str, Any]:
        """What was gathered, as tensors and plain containers."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""


@runtime_checkable
class StartsWithin(Protocol):
    """A sampler that can begin inside an epoch."""

    def start_at(self, position: int) -> None:
        """Make the next iteration begin after so many samples."""


class ExactResume(Callback):
    """Makes resuming exact: on a CPU, to the last bit.

    Checkpoints can be saved at a batch's end, by number or time, within an accumulation, after a validation, at an
    epoch's end or after the run. Data of a loader whose sampler has no `start_at` is read up to the place where the
    run was, and thrown away. A checkpoint saved in the middle of a batch, by `save_on_exception`, goes on with that
    batch, but not with the random numbers it was begun with. Values that a module logs over an epoch by
    `self.log(on_epoch=True)` within steps count from the resume on. Lightning's stochastic weight averaging is begun
    at the start of epochs: within the first epoch that it averages resuming is not exact, and within the extra one that
    it adds for batch normalisation not possible.

    It should be the last of the callbacks, so that what others do at the start leaves the random generators alone.
    """

    def __init__(self) -> None:
        self._resumed: dict[str, Any] | None = None
        self._progress: dict[str, Any] = {}
        self._max_steps: int | None = None
        self._is_last_step = False
        self._validated = False
        self._random_before_validation: dict[str, Any] | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Silence warnings about what does not hold here."""
        for message in _BESIDE_THE_POINT:
            warnings.filterwarnings("ignore", message)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """Keep what a validation that is broken off has to be begun with again."""
        self._validated = False
        self._random_before_validation = random_state()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002  # Lightning's signature
        """From here on a checkpoint is one after validation."""
        self._validated = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning leaves out."""
        moment = self._moment(trainer)
        validating = trainer.validating and moment == "batch_end"
        own = {
            "random": self._random_before_validation if validating else random_state(),
            "gradients": _gradients(trainer, pl_module),
            "metrics": {name: part.state() for name, part in _train_metrics(pl_module).items()},
        }
        checkpoint[KEY] = {
            "moment": moment,
            "num_batches": trainer.num_training_batches,
            "should_stop": trainer.should_stop and not _is_out_of_time(trainer),
            "callback_metrics": {name: value.detach().clone() for name, value in trainer.callback_metrics.items()},
            "processes": _gathered(trainer, own),
        }

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002  # Lightning's signature
        """Keep the state for the start of training."""
        state = checkpoint.get(KEY)
        if state is None:
            return
        progress = checkpoint["loops"]["fit_loop"]
        batches = progress["epoch_loop.batch_progress"]
        max_steps = trainer.fit_loop.epoch_loop.max_steps
        self._is_last_step = 0 <= max_steps <= checkpoint["global_step"]
        is_over = self._is_last_step or _stops(trainer, state)
        is_cut_short = not batches["is_last_batch"] and 0 < batches["current"]["ready"] < state["num_batches"]
        if state["moment"] in ("epoch_end", "between_epochs") and is_cut_short and not is_over:
            # A limit ended the epoch early; now that there is to be more, the epoch's rest comes first.
            state = {**state, "moment": "within_batch"}
            _reopen(progress["epoch_progress"])
        self._resumed, self._progress, self._max_steps = state, deepcopy(progress), None
        if state["moment"] != "between_epochs":
            # Lightning would not begin with what has no batch left, and so leave out what comes after the last one.
            self._max_steps, trainer.fit_loop.epoch_loop.max_steps = max_steps, -1
            if state["moment"] == "epoch_end":
                _reopen(progress["epoch_progress"])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Put every counter where it was, and prepare the epoch to go on."""
        state, self._resumed = self._resumed, None
        if state is None:
            return
        loop = trainer.fit_loop
        if self._max_steps is not None:
            loop.epoch_loop.max_steps = self._max_steps
        self._restore(trainer, pl_module, state)
        if state["moment"] in ("epoch_end", "between_epochs"):
            return
        cast(Any, loop.epoch_loop).run = partial(_go_on, trainer, pl_module, state)
        if self._is_last_step:
            loop.advance()
            loop.on_advance_end()
            loop.on_iteration_done()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Leave a run that was over when it was saved as it was."""
        state, self._resumed = self._resumed, None
        if state is not None:
            self._restore(trainer, pl_module, state)

    def _restore(self, trainer: Trainer, pl_module: LightningModule, state: dict[str, Any]) -> None:
        _Loop.restarting.fset(trainer.fit_loop, False)  # type: ignore[attr-defined]  # the base's: the loop's own has conditions
        _restore_counters(trainer.fit_loop, self._progress)
        metrics = {name: value.to(pl_module.device) for name, value in state["callback_metrics"].items()}
        trainer._logger_connector._callback_metrics.update(metrics)
        if state["moment"] in ("epoch_end", "between_epochs"):
            _finish_epoch(trainer, is_pending=state["moment"] == "epoch_end")
            _restore_own(trainer, pl_module, state)
            trainer.should_stop = _stops(trainer, state)
        else:
            _settle_batch(trainer, is_over=state["moment"] != "within_batch")

    def _moment(self, trainer: Trainer) -> Moment:
        epochs: Any = trainer.fit_loop.epoch_progress.current
        batches: Any = trainer.fit_loop.epoch_loop.batch_progress.current
        if epochs.processed == epochs.ready:
            return "epoch_end" if epochs.completed < epochs.processed else "between_epochs"
        if epochs.ready > epochs.started:
            return "between_epochs"
        if batches.ready > batches.processed or batches.ready == 0:
            return "within_batch"
        return "validation_end" if trainer.validating and self._validated else "batch_end"


def random_state() -> dict[str, Any]:
    """The state of every global random generator of this process, as tensors and plain containers."""
    name, keys, position, has_gauss, gauss = cast(tuple[Any, ...], np.random.get_state(legacy=True))
    version, internal, following = random.getstate()
    # As tensors, since a checkpoint would keep each of the thousand numbers as an object of its own.
    return {
        "python": [version, torch.tensor(internal), following],
        "numpy": [name, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Make the global random generators go on from a `random_state`."""
    version, internal, following = state["python"]
    random.setstate((version, tuple(torch.as_tensor(internal).tolist()), following))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, torch.as_tensor(keys).cpu().numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"].cpu())


def _go_on(trainer: Trainer, pl_module: LightningModule, state: dict[str, Any], fetcher: _DataFetcher) -> None:
    """The rest of an epoch; what `run` does without the reset, and beginning after a batch instead of before one."""
    loop = trainer.fit_loop.epoch_loop
    del cast(Any, loop).run
    _go_to_batch(trainer, fetcher, loop.batch_progress.current.ready)
    loop.on_run_start(fetcher)
    for callback in trainer.callbacks:  # type: ignore[attr-defined]  # set by a connector
        if isinstance(callback, GradientAccumulationScheduler):  # which speaks at the start of epochs only
            callback.on_train_epoch_start(trainer, pl_module)
    _restore_own(trainer, pl_module, state)
    if state["moment"] != "within_batch":
        loop._skip_next_val = state["moment"] == "validation_end"
        loop.on_advance_end(fetcher)
        loop.on_iteration_done()
    trainer.should_stop = trainer.should_stop or _stops(trainer, state)
    while not loop.done:
        try:
            loop.advance(fetcher)
            loop.on_advance_end(fetcher)
        except StopIteration:
            break
        finally:
            loop.on_iteration_done()


def _restore_counters(loop: Any, progress: Mapping[str, Any]) -> None:
    """Undo what Lightning has guessed from the counters since it read them."""
    batches = loop.epoch_loop
    loop.epoch_progress.load_state_dict(deepcopy(progress["epoch_progress"]))
    batches.batch_progress.load_state_dict(deepcopy(progress["epoch_loop.batch_progress"]))
    batches.scheduler_progress.load_state_dict(deepcopy(progress["epoch_loop.scheduler_progress"]))
    batches.val_loop.batch_progress.load_state_dict(deepcopy(progress["epoch_loop.val_loop.batch_progress"]))
    batches.automatic_optimization.optim_progress.load_state_dict(
        deepcopy(progress["epoch_loop.automatic_optimization.optim_progress"])
    )
    batches.manual_optimization.optim_step_progress.load_state_dict(
        deepcopy(progress["epoch_loop.manual_optimization.optim_step_progress"])
    )
    batches._batches_that_stepped = progress["epoch_loop.state_dict"]["_batches_that_stepped"]
    for part in (loop, batches, batches.val_loop):
        part.reset_restart_stage()


def _finish_epoch(trainer: Trainer, *, is_pending: bool) -> None:
    """Do what comes after an epoch's last hook, so that the next thing is the epoch that follows."""
    loop = trainer.fit_loop
    if is_pending and loop.epoch_loop._num_ready_batches_reached():
        loop.epoch_loop.update_lr_schedulers("epoch", update_plateau_schedulers=True)
    for counts in (loop.epoch_progress.total, loop.epoch_progress.current):
        done = cast(Any, counts).processed
        _set_counts(counts, done)
    # The new epoch's iterator is then made at its start, after the sampler was told which it is.
    loop._resuming_from_checkpoint = False


def _settle_batch(trainer: Trainer, *, is_over: bool) -> None:
    """Count the last batch as over, or one that was broken off as not begun; its epoch is under way."""
    loop = trainer.fit_loop
    loop._restart_stage = RestartStage.RESTARTED_MID_EPOCH  # whose hooks for its start have been called
    for counts in (loop.epoch_loop.batch_progress.total, loop.epoch_loop.batch_progress.current):
        done = cast(Any, counts).processed
        _set_counts(counts, done)
    if not is_over:
        loop.epoch_loop.batch_progress.is_last_batch = False


def _set_counts(counts: Any, done: int) -> None:
    counts.ready = counts.started = counts.processed = counts.completed = done


def _go_to_batch(trainer: Trainer, fetcher: _DataFetcher, batches: int) -> None:
    """Make the next batch the one after so many of the epoch."""
    combined = trainer.fit_loop._combined_loader
    assert combined is not None
    if batches >= trainer.num_training_batches:
        return  # and nothing more is read in this epoch
    loaders: list[Any] = combined.flattened
    epochs: Any = trainer.fit_loop.epoch_progress.current
    if all(hasattr(loader, "load_state_dict") for loader in loaders):
        return  # they were told by Lightning
    for loader in loaders:
        _set_sampler_epoch(loader, epochs.processed)
    starts = all(isinstance(getattr(loader, "sampler", None), StartsWithin) for loader in loaders)
    if starts:
        for loader in loaders:
            loader.sampler.start_at(batches * loader.batch_size)
    iter(fetcher)  # anew: workers may have begun to read the epoch from its start
    if not starts:
        for _ in range(batches):
            next(fetcher)
        fetcher.fetched = 0


def _gradients(trainer: Trainer, module: LightningModule) -> dict[str, Tensor]:
    """The gradients that the next step adds to: none unless an accumulation is under way.

    In manual optimization nobody but the module knows, so all that there are count.
    """
    if module.automatic_optimization and not trainer.fit_loop.epoch_loop._should_accumulate():
        return {}
    return {
        name: parameter.grad.detach().clone()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


def _train_metrics(module: LightningModule) -> dict[str, EpochMetrics]:
    parts = module.named_modules()
    return {name: part for name, part in parts if isinstance(part, EpochMetrics) and part.split == "train"}


def _gathered(trainer: Trainer, own: dict[str, Any]) -> list[dict[str, Any]]:
    """The state of every process, by rank."""
    if trainer.world_size == 1 or not torch.distributed.is_initialized():
        return [own]
    states: list[Any] = [None] * trainer.world_size
    torch.distributed.all_gather_object(states, own)
    return states


def _restore_own(trainer: Trainer, module: LightningModule, state: Mapping[str, Any]) -> None:
    """Give this process back what it had; nothing if another number of processes trains now."""
    processes = state["processes"]
    if len(processes) != trainer.world_size:
        return
    own = processes[trainer.global_rank]
    parameters = dict(module.named_parameters())
    for name, gradient in own["gradients"].items():
        if name in parameters:
            parameters[name].grad = gradient.to(parameters[name].device)
    metrics = _train_metrics(module)
    for name, gathered in own["metrics"].items():
        if name in metrics:
            metrics[name].load_state(gathered)
    set_random_state(own["random"])


def _stops(trainer: Trainer, state: Mapping[str, Any]) -> bool:
    """Whether early stopping was about to stop the run; without the callback it goes on, as it does after a limit."""
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    return state["should_stop"] and any(isinstance(callback, EarlyStopping) for callback in callbacks)


def _is_out_of_time(trainer: Trainer) -> bool:
    """Whether `max_time` is what stops the run, which may be given more when it is resumed."""
    timers = [callback for callback in trainer.callbacks if isinstance(callback, Timer)]  # type: ignore[attr-defined]  # set by a connector
    return any((left := timer.time_remaining()) is not None and left <= 0 for timer in timers)


def _reopen(epochs: Mapping[str, Any]) -> None:
    """Count the last epoch as under way."""
    for counts in (epochs["total"], epochs["current"]):
        counts["processed"] = counts["completed"] = counts["ready"] - 1
