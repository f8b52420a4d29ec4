import inspect
from typing import Any, get_args

import pytest

from app.schemas import trainer
from app.schemas.annotations import field_types
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import options
from app.schemas.rules import remarks
from app.schemas.trainer import LEFT_OUT, OWN_DEFAULTS, TrainerConfig


def refused(**values: Any) -> dict[str, str]:
    """The message for every field that a config with these values may not have."""
    with pytest.raises(ConfigError) as caught:
        TrainerConfig(**values)
    return {problem.path.removeprefix("TrainerConfig."): problem.message for problem in caught.value.problems}


BARE: dict[str, Any] = {"barebones": True, "log_every_n_steps": 0, "num_sanity_val_steps": 0}

NO_TIME = "expected a length of time as 'DD:HH:MM:SS' (days, hours, minutes, seconds)"

BROKEN: list[tuple[dict[str, Any], str, str]] = [
    ({"max_epochs": -1}, "max_epochs", "-1 never ends; set a number of epochs, or max_steps or max_time"),
    ({"min_epochs": 21}, "min_epochs", "21 is more than max_epochs, 20"),
    ({"min_steps": 5, "max_steps": 4}, "min_steps", "5 is more than max_steps, 4"),
    (
        {"gradient_clip_algorithm": "norm"},
        "gradient_clip_val",
        "gradient_clip_algorithm=norm needs a value above 0 here",
    ),
    (
        {"benchmark": True},
        "benchmark",
        "true picks algorithms by their speed in this run; set deterministic to false with it",
    ),
    (
        {"max_time": "1:00:00"},
        "max_time",
        f"{NO_TIME}, found '1:00:00'",
    ),
    (
        {"val_check_interval": "1:00"},
        "val_check_interval",
        f"{NO_TIME}, found '1:00'; a number of batches or a share of the epoch would do too",
    ),
    (
        {"check_val_every_n_epoch": None, "val_check_interval": 0.5},
        "val_check_interval",
        "with check_val_every_n_epoch=null, expected a number of batches or a length of time 'DD:HH:MM:SS', found 0.5",
    ),
    (
        {"check_val_every_n_epoch": None},
        "val_check_interval",
        "with check_val_every_n_epoch=null, expected a number of batches or a length of time 'DD:HH:MM:SS', found null",
    ),
    (
        {"val_check_interval": 20, "limit_train_batches": 10},
        "val_check_interval",
        "20 is more than limit_train_batches, 10; set check_val_every_n_epoch=null to count batches across epochs",
    ),
    (
        {"val_check_interval": 20, "overfit_batches": 10},
        "val_check_interval",
        "20 is more than overfit_batches, 10; set check_val_every_n_epoch=null to count batches across epochs",
    ),
    (
        {"overfit_batches": 3, "limit_train_batches": 0.5},
        "limit_train_batches",
        "has no effect with overfit_batches=3, which sets it; leave it at null",
    ),
    (
        {"overfit_batches": 0.1, "limit_val_batches": 2},
        "limit_val_batches",
        "has no effect with overfit_batches=0.1, which sets it; leave it at null",
    ),
    (
        {"fast_dev_run": True, "overfit_batches": 3},
        "overfit_batches",
        "cannot be combined with fast_dev_run, which runs 1 batch of every stage; set it to 0",
    ),
    (
        {"fast_dev_run": 2, "limit_test_batches": 1.0},
        "limit_test_batches",
        "has no effect with fast_dev_run, which runs 2 batches of every stage; leave it at null",
    ),
    ({"devices": [0, 0]}, "devices", "the list [0, 0] names a device twice"),
    (
        {"accelerator": "cpu", "devices": [0]},
        "devices",
        "with accelerator=cpu, expected a number of processes or 'auto', found the list [0]",
    ),
    (
        {"accelerator": "cpu", "devices": -1},
        "devices",
        "with accelerator=cpu, expected a number of processes or 'auto', found -1",
    ),
    ({"strategy": "single_device", "devices": 2}, "devices", "strategy=single_device uses one device, found 2"),
    (
        {"strategy": "single_device", "num_nodes": 2},
        "num_nodes",
        "strategy=single_device uses one device, found 2 machines",
    ),
    (
        {"strategy": "fsdp", "accelerator": "cpu"},
        "strategy",
        "fsdp needs a GPU (accelerator=gpu), found accelerator=cpu",
    ),
    (
        {"strategy": "ddp_spawn", "accelerator": "mps"},
        "strategy",
        "ddp_spawn does not run on accelerator=mps, which is always one device; use 'auto'",
    ),
    (
        {"strategy": "ddp", "accelerator": "tpu"},
        "strategy",
        "accelerator=tpu needs 'auto', 'xla' or 'single_xla', found 'ddp'",
    ),
    ({"strategy": "xla", "accelerator": "gpu"}, "strategy", "xla needs accelerator=tpu, found accelerator=gpu"),
    ({"accelerator": "mps", "devices": 2}, "devices", "accelerator=mps is always one device, found 2"),
    (
        {"accelerator": "cpu", "precision": "16-mixed"},
        "precision",
        "'16-mixed' needs a GPU; on accelerator=cpu use 'bf16-mixed'",
    ),
    (
        {"strategy": "fsdp", "accelerator": "gpu", "precision": "64-true"},
        "precision",
        "strategy=fsdp computes in '32-true', '16-mixed', 'bf16-mixed', '16-true' or 'bf16-true', found '64-true'",
    ),
    (
        {"accelerator": "tpu", "precision": "bf16-mixed"},
        "precision",
        "accelerator=tpu computes in '32-true', '16-true' or 'bf16-true', found 'bf16-mixed'",
    ),
    ({"plugins": ["async_checkpoint_io"] * 2}, "plugins", "names async_checkpoint_io twice"),
    (
        {"plugins": ["slurm_environment", "lsf_environment"]},
        "plugins",
        "names more than one cluster environment: slurm_environment, lsf_environment",
    ),
    ({"plugins": ["torch_sync_batch_norm"] * 2}, "plugins", "names torch_sync_batch_norm twice"),
    (
        {"strategy": "deepspeed", "accelerator": "gpu"},
        "strategy",
        "'deepspeed' needs the package deepspeed, which is not installed",
    ),
    ({"accelerator": "tpu"}, "accelerator", "'tpu' needs the package torch_xla, which is not installed"),
    ({"profiler": "xla"}, "profiler", "'xla' needs the package torch_xla, which is not installed"),
    ({"model_registry": "digits"}, "model_registry", "'digits' needs the package litmodels, which is not installed"),
    (BARE | {"enable_checkpointing": True}, "enable_checkpointing", "must be false with barebones=true, found true"),
    (BARE | {"enable_progress_bar": True}, "enable_progress_bar", "must be false with barebones=true, found true"),
    (BARE | {"enable_model_summary": True}, "enable_model_summary", "must be false with barebones=true, found true"),
    (BARE | {"log_every_n_steps": 5}, "log_every_n_steps", "must be 0 with barebones=true, found 5"),
    (BARE | {"num_sanity_val_steps": 2}, "num_sanity_val_steps", "must be 0 with barebones=true, found 2"),
    (BARE | {"fast_dev_run": 3}, "fast_dev_run", "must be false with barebones=true, found 3"),
    (BARE | {"detect_anomaly": True}, "detect_anomaly", "must be false with barebones=true, found true"),
    (BARE | {"profiler": "simple"}, "profiler", "must be null with barebones=true, found 'simple'"),
]

