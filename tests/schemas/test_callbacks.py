import inspect
from collections.abc import Mapping
from typing import Any

import pytest
from lightning.pytorch import callbacks as lightnings

from app.schemas.annotations import field_types
from app.schemas.callbacks import (
    LEFT_OUT,
    NOT_OFFERED,
    OWN_DEFAULTS,
    BatchSizeFinderConfig,
    CheckpointConfig,
    DeviceStatsConfig,
    EarlyStoppingConfig,
    FreezeConfig,
    FrozenEpochs,
    GradientAccumulationConfig,
    LearningRateFinderConfig,
    ProgressBarConfig,
    ProgressBarTheme,
    PruningConfig,
    SpikeDetectionConfig,
    StochasticWeightAveragingConfig,
    TimerConfig,
    TQDMProgressBarConfig,
)
from app.schemas.codes import Code
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import Option, options
from app.schemas.rules import remarks

BEST: dict[str, Any] = {"monitor": "val/loss", "mode": "min"}

BROKEN: list[tuple[type, dict[str, Any], str, str]] = [
    (FrozenEpochs, {"first": 3, "until": 3}, "until", "expected more than first=3, found 3: no epoch lies between"),
    (
        FreezeConfig,
        {"parts": {".body": FrozenEpochs(), "body.0": FrozenEpochs()}},
        "parts[body.0]",
        "overlaps with '.body'; name separate parts",
    ),
    (
        CheckpointConfig,
        {"monitor": "val/loss"},
        "mode",
        "monitor=val/loss needs a mode: 'min' when lower is better, 'max' when higher is",
    ),
    (
        CheckpointConfig,
        {"save_top_k": 3},
        "save_top_k",
        "without a monitor, expected -1, 0 or 1, found 3: nothing ranks them",
    ),
    (
        CheckpointConfig,
        {"every_n_epochs": 1, "train_time_interval": "00:01:00:00"},
        "train_time_interval",
        "cannot be combined with every_n_epochs; set one of them to null",
    ),
    (
        CheckpointConfig,
        {"filename": "best/{epoch}"},
        "filename",
        "expected a file's name, found 'best/{epoch}'; put its folder into dirpath",
    ),
    (
        CheckpointConfig,
        {"filename": "{epoch"},
        "filename",
        "'{epoch' has a brace without its other half: expected '}' before end of string",
    ),
    (
        CheckpointConfig,
        {"filename": "{epoch}-{val/loss:.2f}", "auto_insert_metric_name": True},
        "auto_insert_metric_name",
        "true would make a folder of 'val/loss' in filename; set it to false",
    ),
    (
        EarlyStoppingConfig,
        BEST | {"stopping_threshold": 2.0, "divergence_threshold": 1.0},
        "stopping_threshold",
        "with mode=min, expected it below divergence_threshold, 1.0",
    ),
    (
        EarlyStoppingConfig,
        {"monitor": "a", "mode": "max", "stopping_threshold": 0.5, "divergence_threshold": 0.9},
        "stopping_threshold",
        "with mode=max, expected it above divergence_threshold, 0.9",
    ),
    (
        ProgressBarTheme,
        {"metrics_format": "three"},
        "metrics_format",
        "expected a format of Python such as '.3f', found 'three'",
    ),
    (
        GradientAccumulationConfig,
        {"scheduling": {}},
        "scheduling",
        "needs an epoch with its number of batches, such as {0: 1, 4: 2}",
    ),
    (
        GradientAccumulationConfig,
        {"scheduling": {-1: 2}},
        "scheduling[-1]",
        "expected an epoch of at least 0, found -1",
    ),
    (
        GradientAccumulationConfig,
        {"scheduling": {4: 0}},
        "scheduling[4]",
        "expected a number of batches of at least 1, found 0",
    ),
    (StochasticWeightAveragingConfig, {"swa_lrs": []}, "swa_lrs", "needs at least one learning rate"),
    (
        PruningConfig,
        {"pruning_fn": "random_structured", "pruning_dim": 0},
        "use_global_unstructured",
        "must be false with pruning_fn=random_structured",
    ),
    (
        PruningConfig,
        {"pruning_fn": "random_structured", "use_global_unstructured": False},
        "pruning_dim",
        "pruning_fn=random_structured needs a dimension, such as 0",
    ),
    (
        PruningConfig,
        {"pruning_fn": "ln_structured", "use_global_unstructured": False, "pruning_dim": 0},
        "pruning_norm",
        "pruning_fn=ln_structured needs a norm, such as 2",
    ),
    (
        PruningConfig,
        {"pruning_fn": "ln_structured", "use_global_unstructured": False, "pruning_dim": 0, "pruning_norm": 2},
        "parameter_names",
        "with pruning_fn=ln_structured, expected [weight], found null, which is both: no bias has rows",
    ),
    (
        PruningConfig,
        {"pruning_fn": "l1_unstructured", "make_pruning_permanent": False},
        "make_pruning_permanent",
        (
            "false leaves masks in the layers, which use_lottery_ticket_hypothesis copies for the test; "
            "set that to false too, or this to true"
        ),
    ),
    (
        CheckpointConfig,
        {"dirpath": "foo://bucket"},
        "dirpath",
        "no files can be written to foo://; known: file, memory, s3, gs, gcs, az, abfs, hdfs, hf, oss, oci, sftp, ssh",
    ),
    (
        CheckpointConfig,
        {"dirpath": "memory://checkpoints", "save_last": "link"},
        "save_last",
        "'link' cannot be made at memory://; set it to true, which writes a copy",
    ),
    (
        SpikeDetectionConfig,
        {"rtol": None},
        "rtol",
        "with null here and atol=null, any change for the worse is a jump; set one of them",
    ),
    (
        LearningRateFinderConfig,
        {"min_lr": 1.0, "max_lr": 0.1},
        "min_lr",
        "expected less than max_lr, 0.1, found 1.0",
    ),
]

