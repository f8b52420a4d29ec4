"""What can be set on `lightning.Trainer`: all of its arguments, and the rules under which it can be made.

Its `logger`, `callbacks` and `default_root_dir` come from other parts of a run's config. What Lightning would refuse
once a Trainer is being made is refused here, without importing it; only what depends on the machine (is there a GPU?)
is left to Lightning.
"""

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from annotated_types import MinLen
from pydantic import BeforeValidator

from app.schemas.codes import Code
from app.schemas.constraints import (
    Duration,
    Fraction,
    MinusOneOrMore,
    NonEmptyText,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveInt,
    Probability,
    duration_fault,
)
from app.schemas.expectations import expected
from app.schemas.problems import one_of, show
from app.schemas.registry import group, register
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema

Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu"]

Strategy = Literal[
    "auto",
    "ddp",
    "ddp_find_unused_parameters_false",
    "ddp_find_unused_parameters_true",
    "ddp_spawn",
    "ddp_spawn_find_unused_parameters_false",
    "ddp_spawn_find_unused_parameters_true",
    "ddp_fork",
    "ddp_fork_find_unused_parameters_false",
    "ddp_fork_find_unused_parameters_true",
    "ddp_notebook",
    "ddp_notebook_find_unused_parameters_false",
    "ddp_notebook_find_unused_parameters_true",
    "fsdp",
    "fsdp_cpu_offload",
    "deepspeed",
    "deepspeed_stage_1",
    "deepspeed_stage_2",
    "deepspeed_stage_2_offload",
    "deepspeed_stage_3",
    "deepspeed_stage_3_offload",
    "deepspeed_stage_3_offload_nvme",
    "single_device",
    "single_xla",
    "single_tpu",
    "xla",
    "xla_debug",
]

Precision = Literal[
    "32-true",
    "16-mixed",
    "bf16-mixed",
    "16-true",
    "bf16-true",
    "64-true",
    "transformer-engine",
    "transformer-engine-float16",
]

_LIGHTNINGS_PRECISIONS: Final[Mapping[str, Precision]] = {
    "16": "16-mixed",
    "fp16": "16-mixed",
    "float16": "16-mixed",
    "half": "16-mixed",
    "bf16": "bf16-mixed",
    "bfloat16": "bf16-mixed",
    "32": "32-true",
    "fp32": "32-true",
    "float32": "32-true",
    "64": "64-true",
    "fp64": "64-true",
    "float64": "64-true",
}
"""Names that Lightning's shorthand or other tools have for a precision, which the nearest spelling would get wrong."""


def _precision(value: object) -> object:
    if not isinstance(value, bool) and (meant := _LIGHTNINGS_PRECISIONS.get(str(value).casefold())):
        raise ValueError(f"expected {expected(Precision)}, found {show(value)}; did you mean '{meant}'?")
    return value


Plugin = Literal[
    "async_checkpoint_io",
    "lightning_environment",
    "kubeflow_environment",
    "lsf_environment",
    "mpi_environment",
    "slurm_environment",
    "torch_elastic_environment",
    "torch_sync_batch_norm",
]

_PLUGIN_KINDS: Final[Mapping[str, str]] = {
    "environment": "cluster environment",
}

_SHARDED_PRECISIONS = ("32-true", "16-mixed", "bf16-mixed", "16-true", "bf16-true")
_PRECISIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "fsdp": _SHARDED_PRECISIONS,
    "deepspeed": _SHARDED_PRECISIONS,
    "xla": ("32-true", "16-true", "bf16-true"),
}
"""The precisions that a family of strategies can compute in; the other families take all."""


@register("trainer", "default", target="lightning.Trainer")
@group("trainer", presets_only=True)
@schema
class TrainerConfig:
    """How training is run: how long, on what, and what is checked on the way.

    A default run ends (`max_epochs`), uses one device (`devices`) and gives the same result again (`deterministic`).
    """

    max_epochs: MinusOneOrMore = 20
    """Epochs after which training ends; -1 for no limit, when `max_steps` or `max_time` sets one."""

    accelerator: Accelerator = "auto"
    """Kind of hardware; `auto` takes the best there is."""

    devices: Literal["auto", -1] | PositiveInt | Annotated[tuple[NonNegativeInt, ...], MinLen(1)] = 1
    """How many devices, or the indices of those to use; `auto` or -1 for all. Each trains on its own batch."""

    strategy: Strategy = "auto"
    """How several devices work together; `auto` is `ddp` as soon as there are two."""

    precision: Annotated[Precision, BeforeValidator(_precision)] = "32-true"
    """Number format; `bf16-mixed` saves half the memory for activations and keeps the weights exact."""

    deterministic: bool | Literal["warn"] = True
    """Only operations that give the same result every time; an operation that cannot is an error, or a warning."""

    gradient_clip_val: NonNegativeFloat | None = None
    """Gradients are scaled down to this norm, or cut at this value; 0 or null leaves them alone."""

    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    """Clip by the norm of all gradients together or each value by itself; null lets the module decide, else `norm`."""

    accumulate_grad_batches: PositiveInt = 1
    """Batches whose gradients are added up before one step: a larger batch in the memory of a small one."""

    min_epochs: PositiveInt | None = None
    """Epochs before which early stopping may not end training; null for no minimum."""

    max_steps: MinusOneOrMore = -1
    """Optimizer steps after which training ends, even within an epoch; -1 for no limit."""

    min_steps: PositiveInt | None = None
    """Optimizer steps before which early stopping may not end training; null for no minimum."""

    max_time: Duration | None = None
    """Time after which training ends, 'DD:HH:MM:SS'; null for no limit."""

    check_val_every_n_epoch: PositiveInt | None = 1
    """Validate after every n-th epoch; null to count batches across epochs, as `val_check_interval` says."""

    val_check_interval: PositiveInt | Fraction | NonEmptyText | None = None
    """Validate within an epoch too: after that many batches, that share of the epoch, or a time 'DD:HH:MM:SS'."""

    limit_train_batches: NonNegativeInt | Probability | None = None
    """Batches of an epoch that are trained on, as a number or a share (1.0 is all, 1 is one); null for all."""

    limit_val_batches: NonNegativeInt | Probability | None = None
    """Validation batches that are used, as a number or a share; 0 turns validation off, null is all."""

    limit_test_batches: NonNegativeInt | Probability | None = None
    """Test batches that are used, as a number or a share; the figures then speak for these alone."""

    limit_predict_batches: NonNegativeInt | Probability | None = None
    """Batches that are predicted, as a number or a share; null for all."""

    overfit_batches: NonNegativeInt | Probability = 0
    """Train and validate on the same few batches, as a number or a share: a sound model must reach a loss near zero."""

    fast_dev_run: bool | NonNegativeInt = False
    """Run n batches (true: one) of every stage to find bugs; nothing is logged, and no file saved but `last.ckpt`."""

    num_sanity_val_steps: MinusOneOrMore = 2
    """Validation batches tried before training starts, so that a bug there shows at once; -1 for all."""

    log_every_n_steps: NonNegativeInt = 10
    """Steps between two logged values of a training metric; 0 logs none."""

    enable_checkpointing: bool | None = None
    """Whether to save checkpoints; null does so when a callback for it is chosen."""

    enable_progress_bar: bool | None = None
    """Whether to show progress; null does so when a callback for it is chosen."""

    enable_model_summary: bool | None = None
    """Whether to print the model's layers; null does so when a callback for it is chosen."""

    benchmark: bool = False
    """Let cuDNN try its algorithms and keep the fastest: faster for inputs of one size, not the same every run."""

    inference_mode: bool = True
    """Evaluate in torch's inference mode, faster than `no_grad`; off for metrics that need gradients."""

    sync_batchnorm: bool = False
    """Batch normalisation over the batches of all devices, for when one device's batch is small."""

    num_nodes: PositiveInt = 1
    """Machines that train together."""

    use_distributed_sampler: bool = True
    """Give every device its own share of the data; off when the datamodule does so itself."""

    reload_dataloaders_every_n_epochs: NonNegativeInt = 0
    """Ask the datamodule for new dataloaders after that many epochs; 0 asks once."""

    profiler: Literal["simple", "advanced", "pytorch", "xla"] | None = None
    """Measure where time goes: by hook, by function, by operation, or on a TPU."""

    detect_anomaly: bool = False
    """Stop at the operation whose gradient is NaN, with its traceback; slow."""

    plugins: tuple[Plugin, ...] = ()
    """Ways of saving checkpoints, cluster environments and layer synchronisation other than Lightning's choice."""

    barebones: bool = False
    """Switch off all that is not training, to measure its bare speed."""

    enable_autolog_hparams: bool = True
    """Send the module's and datamodule's hyperparameters to the loggers at the start."""

    model_registry: NonEmptyText | None = None
    """Name under which checkpoints go to Lightning's model registry; needs the package litmodels."""

    def reruns_the_program(self) -> bool:
        """Whether Lightning starts a run's other processes by starting the program again, as `ddp` does."""
        count = len(self.devices) if isinstance(self.devices, tuple) else self.devices
        in_one_program = ("spawn", "fork", "notebook", "single")
        return (count != 1 or self.num_nodes > 1) and not any(word in self.strategy for word in in_one_program)

    @rule("max_epochs", "max_steps", "max_time", "fast_dev_run")
    def _training_ends(self) -> Iterator[Finding]:
        if self.max_epochs == -1 and self.max_steps == -1 and self.max_time is None and not self.fast_dev_run:
            yield "max_epochs", "-1 never ends; set a number of epochs, or max_steps or max_time"

    @rule("min_epochs", "max_epochs")
    def _epochs_in_order(self) -> Iterator[Finding]:
        if self.min_epochs is not None and -1 < self.max_epochs < self.min_epochs:
            yield "min_epochs", f"{self.min_epochs} is more than max_epochs, {self.max_epochs}"

    @rule("min_steps", "max_steps")
    def _steps_in_order(self) -> Iterator[Finding]:
        if self.min_steps is not None and -1 < self.max_steps < self.min_steps:
            yield "min_steps", f"{self.min_steps} is more than max_steps, {self.max_steps}"

    @rule("gradient_clip_algorithm", "gradient_clip_val")
    def _clipping_has_a_limit(self) -> Iterator[Finding]:
        if self.gradient_clip_algorithm is not None and not self.gradient_clip_val:
            yield (
                "gradient_clip_val",
                f"gradient_clip_algorithm={self.gradient_clip_algorithm} needs a value above 0 here",
            )

    @rule("deterministic", "benchmark")
    def _the_fastest_algorithm_varies(self) -> Iterator[Finding]:
        if self.deterministic and self.benchmark:
            yield "benchmark", "true picks algorithms by their speed in this run; set deterministic to false with it"

    @rule("val_check_interval")
    def _val_check_time_is_readable(self) -> Iterator[Finding]:
        if isinstance(self.val_check_interval, str) and (fault := duration_fault(self.val_check_interval)):
            yield "val_check_interval", f"{fault}; a number of batches or a share of the epoch would do too"

    @rule("val_check_interval", "check_val_every_n_epoch")
    def _validation_has_an_interval(self) -> Iterator[Finding]:
        if self.check_val_every_n_epoch is None and not isinstance(self.val_check_interval, int | str):
            wanted = "a number of batches or a length of time 'DD:HH:MM:SS'"
            found = show(self.val_check_interval)
            yield "val_check_interval", f"with check_val_every_n_epoch=null, expected {wanted}, found {found}"

    @rule(
        "val_check_interval", "limit_train_batches", "overfit_batches", "limit_val_batches", "check_val_every_n_epoch"
    )
    def _the_epoch_reaches_the_interval(self) -> Iterator[Finding]:
        name = "overfit_batches" if self.overfit_batches else "limit_train_batches"
        interval, limit = self.val_check_interval, getattr(self, name)
        if self.check_val_every_n_epoch is None or self.limit_val_batches == 0:
            return
        if isinstance(interval, int) and isinstance(limit, int) and 0 < limit < interval:
            hint = "set check_val_every_n_epoch=null to count batches across epochs"
            yield "val_check_interval", f"{interval} is more than {name}, {limit}; {hint}"

    @rule("overfit_batches", "limit_train_batches", "limit_val_batches", code=Code.UNUSED)
    def _overfitting_sets_its_own_limits(self) -> Iterator[Finding]:
        for name in ("limit_train_batches", "limit_val_batches"):
            if self.overfit_batches and getattr(self, name) is not None:
                yield (
                    name,
                    f"has no effect with overfit_batches={self.overfit_batches}, which sets it; leave it at null",
                )

    @rule(
        "fast_dev_run",
        "overfit_batches",
        "limit_train_batches",
        "limit_val_batches",
        "limit_test_batches",
        "limit_predict_batches",
        code=Code.UNUSED,
    )
    def _a_fast_dev_run_sets_its_own_limits(self) -> Iterator[Finding]:
        if not self.fast_dev_run:
            return
        batches = int(self.fast_dev_run)
        stages = f"fast_dev_run, which runs {batches} {'batch' if batches == 1 else 'batches'} of every stage"
        if self.overfit_batches:
            yield "overfit_batches", f"cannot be combined with {stages}; set it to 0"
        for name in ("limit_train_batches", "limit_val_batches", "limit_test_batches", "limit_predict_batches"):
            if getattr(self, name) is not None:
                yield name, f"has no effect with {stages}; leave it at null"

    @rule("devices")
    def _devices_are_named_once(self) -> Iterator[Finding]:
        if isinstance(self.devices, tuple) and len(set(self.devices)) < len(self.devices):
            yield "devices", f"{show(self.devices)} names a device twice"

    @rule("accelerator", "devices")
    def _cpu_devices_are_counted(self) -> Iterator[Finding]:
        if self.accelerator == "cpu" and (self.devices == -1 or isinstance(self.devices, tuple)):
            yield (
                "devices",
                f"with accelerator=cpu, expected a number of processes or 'auto', found {show(self.devices)}",
            )

    @rule("strategy", "devices", "num_nodes")
    def _one_device_means_one(self) -> Iterator[Finding]:
        if self.strategy not in ("single_device", "single_xla", "single_tpu"):
            return
        count = len(self.devices) if isinstance(self.devices, tuple) else self.devices
        if count not in (1, "auto"):
            yield "devices", f"strategy={self.strategy} uses one device, found {show(self.devices)}"
        if self.num_nodes > 1:
            yield "num_nodes", f"strategy={self.strategy} uses one device, found {self.num_nodes} machines"

    @rule("strategy", "accelerator")
    def _strategy_fits_the_accelerator(self) -> Iterator[Finding]:
        family = _family(self.strategy)
        if family in ("fsdp", "deepspeed") and self.accelerator in ("cpu", "mps", "tpu"):
            yield "strategy", f"{self.strategy} needs a GPU (accelerator=gpu), found accelerator={self.accelerator}"
        if family == "ddp" and self.accelerator == "mps":
            yield "strategy", f"{self.strategy} does not run on accelerator=mps, which is always one device; use 'auto'"
        if self.accelerator == "tpu" and self.strategy != "auto" and family != "xla":
            yield "strategy", f"accelerator=tpu needs 'auto', 'xla' or 'single_xla', found {show(self.strategy)}"
        if family == "xla" and self.accelerator not in ("auto", "tpu"):
            yield "strategy", f"{self.strategy} needs accelerator=tpu, found accelerator={self.accelerator}"

    @rule("accelerator", "devices")
    def _mps_is_one_device(self) -> Iterator[Finding]:
        if self.accelerator == "mps" and self.devices not in (1, "auto", -1, (0,)):
            yield "devices", f"accelerator=mps is always one device, found {show(self.devices)}"

    @rule("precision", "accelerator")
    def _precision_fits_the_accelerator(self) -> Iterator[Finding]:
        if self.accelerator == "cpu" and self.precision == "16-mixed":
            yield "precision", "'16-mixed' needs a GPU; on accelerator=cpu use 'bf16-mixed'"
        if self.accelerator in ("cpu", "mps", "tpu") and self.precision.startswith("transformer-engine"):
            yield "precision", f"{show(self.precision)} needs an NVIDIA GPU, found accelerator={self.accelerator}"

    @rule("precision", "strategy", "accelerator")
    def _precision_fits_the_strategy(self) -> Iterator[Finding]:
        family = "xla" if self.accelerator == "tpu" else _family(self.strategy)
        if family in _PRECISIONS and self.precision not in _PRECISIONS[family]:
            by = "accelerator=tpu" if self.accelerator == "tpu" else f"strategy={self.strategy}"
            yield "precision", f"{by} computes in {one_of(_PRECISIONS[family])}, found {show(self.precision)}"

    @rule("plugins")
    def _one_plugin_of_a_kind(self) -> Iterator[Finding]:
        for suffix, kind in _PLUGIN_KINDS.items():
            found = [plugin for plugin in self.plugins if plugin.endswith(suffix)]
            if len(found) > 1:
                yield "plugins", f"names more than one {kind}: {', '.join(found)}"
        for plugin in ("torch_sync_batch_norm", "async_checkpoint_io"):
            if self.plugins.count(plugin) > 1:
                yield "plugins", f"names {plugin} twice"

    @rule("strategy", "accelerator", "precision", "profiler", "plugins", "model_registry", code=Code.ENVIRONMENT)
    def _packages_are_installed(self) -> Iterator[Finding]:
        wanted = {
            "strategy": "deepspeed" if _family(self.strategy) == "deepspeed" else None,
            "accelerator": "torch_xla" if self.accelerator == "tpu" or _family(self.strategy) == "xla" else None,
            "precision": "transformer_engine" if self.precision.startswith("transformer-engine") else None,
            "profiler": "torch_xla" if self.profiler == "xla" else None,
            "plugins": "mpi4py" if "mpi_environment" in self.plugins else None,
            "model_registry": "litmodels" if self.model_registry is not None else None,
        }
        for name, package in wanted.items():
            if package is not None and find_spec(package) is None:
                value = show(getattr(self, name))
                yield name, f"{value} needs the package {package}, which is not installed"

    @rule(
        "barebones",
        "enable_checkpointing",
        "enable_progress_bar",
        "enable_model_summary",
        "log_every_n_steps",
        "num_sanity_val_steps",
        "fast_dev_run",
        "detect_anomaly",
        "profiler",
    )
    def _barebones_leaves_all_else_out(self) -> Iterator[Finding]:
        if not self.barebones:
            return
        for name, off in {
            "enable_checkpointing": "false",
            "enable_progress_bar": "false",
            "enable_model_summary": "false",
            "log_every_n_steps": "0",
            "num_sanity_val_steps": "0",
            "fast_dev_run": "false",
            "detect_anomaly": "false",
            "profiler": "null",
        }.items():
            if value := getattr(self, name):
                yield name, f"must be {off} with barebones=true, found {show(value)}"

    def most_steps(self) -> int | None:
        """Optimizer steps that training cannot exceed, as far as that is known without the data."""
        limits = [steps for steps in (self.max_steps, self._steps_of_all_epochs()) if steps is not None and steps >= 0]
        return min(limits, default=None)

    def _steps_of_all_epochs(self) -> int | None:
        batches = self.overfit_batches or self.limit_train_batches
        if self.max_epochs < 0 or type(batches) is not int:
            return None
        return self.max_epochs * -(-batches // self.accumulate_grad_batches)

    @remark(Code.UNUSED)
    def _a_fast_dev_run_has_a_length(self) -> Iterator[Finding]:
        names = [
            "max_epochs",
            "max_steps",
            "min_epochs",
            "min_steps",
            "num_sanity_val_steps",
            "check_val_every_n_epoch",
        ]
        if self.fast_dev_run:
            found = "has no effect with fast_dev_run, which has a length of its own"
            yield from ((name, found) for name in (*names, "val_check_interval"))

    @remark(Code.UNUSED)
    def _one_limit_comes_first(self) -> Iterator[Finding]:
        if self.fast_dev_run or self.max_steps <= 0 or self.max_epochs <= 0:
            return
        if self.max_steps <= self.max_epochs:  # an epoch has one step at least
            yield (
                "max_epochs",
                f"has no effect: max_steps={self.max_steps} ends training before {self.max_epochs} epochs",
            )
        elif (steps := self._steps_of_all_epochs()) is not None and steps < self.max_steps:
            yield "max_steps", f"has no effect: max_epochs={self.max_epochs} ends training after {steps} steps at most"

    @remark(Code.UNUSED)
    def _an_epoch_has_enough_batches(self) -> Iterator[Finding]:
        batches = self.overfit_batches or self.limit_train_batches
        if type(batches) is int and 0 < batches < self.accumulate_grad_batches:
            found = f"an epoch has {batches} batches, and ends with a step: no more than those are added up"
            yield "accumulate_grad_batches", f"{found}, found {self.accumulate_grad_batches}"

    @remark(Code.UNUSED)
    def _there_is_validation(self) -> Iterator[Finding]:
        if self.limit_val_batches == 0:
            names = ("check_val_every_n_epoch", "val_check_interval", "num_sanity_val_steps")
            yield from ((name, "has no effect with limit_val_batches=0, which turns validation off") for name in names)

    @remark(Code.UNUSED)
    def _several_devices_share(self) -> Iterator[Finding]:
        if self.num_nodes == 1 and (self.devices == 1 or (isinstance(self.devices, tuple) and len(self.devices) == 1)):
            names = ("sync_batchnorm", "use_distributed_sampler")
            yield from ((name, "has no effect on one device") for name in names)

    @remark(Code.UNUSED)
    def _cudnn_is_there(self) -> Iterator[Finding]:
        if self.accelerator in ("cpu", "mps", "tpu"):
            yield "benchmark", f"is about cuDNN, and has no effect with accelerator={self.accelerator}"


def _family(strategy: str) -> str:
    """`ddp`, `fsdp`, `deepspeed` or `xla`; other strategies are their own family."""
    if strategy in ("single_xla", "single_tpu"):
        return "xla"
    return strategy.partition("_")[0]


OWN_DEFAULTS: Final[Mapping[str, str]] = {
    "max_epochs": "Lightning would train 1000 epochs and warn; a run that nobody limited should end soon.",
    "devices": "all devices would multiply the batch, so that a result would vary with the machine.",
    "precision": "the same as Lightning's null, by its name.",
    "deterministic": "two runs with one seed must agree; null would inherit what a sweep's previous job had set.",
    "benchmark": "null would inherit what a sweep's previous job had set.",
    "num_sanity_val_steps": "the same as Lightning's null outside barebones mode, by its number.",
    "log_every_n_steps": "Lightning's 50 is more than an epoch of a small data set, which it then warns about.",
    "plugins": "no plugins as an empty list instead of null.",
}
"""The fields whose default deliberately differs from Lightning's, with the reason."""

LEFT_OUT: Final[Mapping[str, str]] = {
    "logger": "chosen in the group logger",
    "callbacks": "chosen in the group callbacks",
    "default_root_dir": "the run directory",
}
"""The arguments of `lightning.Trainer` that come from other parts of a run's config."""

_TARGET = "lightning.Trainer"
register("trainer", "cpu", target=_TARGET, accelerator="cpu")(TrainerConfig)
register("trainer", "gpu", target=_TARGET, accelerator="gpu")(TrainerConfig)
register("trainer", "mps", target=_TARGET, accelerator="mps")(TrainerConfig)
register("trainer", "ddp", target=_TARGET, accelerator="gpu", devices="auto", strategy="ddp", sync_batchnorm=True)(
    TrainerConfig
)
register("trainer", "ddp_cpu", target=_TARGET, accelerator="cpu", devices=2, strategy="ddp_spawn")(TrainerConfig)
register("trainer", "debug", target=_TARGET, accelerator="cpu", fast_dev_run=True, detect_anomaly=True)(TrainerConfig)
register("trainer", "overfit", target=_TARGET, overfit_batches=3, max_epochs=20)(TrainerConfig)
register("trainer", "profile", target=_TARGET, max_epochs=1, profiler="simple")(TrainerConfig)
register("trainer", "barebones", target=_TARGET, barebones=True, log_every_n_steps=0, num_sanity_val_steps=0)(
    TrainerConfig
)