SOUND: list[dict[str, Any]] = [
    {"max_epochs": -1, "max_steps": 100},
    {"max_epochs": -1, "max_time": "00:12:00:00"},
    {"max_epochs": -1, "fast_dev_run": True},
    {"min_epochs": 10, "max_epochs": 10},
    {"min_epochs": 5, "max_epochs": -1, "max_steps": 1000},
    {"min_steps": 5, "max_steps": 5},
    {"min_steps": 5},
    {"gradient_clip_algorithm": "value", "gradient_clip_val": 0.5},
    {"gradient_clip_val": 1},
    {"benchmark": True, "deterministic": False},
    {"val_check_interval": "00:00:30:00"},
    {"val_check_interval": 0.25},
    {"check_val_every_n_epoch": None, "val_check_interval": 100},
    {"check_val_every_n_epoch": None, "val_check_interval": "00:01:00:00"},
    {"check_val_every_n_epoch": None, "val_check_interval": 20, "limit_train_batches": 10},
    {"val_check_interval": 10, "limit_train_batches": 10},
    {"overfit_batches": 0.1, "limit_test_batches": 3},
    {"fast_dev_run": 5, "max_epochs": 100},
    {"fast_dev_run": False, "limit_train_batches": 0.1, "limit_val_batches": 0},
    {"devices": [0, 1], "accelerator": "gpu"},
    {"devices": "auto", "accelerator": "cpu"},
    {"devices": 4, "accelerator": "cpu", "strategy": "ddp_spawn"},
    {"strategy": "single_device", "devices": [1], "accelerator": "gpu"},
    {"strategy": "fsdp", "accelerator": "gpu", "precision": "bf16-mixed"},
    {"accelerator": "mps", "devices": 1},
    {"accelerator": "cpu", "precision": "bf16-mixed"},
    {"accelerator": "gpu", "precision": "16-mixed"},
    {"plugins": ["async_checkpoint_io", "slurm_environment", "torch_sync_batch_norm"]},
    {"sync_batchnorm": True, "plugins": ["torch_sync_batch_norm"]},
    BARE,
    BARE | {"enable_checkpointing": False, "enable_progress_bar": False, "profiler": None},
]