SOUND: list[tuple[type, dict[str, Any]]] = [
    (CheckpointConfig, {}),
    (CheckpointConfig, BEST | {"save_top_k": 3, "filename": "{epoch}-{val/loss:.2f}"}),
    (CheckpointConfig, {"every_n_epochs": 0, "every_n_train_steps": 100}),
    (CheckpointConfig, {"auto_insert_metric_name": True, "filename": "{epoch}-{step}"}),
    (EarlyStoppingConfig, BEST | {"stopping_threshold": 0.1, "divergence_threshold": 9.0}),
    (ProgressBarTheme, {"metrics_format": ".5e"}),
    (GradientAccumulationConfig, {"scheduling": {0: 1, 4: 2}}),
    (StochasticWeightAveragingConfig, {"swa_lrs": [0.1, 0.2], "device": "cuda:1"}),
    (
        PruningConfig,
        {
            "pruning_fn": "ln_structured",
            "pruning_dim": 0,
            "pruning_norm": 2,
            "use_global_unstructured": False,
            "parameter_names": ["weight"],
        },
    ),
    (
        PruningConfig,
        {
            "pruning_fn": "l1_unstructured",
            "make_pruning_permanent": False,
            "use_lottery_ticket_hypothesis": False,
        },
    ),
    (CheckpointConfig, {"dirpath": "memory://checkpoints"}),
    (SpikeDetectionConfig, {"rtol": None, "atol": 0.5}),
    (LearningRateFinderConfig, {"min_lr": 1e-4, "max_lr": 0.1}),
    (DeviceStatsConfig, {"cpu_stats": False}),
]


