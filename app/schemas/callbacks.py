"""The callbacks that a config can describe, those of Lightning and our own, each mounted under its own name.

`NOT_OFFERED` names the others. What they may not do together, or with a trainer, is in `clashes.py`.
"""

import string
from collections.abc import Iterator, Mapping
from dataclasses import field
from importlib.util import find_spec
from typing import Annotated, ClassVar, Final, Literal

from annotated_types import Ge, Lt

from app.schemas.codes import Code
from app.schemas.constraints import (
    DeviceName,
    Duration,
    FileName,
    Fraction,
    MinusOneOrMore,
    NonEmptyText,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Probability,
)
from app.schemas.export import ExportFormat, ToleranceConfig, ending_fault, missing_packages
from app.schemas.model_paths import nested
from app.schemas.phases import Mode
from app.schemas.problems import did_you_mean, show
from app.schemas.registry import group, register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema
from app.schemas.user_paths import UserPath

_TASK_METRIC = {"monitor": "${task.monitor}", "mode": "${task.mode}"}
_PROTOCOLS: Final[Mapping[str, str | None]] = {
    "file": None,
    "memory": None,
    "s3": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "hdfs": "pyarrow",
    "hf": "huggingface_hub",
    "oss": "ossfs",
    "oci": "ocifs",
    "sftp": "paramiko",
    "ssh": "paramiko",
}
"""What an address that checkpoints can be written to begins with, and the package that fsspec needs for it."""

_LIVE = "lightning.pytorch.callbacks"


@group("callbacks", several=True)
@schema
class CallbackConfig:
    """Something that happens at certain moments of a run."""

    several_optimizers: ClassVar[bool] = True
    """Whether it also works where the module steps several optimizers itself."""