def _named(values: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in values.items())


@pytest.mark.parametrize(("values", "path", "message"), BROKEN, ids=[_named(values) for values, *_ in BROKEN])
def test_what_cannot_run_is_refused_with_its_field(values: dict[str, Any], path: str, message: str) -> None:
    assert refused(**values)[path] == message


@pytest.mark.parametrize("values", SOUND, ids=_named)
def test_what_can_run_is_accepted(values: dict[str, Any]) -> None:
    config = TrainerConfig(**values)
    for name, value in values.items():
        assert getattr(config, name) == (tuple(value) if isinstance(value, list) else value)


def test_every_rule_is_shown_to_fire() -> None:
    """A rule that no line of the table above can trigger would be untested."""
    rules = [member for member in vars(TrainerConfig).values() if hasattr(member, "reads")]
    fired: set[str] = set()
    for values, *_ in BROKEN:
        config = TrainerConfig()
        for name, value in values.items():
            config.__dict__[name] = tuple(value) if isinstance(value, list) else value
        fired |= {method.__name__ for method in rules if list(method(config))}
    assert fired == {method.__name__ for method in rules}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_epochs", -2),
        ("max_epochs", None),
        ("max_epochs", 1.5),
        ("devices", 0),
        ("devices", []),
        ("devices", "2"),
        ("precision", 16),
        ("precision", "16"),
        ("limit_train_batches", 1.5),
        ("limit_train_batches", -1),
        ("val_check_interval", 0),
        ("val_check_interval", 1.5),
        ("check_val_every_n_epoch", 0),
        ("fast_dev_run", -1),
        ("deterministic", "yes"),
        ("gradient_clip_val", -1.0),
        ("gradient_clip_val", float("nan")),
        ("accumulate_grad_batches", 0),
        ("plugins", ["deepspeed"]),
        ("max_time", "00:12:00:00\n"),
        ("inference_mode", 1),
    ],
)
def test_a_value_out_of_range_is_refused(field: str, value: object) -> None:
    assert list(refused(**{field: value})) == [field] or list(refused(**{field: value})) == [f"{field}[0]"]


@pytest.mark.parametrize(
    ("found", "meant"),
    [(16, "16-mixed"), ("fp16", "16-mixed"), ("bf16", "bf16-mixed"), ("32", "32-true"), (64, "64-true")],
)
def test_a_short_precision_is_answered_with_what_lightning_means_by_it(found: object, meant: str) -> None:
    assert refused(precision=found)["precision"].endswith(f"found {found!r}; did you mean '{meant}'?")
    assert TrainerConfig(precision=meant).precision == meant  # type: ignore[arg-type]  # one of the choices