def refused(schema: type, **values: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        schema(**values)
    return {problem.path.removeprefix(f"{schema.__name__}."): problem.message for problem in caught.value.problems}


@pytest.mark.parametrize(("schema", "values", "path", "message"), BROKEN)
def test_what_cannot_work_is_refused_with_its_field(
    schema: type, values: dict[str, Any], path: str, message: str
) -> None:
    assert refused(schema, **values)[path] == message


@pytest.mark.parametrize(("schema", "values"), SOUND)
def test_what_can_work_is_accepted(schema: type, values: dict[str, Any]) -> None:
    config = schema(**values)
    for name, value in values.items():
        assert getattr(config, name) == (tuple(value) if isinstance(value, list) else value)


@pytest.mark.parametrize(
    ("schema", "values"),
    [
        (CheckpointConfig, {"save_top_k": -2}),
        (CheckpointConfig, {"train_time_interval": "1h"}),
        (CheckpointConfig, {"save_last": "copy"}),
        (EarlyStoppingConfig, {"monitor": "val/loss"}),
        (EarlyStoppingConfig, {"mode": "min"}),
        (EarlyStoppingConfig, BEST | {"patience": -1}),
        (EarlyStoppingConfig, {"monitor": "", "mode": "min"}),
        (StochasticWeightAveragingConfig, {"swa_lrs": -0.1}),
        (StochasticWeightAveragingConfig, {"swa_lrs": 0.1, "swa_epoch_start": 1.5}),
        (StochasticWeightAveragingConfig, {"swa_lrs": 0.1, "device": "gpu"}),
        (TimerConfig, {"duration": "12:00"}),
        (PruningConfig, {"pruning_fn": "l1_structured"}),
        (PruningConfig, {"pruning_fn": "l1_unstructured", "amount": 1.5}),
        (GradientAccumulationConfig, {"scheduling": {"four": 2}}),
    ],
)
def test_a_value_out_of_range_is_refused(schema: type, values: dict[str, Any]) -> None:
    assert refused(schema, **values)


def test_device_figures_need_psutil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.callbacks.find_spec", lambda _: None)
    message = "the CPU's figures need psutil (pip install psutil); false logs a GPU's figures alone"
    assert refused(DeviceStatsConfig) == {"cpu_stats": message}
    assert refused(DeviceStatsConfig, cpu_stats=True) == {"cpu_stats": message}
    monkeypatch.setattr("app.schemas.callbacks.find_spec", lambda _: object())
    assert DeviceStatsConfig(cpu_stats=True).cpu_stats is True


LIGHTNINGS = {name: option for name, option in options["callbacks"].items() if option.target.startswith("lightning.")}
"""The options that are not our own, whose arguments are held against their fields with those of all options."""


def test_every_public_callback_is_an_option_or_named_with_its_reason() -> None:
    offered = {option.target.rpartition(".")[2] for option in LIGHTNINGS.values()}
    assert offered.isdisjoint(NOT_OFFERED)
    assert offered | set(NOT_OFFERED) == set(lightnings.__all__)


def _live_parameters(option: Option) -> Mapping[str, inspect.Parameter]:
    parameters = dict(inspect.signature(getattr(lightnings, option.target.rpartition(".")[2]).__init__).parameters)
    del parameters["self"]
    return parameters


@pytest.mark.parametrize("option", LIGHTNINGS.values(), ids=LIGHTNINGS)
def test_every_argument_of_a_callback_is_a_field_or_left_out_for_a_reason(option: Option) -> None:
    left_out = set(LEFT_OUT.get(option.schema, {}))
    fields = set(field_types(option.schema))
    arguments = set(_live_parameters(option))
    if "kwargs" in left_out:
        assert arguments - left_out <= fields
    else:
        assert fields | left_out == arguments
    assert fields.isdisjoint(left_out)


@pytest.mark.parametrize("option", LIGHTNINGS.values(), ids=LIGHTNINGS)
def test_defaults_are_lightnings_unless_a_reason_is_given(option: Option, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = _live_parameters(option)
    required = {
        name
        for name, parameter in inspect.signature(option.schema).parameters.items()
        if parameter.default is inspect.Parameter.empty
    }
    values: dict[str, Any] = {
        "monitor": "val/loss",
        "mode": "min",
        "scheduling": {0: 1},
        "swa_lrs": 0.1,
        "pruning_fn": "l1_unstructured",
    }
    monkeypatch.setattr("app.schemas.callbacks.find_spec", lambda _: object())
    config = option.schema(**{name: values[name] for name in required})
    differing = {
        name
        for name in set(field_types(option.schema)) & set(parameters) - required
        if getattr(config, name) != parameters[name].default
    }
    assert differing == set(OWN_DEFAULTS.get(option.schema, {}))
    # Where Lightning has a default and the schema none, the user has to decide: only for the direction of a metric.
    undecided = {name for name in required if parameters[name].default is not inspect.Parameter.empty}
    assert undecided <= {"mode"}


def test_the_metric_of_the_task_is_what_is_monitored() -> None:
    for name in ("checkpoint", "early_stopping"):
        assert options["callbacks"][name].preset == {"monitor": "${task.monitor}", "mode": "${task.mode}"}


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (CheckpointConfig(), set()),
        (CheckpointConfig(mode="min"), {"mode"}),
        (CheckpointConfig(monitor="val/loss", mode="min"), set()),
        (
            CheckpointConfig(monitor="val/loss", mode="min", save_top_k=0),
            {"monitor", "mode", "filename", "auto_insert_metric_name", "enable_version_counter"},
        ),
        (EarlyStoppingConfig(monitor="val/loss", mode="min"), {"log_rank_zero_only"}),
        (EarlyStoppingConfig(monitor="val/loss", mode="min", verbose=True), set()),
        (ProgressBarConfig(refresh_rate=0), {"leave", "theme", "console_kwargs"}),
        (ProgressBarConfig(), set()),
        (TQDMProgressBarConfig(refresh_rate=0), {"leave", "process_position"}),
        (TQDMProgressBarConfig(), set()),
        (FreezeConfig(), {"norm_statistics"}),
        (FreezeConfig(parts={".head": FrozenEpochs()}), set()),
        (TimerConfig(), {"interval", "verbose"}),
        (TimerConfig(duration="00:01:00:00"), set()),
        (PruningConfig(pruning_fn="l1_unstructured"), {"pruning_dim", "pruning_norm"}),
        (
            PruningConfig(pruning_fn="l1_unstructured", use_lottery_ticket_hypothesis=False),
            {"pruning_dim", "pruning_norm", "resample_parameters"},
        ),
        (
            PruningConfig(
                pruning_fn="ln_structured",
                pruning_dim=0,
                pruning_norm=2,
                use_global_unstructured=False,
                parameter_names=("weight",),
            ),
            set(),
        ),
        (
            PruningConfig(pruning_fn="l1_unstructured", apply_pruning=False),
            {"pruning_fn", "amount", "parameter_names", "pruning_dim", "pruning_norm", "resample_parameters"},
        ),
        (BatchSizeFinderConfig(), {"margin"}),
        (BatchSizeFinderConfig(mode="binsearch"), set()),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected
