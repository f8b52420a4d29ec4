"""Metrics that count the same are updated once, and no others."""

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from app.builders.metrics import build_metrics
from app.metrics.named_metric import NamedMetric
from app.metrics.sharing import shared_updates
from app.metrics.split_metrics import SplitMetrics
from app.schemas.metrics.classification import (
    AccuracyConfig,
    CohenKappaConfig,
    ConfusionMatrixConfig,
    F1Config,
    JaccardIndexConfig,
    PrecisionConfig,
)
from app.schemas.metrics.metric import MetricConfig
from app.schemas.metrics.ranking import AUROCConfig, AveragePrecisionConfig, ROCConfig
from tests.metrics.cases import batches, every_case


def test_metrics_of_the_same_counts_share_an_update() -> None:
    configs: dict[str, MetricConfig] = {
        "accuracy": AccuracyConfig(task="multiclass", num_classes=3, average="micro"),
        "top_2": AccuracyConfig(task="multiclass", num_classes=3, top_k=2),
        "precision": PrecisionConfig(task="multiclass", num_classes=3, average="macro"),
        "f1": F1Config(task="multiclass", num_classes=3, average="none"),
        "other_head": F1Config(task="multiclass", num_classes=3, average="macro", mapping={"preds": "other"}),
        "confusion": ConfusionMatrixConfig(task="multiclass", num_classes=3),
        "shares": ConfusionMatrixConfig(task="multiclass", num_classes=3, normalize="true"),
        "kappa": CohenKappaConfig(task="multiclass", num_classes=3),
        "iou": JaccardIndexConfig(task="multiclass", num_classes=3, ignore_index=0),
        "auroc": AUROCConfig(task="multiclass", num_classes=3),
        "roc": ROCConfig(task="multiclass", num_classes=3),
        "rough_roc": ROCConfig(task="multiclass", num_classes=3, thresholds=5),
        "area": AveragePrecisionConfig(task="multiclass", num_classes=3),
    }

    groups = shared_updates(build_metrics(configs))

    assert sorted(groups) == sorted(
        [
            ("top_2",),
            ("precision", "f1", "accuracy"),
            ("other_head",),
            ("confusion", "shares", "kappa"),
            ("iou",),
            ("auroc", "roc", "area"),
            ("rough_roc",),
        ]
    )


def test_sharing_changes_no_value() -> None:
    """All options at once, each with every other value of its fields, beside the same measured alone."""
    configs = {f"{index} {case}": case.config for index, case in enumerate(every_case())}
    groups = shared_updates(build_metrics(configs))
    shared = [name for group in groups for name in group if len(group) > 1]
    together = SplitMetrics("val", build_metrics({name: configs[name] for name in shared}))
    alone = {name: SplitMetrics("val", build_metrics({name: configs[name]})) for name in shared}

    for outputs in batches(sizes=(16, 7)):
        for metrics in (together, *alone.values()):
            metrics.update({}, outputs, len(outputs["target"]))

    assert len(shared) > 200
    assert len(groups) < len(configs) - 150
    numbers = {name: value for metrics in alone.values() for name, value in metrics.compute().items()}
    tables = {name: value for metrics in alone.values() for name, value in metrics.tables().items()}
    torch.testing.assert_close(together.compute(), numbers, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(together.tables(), tables, rtol=0, atol=0, equal_nan=True)


def test_a_metric_of_ones_own_shares_only_what_it_inherits() -> None:
    """What another update reads cannot be known."""

    class Doubtful(MulticlassAccuracy):
        def update(self, preds: Tensor, target: Tensor) -> None:
            super().update(preds, target)

    class Inheriting(MulticlassAccuracy):
        def compute(self) -> Tensor:
            return 100 * super().compute()

    metrics = {
        name: NamedMetric(metric=cls(3, validate_args=False), results=(name,))
        for name, cls in [
            ("theirs", MulticlassAccuracy),
            ("inheriting", Inheriting),
            ("one", Doubtful),
            ("other", Doubtful),
        ]
    }

    assert shared_updates(metrics) == [("theirs", "inheriting"), ("one",), ("other",)]