def test_a_misspelt_choice_is_answered_with_the_right_one() -> None:
    assert refused(strategy="dpp")["strategy"].endswith("found 'dpp'; did you mean 'ddp'?")


def test_every_argument_of_the_trainer_can_be_set() -> None:
    from lightning import Trainer

    arguments = set(inspect.signature(Trainer).parameters)
    assert arguments == set(field_types(TrainerConfig)) | set(LEFT_OUT)
    assert not set(field_types(TrainerConfig)) & set(LEFT_OUT)


def test_defaults_are_lightnings_unless_a_reason_is_given() -> None:
    from lightning import Trainer

    parameters = inspect.signature(Trainer).parameters
    config = TrainerConfig()
    differing = {name for name in field_types(TrainerConfig) if getattr(config, name) != parameters[name].default}
    assert differing == set(OWN_DEFAULTS)


def test_the_choices_are_lightnings() -> None:
    from lightning.fabric.plugins.precision.precision import _PRECISION_INPUT_STR
    from lightning.pytorch.accelerators import AcceleratorRegistry
    from lightning.pytorch.strategies import StrategyRegistry
    from lightning.pytorch.utilities import GradClipAlgorithmType

    assert set(get_args(trainer.Strategy)) == {"auto", *StrategyRegistry.available_strategies()}
    assert set(get_args(trainer.Accelerator)) == {"auto", "gpu", *AcceleratorRegistry.available_accelerators()}
    assert set(get_args(trainer.Precision)) == set(get_args(_PRECISION_INPUT_STR))
    assert {"norm", "value"} == {str(kind.value) for kind in GradClipAlgorithmType}


def test_the_options_are_the_ones_that_are_documented() -> None:
    assert list(options["trainer"]) == [
        "default",
        "cpu",
        "gpu",
        "mps",
        "ddp",
        "ddp_cpu",
        "debug",
        "overfit",
        "profile",
        "barebones",
    ]
    for option in options["trainer"].values():
        TrainerConfig(**option.preset)  # type: ignore[arg-type]  # presets are checked right here


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


ONE_DEVICE = {"sync_batchnorm", "use_distributed_sampler"}
OWN_LENGTH = {"max_epochs", "max_steps", "min_epochs", "min_steps"}
VALIDATION = {"num_sanity_val_steps", "check_val_every_n_epoch", "val_check_interval"}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (TrainerConfig(), ONE_DEVICE),
        (TrainerConfig(devices=2), set()),
        (TrainerConfig(devices=(1,)), ONE_DEVICE),
        (TrainerConfig(num_nodes=2), set()),
        (TrainerConfig(accelerator="cpu"), ONE_DEVICE | {"benchmark"}),
        (TrainerConfig(accelerator="gpu"), ONE_DEVICE),
        (TrainerConfig(fast_dev_run=True), ONE_DEVICE | OWN_LENGTH | VALIDATION),
        (TrainerConfig(limit_val_batches=0), ONE_DEVICE | VALIDATION),
        (TrainerConfig(max_steps=20), ONE_DEVICE | {"max_epochs"}),
        (TrainerConfig(max_steps=21), ONE_DEVICE),
        (TrainerConfig(max_steps=21, max_epochs=-1), ONE_DEVICE),
        (TrainerConfig(max_steps=201, limit_train_batches=10), ONE_DEVICE | {"max_steps"}),
        (TrainerConfig(max_steps=200, limit_train_batches=10), ONE_DEVICE),
        (TrainerConfig(max_steps=41, limit_train_batches=10, accumulate_grad_batches=8), ONE_DEVICE | {"max_steps"}),
        (TrainerConfig(max_steps=201, limit_train_batches=0.5), ONE_DEVICE),
        (TrainerConfig(limit_train_batches=3, accumulate_grad_batches=4), ONE_DEVICE | {"accumulate_grad_batches"}),
        (TrainerConfig(limit_train_batches=4, accumulate_grad_batches=4), ONE_DEVICE),
        (TrainerConfig(limit_train_batches=0.1, accumulate_grad_batches=4), ONE_DEVICE),
        (TrainerConfig(max_steps=61, overfit_batches=3), ONE_DEVICE | {"max_steps"}),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected
