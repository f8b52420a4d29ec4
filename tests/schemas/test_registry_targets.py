"""Every option against the live class that it configures, and every schema against what a reader needs."""

import ast
import dataclasses
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin

import pytest

from app.builders.run import PARTS_OF_A_MODULE
from app.schemas import callbacks, loggers, trainer
from app.schemas.annotations import field_types
from app.schemas.augmentations.composition import OneOfConfig, SequenceConfig, SomeOfConfig
from app.schemas.augmentations.libraries import AlbumentationsConfig, KorniaConfig
from app.schemas.callbacks import (
    ConsoleOptions,
    EarlyStoppingConfig,
    ExportBestConfig,
    ProgressBarTheme,
    ThroughputConfig,
)
from app.schemas.datamodule import DataLoaderConfig
from app.schemas.loggers import MLFlowLoggerConfig, WandbLoggerConfig
from app.schemas.losses.torch_losses import ClassWeightedLoss, KLDivConfig, TripletMarginWithDistanceConfig
from app.schemas.metrics import aggregation, regression, segmentation
from app.schemas.modules import MLPModuleConfig
from app.schemas.parts.heads import MultiHeadConfig
from app.schemas.registry import Option, groups, options
from app.schemas.run import DEFAULT_OPTIONS, RunConfig
from app.schemas.schedulers import CyclicLRSpec
from app.schemas.schema import frozen, import_path, schemas
from app.tasks import import_task_configs
from app.tasks.digits.config import CNNModuleConfig
from app.tasks.tabular.config import TabularTaskConfig

import_task_configs()

Reasons = Mapping[str, str]
"""Names of fields or arguments, each with why it is an exception."""

WEIGHTED: Final = [option.schema for option in options["loss"].values() if issubclass(option.schema, ClassWeightedLoss)]

FIELDS_FOR_THE_BUILDER: Final[Mapping[Any, Reasons]] = {
    "optimizer_spec": {
        "params": "becomes the parameter groups, the constructor's first argument",
        "paramwise": "factors that divide the groups further",
        "filter_requires_grad": "decides which parameters are in them",
    },
    "scheduler_spec": dict.fromkeys(
        ("interval", "frequency", "monitor", "strict"), "told to Lightning, which steps the scheduler"
    ),
    "loss": dict.fromkeys(("mapping", "phases", "weight"), "the joint loss's, whatever the term is"),
    "metrics": {"mapping": "the outputs that go into the metric's update", "phases": "when it is updated"},
    "augmentation": {"probability": "which images a step is given, whichever it is"},
    TripletMarginWithDistanceConfig: {"distance": "names the function"},
    **{schema: {"class_weights": "becomes the tensor weight"} for schema in WEIGHTED},
}
"""The fields of a group's options that are no arguments of their targets."""

ARGUMENTS_FROM_THE_BUILDER: Final[Mapping[Any, Reasons]] = {
    "optimizer_spec": {"params": "the model's parameters"},
    "scheduler_spec": {"optimizer": "made from the optimizer_spec"},
    "module": dict.fromkeys(PARTS_OF_A_MODULE, "another part of the run's config"),
    "datamodule": {"task": "another part of the run's config"},
    "logger": {"save_dir": "the run directory", "name": "the run directory's", "version": "in the run directory"},
    MLFlowLoggerConfig: {"run_config": "the whole config, for the record"},
    ThroughputConfig: {"batch_size_fn": "the first dimension of a batch"},
    ExportBestConfig: {"folder": "the run directory", "describe": "the run's config, for the record"},
    TripletMarginWithDistanceConfig: {"distance_function": "the one that distance names"},
    **{schema: {"weight": "made from class_weights"} for schema in WEIGHTED},
    "backbone": {"in_channels": "the channels of the task's images", "input_shape": "the shape of the task's inputs"},
    "neck": dict.fromkeys(("in_channels", "reductions"), "what the backbone gives"),
    "head": {"in_channels": "what the part before it gives"},
}
"""The arguments of a group's or a schema's targets that the builder finds elsewhere."""

ARGUMENTS_LEFT_OUT: Final[Mapping[Any, Reasons]] = {
    "scheduler_spec": {"last_epoch": "a resumed run restores the scheduler's whole state"},
    CyclicLRSpec: {"scale_fn": "a function", "scale_mode": "belongs to scale_fn"},
    "trainer": trainer.LEFT_OUT,
    "loss": dict.fromkeys(("size_average", "reduce"), "old names of reduction"),
    "metrics": {"validate_args": "false: looking for impossible targets waits for the device at each step"},
    **aggregation.LEFT_OUT,
    **callbacks.LEFT_OUT,
    **loggers.LEFT_OUT,
}
"""The arguments of a group's or a schema's targets that no config can set."""

OWN_DEFAULTS: Final[Mapping[Any, Reasons]] = {
    "trainer": trainer.OWN_DEFAULTS,
    CNNModuleConfig: {"model_config": "a model is told each of its sizes; its config starts from good ones"},
    MLPModuleConfig: {"model_config": "a model is told each of its sizes; its config starts from good ones"},
    TabularTaskConfig: dict.fromkeys(
        ("table", "kind", "input_shape", "num_classes", "test_fingerprint", "monitor"),
        "made by a factory, from the table where it is a fact of that; a signature cannot show it",
    ),
    **callbacks.OWN_DEFAULTS,
    **loggers.OWN_DEFAULTS,
    EarlyStoppingConfig: {"mode": "has none: Lightning's 'min' would stop too early what should rise"},
    DataLoaderConfig: {"batch_size": "torch's 1 is hardly ever meant"},
    WandbLoggerConfig: {"tags": "no tags as an empty list instead of null"},
    SequenceConfig: {"steps": "starts without any, so that overrides can add them"},
    OneOfConfig: dict.fromkeys(("steps", "weights"), "starts without any, so that overrides can add them"),
    SomeOfConfig: {"steps": "starts without any, so that overrides can add them", "count": "a few are two"},
    KorniaConfig: {"arguments": "many transforms need none"},
    AlbumentationsConfig: {"arguments": "many transforms need none"},
    MultiHeadConfig: {"heads": "starts without any, so that overrides can add them"},
    KLDivConfig: {"reduction": "torch's mean is no divergence, and warns"},
    **aggregation.OWN_DEFAULTS,
    **regression.OWN_DEFAULTS,
    **segmentation.OWN_DEFAULTS,
}
"""The fields that start from another value than the argument."""

TAKES_ITS_CONFIG: Final = {"datamodule": "datamodule_config"}
"""Groups whose targets take the config itself, as this argument, and no fields."""

KEYWORDS_GO_TO: Final = {
    "lightning.pytorch.loggers.TensorBoardLogger": "torch.utils.tensorboard.SummaryWriter",
    "app.builders.loggers.RunWandbLogger": "wandb.init",
    "lightning.pytorch.callbacks.ThroughputMonitor": "lightning.fabric.utilities.throughput.Throughput",
}
"""What takes the `**kwargs` of a target, where that is no class it derives from."""

PARTS: Final[Mapping[type, str]] = {
    DataLoaderConfig: "torch.utils.data.DataLoader",
    ProgressBarTheme: "lightning.pytorch.callbacks.progress.rich_progress.RichProgressBarTheme",
    ConsoleOptions: "rich.console.Console",
}
"""Schemas that are no options, but parts of them with a live class of their own."""

ALL: Final = {f"{option.group.name}={option.name}": option for named in options.values() for option in named.values()}
OURS: Final = {path: cls for path, cls in schemas.items() if path.startswith("app.")}
NOTHING: Final = inspect.Parameter.empty


def test_nothing_is_passed_over() -> None:
    assert set(options) == set(groups) > set(DEFAULT_OPTIONS)
    assert all(options.values())
    assert len(ALL) > 170
    assert import_path(RunConfig) in OURS


@pytest.mark.parametrize("option", ALL.values(), ids=ALL)
def test_a_target_takes_what_its_schema_says(option: Option) -> None:
    group = option.group.name
    arguments, keywords = arguments_of(option.target)
    handed_on = arguments_of(KEYWORDS_GO_TO[option.target])[0] if option.target in KEYWORDS_GO_TO else {}
    given, left_out = named(ARGUMENTS_FROM_THE_BUILDER, option), named(ARGUMENTS_LEFT_OUT, option)
    fields = defaults_of(option.schema)
    told = {name: default for name, default in fields.items() if name not in named(FIELDS_FOR_THE_BUILDER, option)}
    if group in TAKES_ITS_CONFIG:
        told = {TAKES_ITS_CONFIG[group]: NOTHING}

    assert told.keys() <= {**handed_on, **arguments}.keys(), "every field is an argument"
    required = {name for name, default in arguments.items() if default is NOTHING}
    assert required <= told.keys() | given, "every argument that is needed has a value"
    assert arguments.keys() <= told.keys() | given | left_out, "every argument is a field, or has a reason"
    assert ARGUMENTS_LEFT_OUT.get(option.schema, {}).keys() <= arguments.keys() | keywords, "and none is out of date"
    assert left_out.isdisjoint(told), "no reason is about a field"
    differing = {name for name, value in told.items() if value != {**handed_on, **arguments}[name]}
    own = named(OWN_DEFAULTS, option)
    if group == "module":  # a model is told each of its sizes; its config starts from good ones
        own |= differing & {"model_config"}
    assert differing == own, "defaults agree, or have a reason"