@register("callbacks", "checkpoint", target="app.callbacks.checkpoint.RunCheckpoint", **_TASK_METRIC)
@schema
class CheckpointConfig(CallbackConfig):
    """Saves the state of a run: the best so far by a metric, and the last."""

    monitor: NonEmptyText | None = None
    """Metric by which one checkpoint is better than another, as it is logged; null keeps the last one."""

    mode: Mode | None = None
    """Whether the metric should fall or rise; needed as soon as there is a monitor."""

    save_top_k: MinusOneOrMore = 1
    """How many of the best checkpoints to keep; -1 keeps all, 0 none."""

    save_last: bool | Literal["link"] = True
    """Also write `last.ckpt`, from which an interrupted run resumes; `link` saves the disk space by a symbolic link."""

    dirpath: UserPath | None = None
    """Folder for the files, below the run directory unless absolute; null is `checkpoints`."""

    filename: NonEmptyText = "epoch_{epoch:03d}"
    """Name of a file without its ending; `{epoch}`, `{step}` and logged metrics are filled in."""

    auto_insert_metric_name: bool = False
    """Write `epoch=3` where the file name says `{epoch}`; a metric's name with a slash would become a folder."""

    every_n_epochs: NonNegativeInt | None = None
    """Save after every n-th epoch; 0 never, null every epoch unless one of the two below is set."""

    every_n_train_steps: NonNegativeInt | None = None
    """Save after every n-th optimizer step, also within an epoch."""

    train_time_interval: Duration | None = None
    """Save after this time, 'DD:HH:MM:SS', at the end of the step under way."""

    save_on_train_epoch_end: bool | None = None
    """Save at the end of the training epoch instead of after validation; null decides by how often is validated."""

    save_on_exception: bool = False
    """Also save when the run fails, to look into the failure or go on from there."""

    save_weights_only: bool = False
    """Leave out optimizer and loop state: smaller files, from which no run can be resumed."""

    enable_version_counter: bool = True
    """Add `-v1`, `-v2` to a file name that exists instead of overwriting the file."""

    verbose: bool = False
    """Log a line for every file that is written."""

    @rule("monitor", "mode", code=Code.MONITOR)
    def _monitor_has_a_mode(self) -> Iterator[Finding]:
        if self.monitor is not None and self.mode is None:
            yield "mode", f"monitor={self.monitor} needs a mode: 'min' when lower is better, 'max' when higher is"

    @rule("monitor", "save_top_k")
    def _the_best_need_a_metric(self) -> Iterator[Finding]:
        if self.monitor is None and self.save_top_k not in (-1, 0, 1):
            yield "save_top_k", f"without a monitor, expected -1, 0 or 1, found {self.save_top_k}: nothing ranks them"

    @rule("every_n_epochs", "every_n_train_steps", "train_time_interval")
    def _one_interval(self) -> Iterator[Finding]:
        names = [
            name for name in ("every_n_epochs", "every_n_train_steps", "train_time_interval") if getattr(self, name)
        ]
        if len(names) > 1:
            yield names[1], f"cannot be combined with {names[0]}; set one of them to null"

    def within_epochs(self) -> str | None:
        """The field that has it save within epochs, if one does."""
        return next((name for name in ("every_n_train_steps", "train_time_interval") if getattr(self, name)), None)

    @rule("filename", "every_n_train_steps", "train_time_interval", "save_top_k")
    def _file_names_tell_steps_apart(self) -> Iterator[Finding]:
        interval = self.within_epochs()
        if interval is not None and self.save_top_k not in (0, 1) and "{step" not in self.filename:
            found = f"{show(self.filename)} is one name for all that {interval} saves in an epoch"
            yield "filename", f"{found}; expected {{step}} in it, as in step_{{step:06d}}"

    @rule("filename", "auto_insert_metric_name")
    def _file_names_stay_in_the_folder(self) -> Iterator[Finding]:
        try:
            parts = list(string.Formatter().parse(self.filename))
        except ValueError as error:
            yield "filename", f"{show(self.filename)} has a brace without its other half: {error}"
            return
        if any("/" in text or "\\" in text for text, *_ in parts):
            yield "filename", f"expected a file's name, found {show(self.filename)}; put its folder into dirpath"
        for _, metric, *_ in parts:
            if metric is not None and "/" in metric and self.auto_insert_metric_name:
                yield "auto_insert_metric_name", f"true would make a folder of '{metric}' in filename; set it to false"

    @rule("dirpath", "save_last")
    def _the_folder_can_be_reached(self) -> Iterator[Finding]:
        protocol, is_address, _ = (self.dirpath or "").partition("://")
        if not is_address:
            return
        if protocol not in _PROTOCOLS:
            known = did_you_mean(protocol, _PROTOCOLS) or f"; known: {', '.join(_PROTOCOLS)}"
            yield "dirpath", f"no files can be written to {protocol}://{known}"
            return
        if self.save_last == "link" and protocol != "file":
            yield "save_last", f"'link' cannot be made at {protocol}://; set it to true, which writes a copy"

    @rule("dirpath", code=Code.ENVIRONMENT)
    def _package_is_installed(self) -> Iterator[Finding]:
        protocol, is_address, _ = (self.dirpath or "").partition("://")
        package = _PROTOCOLS.get(protocol) if is_address else None
        if package is not None and find_spec(package) is None:
            yield "dirpath", f"{protocol}:// needs the package {package}, which is not installed"

    @remark(Code.UNUSED)
    def _the_best_are_kept(self) -> Iterator[Finding]:
        if self.save_top_k == 0:
            names = ("monitor", "mode", "filename", "auto_insert_metric_name", "enable_version_counter")
            yield from ((name, "has no effect with save_top_k=0, which keeps last.ckpt alone") for name in names)
        elif self.monitor is None and self.mode is not None:
            yield "mode", "has no effect without a monitor"


@register("callbacks", "early_stopping", target=f"{_LIVE}.EarlyStopping", **_TASK_METRIC)
@schema
class EarlyStoppingConfig(CallbackConfig):
    """Ends training when a metric no longer improves."""

    monitor: NonEmptyText
    """Metric to watch, as it is logged."""

    mode: Mode
    """Whether the metric should fall or rise."""

    patience: NonNegativeInt = 3
    """Checks without improvement after which training ends; one check is one validation."""

    min_delta: NonNegativeFloat = 0.0
    """The least change that counts as an improvement, in the metric's own unit."""

    stopping_threshold: float | None = None
    """Value as good as needed: training ends once it is reached."""

    divergence_threshold: float | None = None
    """Value so bad that training ends at once."""

    check_finite: bool = True
    """End training when the metric is NaN or infinite."""

    strict: bool = True
    """Fail when nobody logs the metric, instead of never stopping."""

    check_on_train_epoch_end: bool | None = None
    """Check after the training epoch instead of after validation; null decides by how often is validated."""

    verbose: bool = False
    """Log a line for every improvement."""

    log_rank_zero_only: bool = False
    """Log from one process only when several train together."""

    @rule("stopping_threshold", "divergence_threshold", "mode")
    def _thresholds_are_in_order(self) -> Iterator[Finding]:
        good, bad = self.stopping_threshold, self.divergence_threshold
        if good is None or bad is None:
            return
        if good >= bad if self.mode == "min" else good <= bad:
            wanted = "below" if self.mode == "min" else "above"
            yield "stopping_threshold", f"with mode={self.mode}, expected it {wanted} divergence_threshold, {bad}"

    @remark(Code.UNUSED)
    def _lines_are_logged(self) -> Iterator[Finding]:
        if not self.verbose:
            yield "log_rank_zero_only", "has no effect with verbose=false, which logs no line"


@schema
class ProgressBarTheme:
    """Colours and styles of the rich progress bar, in rich's notation: `bold`, `#6206E0`."""

    description: str = ""
    """Style of the words before the bar."""

    progress_bar: str = "#6206E0"
    """Colour of the part that is done."""

    progress_bar_finished: str = "#6206E0"
    """Colour of a bar that is complete."""

    progress_bar_pulse: str = "#6206E0"
    """Colour of a bar whose end is not known."""

    batch_progress: str = ""
    """Style of the count of batches."""

    time: str = "dim"
    """Style of the time taken and left."""

    processing_speed: str = "dim underline"
    """Style of the batches per second."""

    metrics: str = "italic"
    """Style of the metrics after the bar."""

    metrics_text_delimiter: str = " "
    """Text between two metrics; a line break puts each on its own line."""

    metrics_format: str = ".3f"
    """Python's format of a metric's value."""

    @rule("metrics_format")
    def _numbers_can_be_formatted(self) -> Iterator[Finding]:
        try:
            format(0.5, self.metrics_format)
        except ValueError:
            yield "metrics_format", f"expected a format of Python such as '.3f', found {show(self.metrics_format)}"


@schema
class ConsoleOptions:
    """Where and how rich writes."""

    stderr: bool = False
    """Write to the error stream, so that a pipe gets the output alone."""

    width: PositiveInt | None = None
    """Characters in a line; null asks the terminal."""

    no_color: bool | None = None
    """No colours; null obeys the environment variable NO_COLOR."""

    force_terminal: bool | None = None
    """Draw the bar although the output is no terminal; null looks at the output."""


@register("callbacks", "progress_bar", target=f"{_LIVE}.RichProgressBar")
@schema
class ProgressBarConfig(CallbackConfig):
    """A progress bar with the metrics behind it; nothing is drawn where the output is no terminal."""

    refresh_rate: NonNegativeInt = 10
    """Redraws in a second; 0 turns the bar off."""

    leave: bool = False
    """Keep the bar of each finished epoch on the screen."""

    theme: ProgressBarTheme = field(default_factory=ProgressBarTheme)
    """Colours and styles."""

    console_kwargs: ConsoleOptions = field(default_factory=ConsoleOptions)
    """Where and how it is written."""

    @remark(Code.UNUSED)
    def _the_bar_is_drawn(self) -> Iterator[Finding]:
        if self.refresh_rate == 0:
            names = ("leave", "theme", "console_kwargs")
            yield from ((name, "has no effect with refresh_rate=0, which draws no bar") for name in names)


@register("callbacks", "tqdm_progress_bar", target=f"{_LIVE}.TQDMProgressBar")
@schema
class TQDMProgressBarConfig(CallbackConfig):
    """The plain progress bar, for terminals that rich gets wrong."""

    refresh_rate: NonNegativeInt = 1
    """Batches between two redraws; 0 turns the bar off."""

    process_position: NonNegativeInt = 0
    """Line in which the bar stands, counted from the lowest, when several processes draw one each."""

    leave: bool = False
    """Keep the bar of each finished epoch on the screen."""

    @remark(Code.UNUSED)
    def _the_bar_is_drawn(self) -> Iterator[Finding]:
        if self.refresh_rate == 0:
            names = ("process_position", "leave")
            yield from ((name, "has no effect with refresh_rate=0, which draws no bar") for name in names)


@register("callbacks", "model_summary", target=f"{_LIVE}.RichModelSummary")
@schema
class ModelSummaryConfig(CallbackConfig):
    """Prints a table of the model's layers and their parameters before training."""

    max_depth: MinusOneOrMore = 1
    """How many levels of nested layers to show; -1 for all, 0 for none."""


@register("callbacks", "plain_model_summary", target=f"{_LIVE}.ModelSummary")
@schema
class PlainModelSummaryConfig(CallbackConfig):
    """The model summary as text in the log."""

    max_depth: MinusOneOrMore = 1
    """How many levels of nested layers to show; -1 for all, 0 for none."""


@register("callbacks", "lr_monitor", target=f"{_LIVE}.LearningRateMonitor")
@schema
class LearningRateMonitorConfig(CallbackConfig):
    """Logs the learning rate of every parameter group."""

    logging_interval: Literal["step", "epoch"] | None = None
    """Log every step or every epoch; null follows each scheduler's own interval."""

    log_momentum: bool = False
    """Log the momentum, or Adam's first beta, too."""

    log_weight_decay: bool = False
    """Log the weight decay too."""


@register("callbacks", "gradient_accumulation", target=f"{_LIVE}.GradientAccumulationScheduler", scheduling={0: 1})
@schema
class GradientAccumulationConfig(CallbackConfig):
    """Changes from which epoch on how many batches make one step."""

    several_optimizers: ClassVar[bool] = False

    scheduling: dict[int, int]
    """Epoch, counted from 0, to the number of batches from there on: {0: 1, 4: 2}."""

    @rule("scheduling")
    def _epochs_and_batches_are_counts(self) -> Iterator[Finding]:
        if not self.scheduling:
            yield "scheduling", "needs an epoch with its number of batches, such as {0: 1, 4: 2}"
        for epoch, batches in self.scheduling.items():
            if epoch < 0:
                yield f"scheduling.{epoch}", f"expected an epoch of at least 0, found {epoch}"
            if batches < 1:
                yield f"scheduling.{epoch}", f"expected a number of batches of at least 1, found {batches}"


@register("callbacks", "swa", target=f"{_LIVE}.StochasticWeightAveraging", swa_lrs=1e-2)
@schema
class StochasticWeightAveragingConfig(CallbackConfig):
    """Averages the weights over the last epochs (Izmailov et al., 2018), for a flatter optimum."""

    several_optimizers: ClassVar[bool] = False

    swa_lrs: PositiveFloat | tuple[PositiveFloat, ...]
    """Learning rate while averaging, one for all parameter groups or one for each."""

    swa_epoch_start: PositiveInt | Probability = 0.8
    """Epoch at which averaging starts, as a number or as a share of max_epochs."""

    annealing_epochs: PositiveInt = 10
    """Epochs in which the learning rate moves to the one for averaging."""

    annealing_strategy: Literal["cos", "linear"] = "cos"
    """Shape of that move."""

    device: DeviceName | None = "cpu"
    """Where the average is kept; null is the model's own device."""

    @rule("swa_lrs")
    def _there_is_a_learning_rate(self) -> Iterator[Finding]:
        if self.swa_lrs == ():
            yield "swa_lrs", "needs at least one learning rate"


@register("callbacks", "weight_averaging", target=f"{_LIVE}.WeightAveraging")
@schema
class WeightAveragingConfig(CallbackConfig):
    """Keeps the plain average of the weights after every step; validation and checkpoints use the average."""

    device: DeviceName | None = None
    """Where the average is kept; null is the model's own device."""

    use_buffers: bool = True
    """Average the buffers too, such as batch normalisation's statistics."""


@register("callbacks", "ema", target=f"{_LIVE}.EMAWeightAveraging")
@schema
class EMAConfig(CallbackConfig):
    """Keeps an exponential moving average of the weights; validation and checkpoints use the average."""

    decay: Probability = 0.999
    """Share of the average that stays at an update: 0.999 looks back about a thousand updates."""

    update_every_n_steps: PositiveInt = 1
    """Optimizer steps between two updates of the average."""

    update_starting_at_step: NonNegativeInt | None = None
    """First step that is averaged; null starts at once."""

    update_starting_at_epoch: NonNegativeInt | None = None
    """First epoch after which the average is also updated; null updates after steps alone."""

    device: DeviceName | None = None
    """Where the average is kept; null is the model's own device."""

    use_buffers: bool = True
    """Average the buffers too, such as batch normalisation's statistics."""


@register("callbacks", "gradient_norm", target="app.callbacks.gradient_norm.GradientNorm")
@schema
class GradientNormConfig(CallbackConfig):
    """Logs the norm of the gradients before they are clipped, as `grad_norm`."""

    every_n_steps: PositiveInt | None = None
    """Optimizer steps between two values; null is trainer.log_every_n_steps. Each costs a pass over the gradients."""

    per_group: bool = False
    """Also log the norm of each parameter group, as `grad_norm/<group>`."""


@schema
class FrozenEpochs:
    """The epochs in which a part is frozen, counted from 0."""

    first: NonNegativeInt = 0
    """The first epoch in which it is frozen; it is trained before."""

    until: PositiveInt | None = None
    """The first epoch in which it is trained again; null keeps it frozen to the end."""

    @rule("first", "until")
    def _there_are_epochs(self) -> Iterator[Finding]:
        if self.until is not None and self.until <= self.first:
            yield "until", f"expected more than first={self.first}, found {self.until}: no epoch lies between"


@register("callbacks", "freeze", target="app.callbacks.freeze.Freeze")
@schema
class FreezeConfig(CallbackConfig):
    """Keeps parts of the model as they are in some epochs: no updates, no weight decay, no momentum."""

    parts: dict[str, FrozenEpochs] = field(default_factory=dict)
    """The epochs by the path of a submodule or parameter of the model: `{.backbone: {until: 5}}`.

    To unfreeze a backbone bit by bit, name its stages.
    """

    norm_statistics: bool = True
    """Also keep the running statistics of normalization layers, which otherwise go on following the data."""

    @rule("parts")
    def _parts_are_separate(self) -> Iterator[Finding]:
        paths = list(self.parts)
        for place, path in enumerate(paths):
            for earlier in paths[:place]:
                if nested(path, earlier):
                    yield ("parts", path), f"overlaps with '{earlier}'; name separate parts"

    @remark(Code.UNUSED)
    def _something_is_frozen(self) -> Iterator[Finding]:
        if not self.parts:
            yield "norm_statistics", "has no effect without parts, which say what is frozen"


@register("callbacks", "timer", target=f"{_LIVE}.Timer")
@schema
class TimerConfig(CallbackConfig):
    """Measures the time of each stage and ends training when it is up."""

    duration: Duration | None = None
    """Time after which training ends, 'DD:HH:MM:SS'; null only measures."""

    interval: Literal["step", "epoch"] = "step"
    """Look at the clock after every step, or only between epochs."""

    verbose: bool = True
    """Log a line when the time is up."""

    @remark(Code.UNUSED)
    def _time_can_be_up(self) -> Iterator[Finding]:
        if self.duration is None:
            yield from ((name, "has no effect without a duration") for name in ("interval", "verbose"))


@register("callbacks", "device_stats", target=f"{_LIVE}.DeviceStatsMonitor")
@schema
class DeviceStatsConfig(CallbackConfig):
    """Logs the memory and the load of the device at every step."""

    cpu_stats: bool | None = None
    """Whether to log the CPU's figures, which need the package psutil; null does so when training runs on the CPU."""

    @rule("cpu_stats", code=Code.ENVIRONMENT)
    def _psutil_is_installed(self) -> Iterator[Finding]:
        if self.cpu_stats is not False and find_spec("psutil") is None:
            yield "cpu_stats", "the CPU's figures need psutil (pip install psutil); false logs a GPU's figures alone"


@register("callbacks", "throughput", target=f"{_LIVE}.ThroughputMonitor")
@schema
class ThroughputConfig(CallbackConfig):
    """Logs samples and batches in a second, over a moving window."""

    window_size: Annotated[PositiveInt, Ge(2)] = 100
    """Batches in the window."""

    separator: Literal["/", "-", "_", "."] = "/"
    """What stands between the parts of a metric's name."""


@register("callbacks", "spike_detection", target=f"{_LIVE}.SpikeDetection")
@schema
class SpikeDetectionConfig(CallbackConfig):
    """Stops training when the loss jumps, and writes down the batches that did it."""

    mode: Mode = "min"
    """Whether the loss should fall or rise."""

    window: PositiveInt = 10
    """Batches whose mean the loss is compared with."""

    warmup: NonNegativeInt = 1
    """Batches of an epoch before anything counts as a jump."""

    atol: NonNegativeFloat | None = None
    """Distance from the mean that is a jump; null looks at `rtol` alone."""

    rtol: NonNegativeFloat | None = 2.0
    """Distance from the mean that is a jump, as a multiple of the mean; null looks at `atol` alone."""

    exclude_batches_path: UserPath | None = None
    """File that lists the batches, below the run directory unless absolute; null is `skip_batches.json`."""

    finite_only: bool = True
    """Whether NaN and infinity are a jump too."""

    @rule("atol", "rtol")
    def _a_jump_has_a_size(self) -> Iterator[Finding]:
        if self.atol is None and self.rtol is None:
            yield "rtol", "with null here and atol=null, any change for the worse is a jump; set one of them"


@register("callbacks", "pruning", target=f"{_LIVE}.ModelPruning", pruning_fn="l1_unstructured")
@schema
class PruningConfig(CallbackConfig):
    """Sets the least important weights to zero after every epoch."""

    pruning_fn: Literal["l1_unstructured", "random_unstructured", "ln_structured", "random_structured"]
    """What makes a weight unimportant: its size or chance, alone or as part of its row."""

    amount: PositiveInt | Fraction = 0.5
    """Weights to prune, as a number or a share of those that are left."""

    parameter_names: tuple[Literal["weight", "bias"], ...] | None = None
    """Which parameters of a layer to prune; null is both."""

    use_global_unstructured: bool = True
    """Compare weights over all layers instead of within each; only for the unstructured functions."""

    pruning_dim: int | None = None
    """Dimension whose rows are pruned, for the structured functions."""

    pruning_norm: PositiveInt | None = None
    """Norm by which rows are compared, for `ln_structured`."""

    apply_pruning: bool = True
    """Whether to prune at all."""

    use_lottery_ticket_hypothesis: bool = True
    """Put the remaining weights back to their first values after pruning (Frankle & Carbin, 2019)."""

    resample_parameters: bool = False
    """Draw new first values instead of the ones that were."""

    make_pruning_permanent: bool = True
    """Write the zeros into the weights when training ends; otherwise checkpoints hold masks."""

    prune_on_train_epoch_end: bool = True
    """Prune after the training epoch instead of after validation."""

    verbose: Literal[0, 1, 2] = 0
    """How much to log: nothing, the share pruned, the share of every layer."""

    @rule("pruning_fn", "pruning_dim", "pruning_norm", "use_global_unstructured")
    def _structured_pruning_is_described(self) -> Iterator[Finding]:
        if not self.pruning_fn.endswith("_structured"):
            return
        if self.use_global_unstructured:
            yield "use_global_unstructured", f"must be false with pruning_fn={self.pruning_fn}"
        if self.pruning_dim is None:
            yield "pruning_dim", f"pruning_fn={self.pruning_fn} needs a dimension, such as 0"
        if self.pruning_fn == "ln_structured" and self.pruning_norm is None:
            yield "pruning_norm", "pruning_fn=ln_structured needs a norm, such as 2"

    @rule("make_pruning_permanent", "use_lottery_ticket_hypothesis")
    def _masks_cannot_be_copied(self) -> Iterator[Finding]:
        if self.use_lottery_ticket_hypothesis and not self.make_pruning_permanent:
            found = "false leaves masks in the layers, which use_lottery_ticket_hypothesis copies for the test"
            yield "make_pruning_permanent", f"{found}; set that to false too, or this to true"

    @rule("pruning_fn", "parameter_names")
    def _only_weights_have_rows(self) -> Iterator[Finding]:
        if self.pruning_fn.endswith("_structured") and self.parameter_names != ("weight",):
            found = "null, which is both" if self.parameter_names is None else show(self.parameter_names)
            yield (
                "parameter_names",
                f"with pruning_fn={self.pruning_fn}, expected [weight], found {found}: no bias has rows",
            )

    @remark(Code.UNUSED)
    def _something_is_pruned(self) -> Iterator[Finding]:
        if not self.apply_pruning:
            names = ("pruning_fn", "amount", "parameter_names", "pruning_dim", "pruning_norm", "resample_parameters")
            yield from ((name, "has no effect with apply_pruning=false") for name in names)
            return
        if not self.pruning_fn.endswith("_structured"):
            yield "pruning_dim", f"has no effect with pruning_fn={self.pruning_fn}, which prunes no rows"
        if self.pruning_fn != "ln_structured":
            yield "pruning_norm", "has an effect with pruning_fn=ln_structured only"
        if not self.use_lottery_ticket_hypothesis:
            yield "resample_parameters", "has an effect with use_lottery_ticket_hypothesis=true only"


@register("callbacks", "lr_finder", target=f"{_LIVE}.LearningRateFinder")
@schema
class LearningRateFinderConfig(CallbackConfig):
    """Tries rising learning rates before training and looks where the loss falls fastest (Smith, 2017)."""

    several_optimizers: ClassVar[bool] = False

    min_lr: PositiveFloat = 1e-8
    """First learning rate that is tried."""

    max_lr: PositiveFloat = 1.0
    """Last learning rate that is tried."""

    num_training_steps: PositiveInt = 100
    """Learning rates that are tried, one batch each."""

    mode: Literal["exponential", "linear"] = "exponential"
    """How the learning rate rises."""

    early_stop_threshold: PositiveFloat | None = 4.0
    """Stop when the loss is that many times the best one; null tries them all."""

    update_attr: bool = True
    """Train with the learning rate found, instead of only looking for it."""

    @rule("min_lr", "max_lr")
    def _learning_rates_rise(self) -> Iterator[Finding]:
        if self.min_lr >= self.max_lr:
            yield "min_lr", f"expected less than max_lr, {self.max_lr}, found {self.min_lr}"


@register("callbacks", "batch_size_finder", target=f"{_LIVE}.BatchSizeFinder")
@schema
class BatchSizeFinderConfig(CallbackConfig):
    """Tries rising batch sizes before training and takes the largest that fits into memory."""

    mode: Literal["power", "binsearch"] = "power"
    """Double until memory is full, or narrow down to the exact number afterwards."""

    steps_per_trial: PositiveInt = 3
    """Batches that are tried of each size."""

    init_val: PositiveInt = 2
    """First batch size that is tried."""

    max_trials: PositiveInt = 25
    """Sizes that are tried at most."""

    margin: Annotated[float, Ge(0), Lt(1)] = 0.05
    """Share taken off the size that `binsearch` finds, so that a larger sample still fits."""

    max_val: PositiveInt = 8192
    """Batch size that is not exceeded."""

    @remark(Code.UNUSED)
    def _the_size_is_exact(self) -> Iterator[Finding]:
        if self.mode != "binsearch":
            yield "margin", f"has an effect with mode=binsearch only, found mode={self.mode}"


