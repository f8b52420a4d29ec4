import importlib
import inspect
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics import Metric

from app.builders.metrics import build_metrics
from app.metrics.named_metric import NamedMetric
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.registry import leaf_fields, options
from tests.metrics.cases import Case, batches, every_case

KINDS = {"binary": "Binary", "multiclass": "Multiclass", "multilabel": "Multilabel"}


@pytest.mark.parametrize("option", options["metrics"])
@pytest.mark.filterwarnings("ignore:Metric `SpearmanCorrcoef`:UserWarning")
@pytest.mark.filterwarnings("ignore:DiceScore metric:UserWarning")
def test_every_field_reaches_the_live_metric(option: str) -> None:
    cases = [case for case in every_case() if case.option == option]
    for case in cases:
        [built] = build_metrics({"metric": case.config}).values()
        direct = constructed(case)

        assert type(built.metric) is type(direct)
        assert settings(built.metric) == settings(direct)
        torch.testing.assert_close(
            measured(built.metric, built), measured(direct, built), rtol=0, atol=0, equal_nan=True
        )

    made_differently = {f"{type(metric).__name__} {settings(metric)}" for metric in map(constructed, cases)}
    assert len(made_differently) == len(cases), "each value of a field makes another metric"


def test_what_costs_a_wait_for_the_device_is_left_out() -> None:
    for case in every_case():
        [built] = build_metrics({"metric": case.config}).values()
        assert getattr(built.metric, "validate_args", False) is False


def test_the_tasks_own_metrics_can_be_built_from_schemas() -> None:
    accuracy, f1 = build_metrics(
        {
            "accuracy": AccuracyConfig(task="multiclass", num_classes=3),
            "f1": F1Config(task="multiclass", num_classes=3, average="macro"),
        }
    ).values()
    logits, target = torch.eye(3)[torch.tensor([0, 0, 1, 0])], torch.tensor([0, 0, 1, 2])

    for named in (accuracy, f1):
        named.metric.update(logits, target)

    assert accuracy.inputs == {"preds": "logits", "target": "target"}
    assert accuracy.metric.compute().item() == pytest.approx(3 / 4)
    # By class: precision 2/3 with recall 1, both 1, and none found.
    assert f1.metric.compute().item() == pytest.approx((0.8 + 1 + 0) / 3)


def test_each_call_makes_metrics_of_its_own() -> None:
    configs = {"accuracy": AccuracyConfig(task="multiclass", num_classes=3)}
    one, other = build_metrics(configs)["accuracy"], build_metrics(configs)["accuracy"]

    one.metric.update(torch.eye(3), torch.arange(3))

    assert (one.metric.update_count, other.metric.update_count) == (1, 0)


def constructed(case: Case) -> Metric:
    """The metric of a case, made by its own class without anything of this project."""
    module, _, name = options["metrics"][case.option].target.rpartition(".")
    fields: dict[str, Any] = leaf_fields(case.config)
    prefix = KINDS.get(fields.get("task", ""), "")
    cls: Any = getattr(importlib.import_module(module), prefix + name)
    # What a class hands on to its bases is an argument of theirs.
    taken = {name for base in cls.__mro__[:-1] for name in inspect.signature(base.__init__).parameters}
    arguments = {key: value for key, value in fields.items() if key in taken}
    for key in {"thresholds", "spacing"} & arguments.keys():
        arguments[key] = list(arguments[key]) if isinstance(arguments[key], tuple) else arguments[key]
    if "validate_args" in taken:
        arguments["validate_args"] = False
    metric: Metric = cls(**arguments)
    return metric


def settings(metric: Metric) -> dict[str, Any]:
    """Everything that a metric was told."""
    plain = {
        name: value
        for name, value in vars(metric).items()
        if isinstance(value, str | int | float | list | tuple | None) and name not in ("_device", "training")
    }
    buffers = {name: buffer.tolist() for name, buffer in metric.named_buffers()}
    inner = {name: settings(child) for name, child in metric.named_children() if isinstance(child, Metric)}
    return {**plain, **buffers, **inner}


def measured(metric: Metric, named: NamedMetric) -> Any:
    for outputs in batches(sizes=(16, 7)):
        metric.update(**{argument: outputs[output] for argument, output in named.inputs.items()})
    value: Tensor | tuple[Tensor, ...] | dict[str, Tensor] = metric.compute()
    return value