@pytest.mark.parametrize("schema", PARTS, ids=lambda schema: schema.__name__)
def test_a_part_that_is_no_option_agrees_with_its_live_class_too(schema: type) -> None:
    arguments, _ = arguments_of(PARTS[schema])
    fields = defaults_of(schema)
    assert fields.keys() <= arguments.keys()
    assert {name for name in fields if fields[name] != arguments[name]} == OWN_DEFAULTS.get(schema, {}).keys()


@pytest.mark.parametrize("reasons", [FIELDS_FOR_THE_BUILDER, ARGUMENTS_FROM_THE_BUILDER, ARGUMENTS_LEFT_OUT])
def test_no_exception_of_a_group_is_out_of_date(reasons: Mapping[Any, Reasons]) -> None:
    for group, named in options.items():
        names: set[str] = set().union(
            *(defaults_of(option.schema).keys() | arguments_of(option.target)[0].keys() for option in named.values())
        )
        assert reasons.get(group, {}).keys() <= names


@pytest.mark.parametrize("path", OURS)
def test_a_schema_and_each_of_its_fields_say_what_they_are(path: str) -> None:
    cls = definition(OURS[path])
    assert ast.get_docstring(cls)
    said = {name: sentence for name, sentence in sentences(cls) if name in field_types(OURS[path])}
    assert said.keys() == field_types(OURS[path]).keys() & set(inspect.get_annotations(OURS[path]))
    for name, sentence in said.items():
        assert len(sentence.split()) >= 3, f"{name} needs a sentence, not its name again"
        assert sentence.endswith((".", ":")), f"{name}'s sentence needs its end"


@pytest.mark.parametrize("path", OURS)
def test_the_types_of_fields_are_narrow(path: str) -> None:
    wide = {
        name: found for name, annotation in field_types(OURS[path]).items() if (found := list(wide_types(annotation)))
    }
    assert wide == {}


def named(reasons: Mapping[Any, Reasons], option: Option) -> set[str]:
    """The names that are exceptions for this option: those of its group and those of its schema."""
    return {*reasons.get(option.group.name, {}), *reasons.get(option.schema, {})}


def live(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


@cache
def arguments_of(path: str) -> tuple[dict[str, Any], set[str]]:
    """The defaults of all that a target takes, its bases' arguments included where it hands on; and its `**names`."""
    target = live(path)
    bases = target.__mro__[1:] if isinstance(target, type) else ()
    found: dict[str, Any] = {}
    keywords: set[str] = set()
    for taker in (target, *(vars(base)["__init__"] for base in bases if "__init__" in vars(base))):
        hands_on = False
        for name, parameter in inspect.signature(taker).parameters.items():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                hands_on = True
                keywords.add(name)
            elif taker is not target and parameter.default is NOTHING:
                continue  # a base's own need, which the target sees to
            elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
                found.setdefault(name, frozen(parameter.default))
        if not hands_on:
            break
    return found, keywords


def defaults_of(schema: type) -> dict[str, Any]:
    return {field.name: _default(field) for field in dataclasses.fields(schema)}


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return frozen(field.default_factory())
    return NOTHING if field.default is dataclasses.MISSING else field.default


@cache
def definitions(module: str) -> dict[str, ast.ClassDef]:
    file = sys.modules[module].__file__
    assert file is not None
    return {node.name: node for node in ast.parse(Path(file).read_text()).body if isinstance(node, ast.ClassDef)}


def definition(schema: type) -> ast.ClassDef:
    return definitions(schema.__module__)[schema.__name__]


def sentences(cls: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The first paragraph that stands under each annotated name."""
    for node, after in zip(cls.body, cls.body[1:], strict=False):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            match after:
                case ast.Expr(value=ast.Constant(value=str(text))):
                    yield node.target.id, inspect.cleandoc(text).partition("\n\n")[0]


def wide_types(annotation: Any) -> Iterator[object]:
    if get_origin(annotation) is Annotated:
        yield from wide_types(get_args(annotation)[0])
    elif get_origin(annotation) is not Literal:
        arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
        if not arguments and annotation in (Any, object, type, list, dict, tuple, set, Mapping):
            yield annotation
        for argument in arguments:
            yield from wide_types(argument)