@register("callbacks", "export", target="app.callbacks.export.ExportBest")
@schema
class ExportBestConfig(CallbackConfig):
    """Exports the best checkpoint when training has ended, as `app export` does from a checkpoint."""

    format: ExportFormat = "onnx"
    """Kind of file: `onnx` (`.onnx`) or torch's own exported program (`.pt2`)."""

    file: FileName = "model"
    """Name of the file in the run directory, without its ending."""

    tolerance: ToleranceConfig = field(default_factory=ToleranceConfig)
    """How far it may be off from torch on batches of the val split; beyond that there is no file."""

    @rule("file")
    def _file_has_no_ending(self) -> Iterator[Finding]:
        if fault := ending_fault(self.file, "callbacks.export"):
            yield "file", fault

    @rule("format", code=Code.ENVIRONMENT)
    def _packages_are_installed(self) -> Iterator[Finding]:
        if missing := missing_packages(self.format):
            yield "format", f"{missing}; torch_export needs no package"


OWN_DEFAULTS: Final[Mapping[type, Mapping[str, str]]] = {
    CheckpointConfig: {
        "mode": "Lightning's 'min' would quietly keep the worst model of a metric that should rise.",
        "save_last": "an interrupted run can always be resumed.",
        "filename": "Lightning's name holds 'epoch=' and 'step=', which a command line reads as an override.",
        "auto_insert_metric_name": "metrics are named `val/loss`, and a slash would make a folder.",
    },
    ProgressBarConfig: {
        "refresh_rate": "Lightning's 100 redraws in a second cost more than a small model's steps.",
        "theme": "the same theme, as a schema.",
        "console_kwargs": "the same console, as a schema.",
    },
    StochasticWeightAveragingConfig: {"device": "the same device, by its name."},
    ExportBestConfig: {"tolerance": "the same tolerance, written out."},
}
"""The fields whose default deliberately differs from the target's, with the reason."""

LEFT_OUT: Final[Mapping[type, Mapping[str, str]]] = {
    ModelSummaryConfig: {"summarize_kwargs": "styles of the table"},
    PlainModelSummaryConfig: {"summarize_kwargs": "has no effect"},
    StochasticWeightAveragingConfig: {"avg_fn": "a function"},
    WeightAveragingConfig: {"kwargs": "functions"},
    EMAConfig: {"kwargs": "functions"},
    ThroughputConfig: {
        "batch_size_fn": "given by the builder: the first dimension of a batch",
        "length_fn": "a function",
        "kwargs": "window_size and separator",
    },
    PruningConfig: {"parameters_to_prune": "live modules; all layers are pruned"},
    LearningRateFinderConfig: {"attr_name": "the module keeps the learning rate in `lr`, which is found unasked"},
    BatchSizeFinderConfig: {"batch_arg_name": "the datamodule keeps the batch size in `batch_size`, the default"},
}
"""The targets' arguments that are no fields, with the reason."""

NOT_OFFERED: Final[Mapping[str, str]] = {
    "BackboneFinetuning": "it unfreezes `module.backbone`; the modules here keep their parts in `module.model`",
    "BaseFinetuning": "a base to derive from",
    "BasePredictionWriter": "a base to derive from",
    "Callback": "a base to derive from",
    "Checkpoint": "a base to derive from",
    "LambdaCallback": "made of functions",
    "ModelCheckpoint": "the option checkpoint is our own of it, whose last.ckpt is the last state",
    "OnExceptionCheckpoint": "with it Lightning resumes unasked; checkpoint has save_on_exception",
    "ProgressBar": "a base to derive from",
}
"""The public callbacks of Lightning that are no options, with the reason."""
