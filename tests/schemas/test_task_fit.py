"""What cannot fit the task is found from the config alone, and what is mapped elsewhere is left alone."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import field
from typing import Any, ClassVar

import pytest

from app.compose import load_config
from app.schemas.losses.further import DiceConfig, FocalConfig
from app.schemas.losses.joint import JointLossConfig
from app.schemas.losses.loss import LossConfig
from app.schemas.losses.torch_losses import (
    BCEConfig,
    BCEWithLogitsConfig,
    CrossEntropyConfig,
    MultiLabelMarginConfig,
    MultiLabelSoftMarginConfig,
    MultiMarginConfig,
    NLLConfig,
    SoftMarginConfig,
)
from app.schemas.metrics.classification import AccuracyConfig, F1Config
from app.schemas.metrics.metric import MetricConfig
from app.schemas.metrics.ranking import (
    BinaryFairnessConfig,
    MultilabelCoverageErrorConfig,
    MultilabelRankingAveragePrecisionConfig,
    MultilabelRankingLossConfig,
)
from app.schemas.metrics.regression import JensenShannonDivergenceConfig, KLDivergenceConfig
from app.schemas.metrics.segmentation import (
    DiceScoreConfig,
    GeneralizedDiceScoreConfig,
    HausdorffDistanceConfig,
    MeanIoUConfig,
)
from app.schemas.module import ModuleConfig
from app.schemas.parts.backbones import ConvConfig
from app.schemas.parts.heads import (
    ArcFaceHeadConfig,
    EmbeddingHeadConfig,
    LinearHeadConfig,
    MultiHeadConfig,
    SegmentationHeadConfig,
)
from app.schemas.parts.kinds import HeadConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.parts.poolings import AveragePoolingConfig
from app.schemas.phases import Mode
from app.schemas.problems import ConfigError, dotted
from app.schemas.schema import schema
from app.schemas.task import TaskConfig, TaskKind
from app.schemas.task_fit import misfits


@schema
class AnyTaskConfig(TaskConfig):
    name: str = "any"
    kind: TaskKind = "multiclass"
    input_shape: tuple[int, ...] = (1, 8, 8)
    num_classes: int = 10
    test_fingerprint: str = "any"
    monitor: str = "val/loss"
    mode: Mode = "min"
    fixed: dict[str, MetricConfig] = field(default_factory=dict)

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        return self.fixed


@schema
class WholeModuleConfig(ModuleConfig):
    """A model that is not made of parts."""


@schema
class PartsModuleConfig(ModuleConfig):
    model_config: PartsConfig


ACCURACY = AccuracyConfig(task="multiclass", num_classes=10)


def of_parts(head: HeadConfig) -> ModuleConfig:
    pooling = None if head.dense else AveragePoolingConfig()
    return PartsModuleConfig(model_config=PartsConfig(backbone=ConvConfig(), pooling=pooling, head=head))


def found(
    *losses: LossConfig,
    module: ModuleConfig | None = None,
    metrics: Mapping[str, MetricConfig] | None = None,
    **task: Any,
) -> dict[str, str]:
    terms = losses or (FocalConfig(kind=task.get("kind", "multiclass"), phases=("train",)),)
    joint_loss = JointLossConfig(losses={f"l{place}": loss for place, loss in enumerate(terms)})
    findings = misfits(AnyTaskConfig(**task), module or WholeModuleConfig(), joint_loss, metrics or {})
    return {dotted(tuple(path.split(".")) if isinstance(path, str) else path): message for path, message in findings}


FITTING: list[tuple[TaskKind, LossConfig]] = [
    ("multiclass", CrossEntropyConfig()),
    ("multiclass", MultiMarginConfig()),
    ("multiclass", NLLConfig()),
    ("binary", BCEWithLogitsConfig()),
    ("binary", BCEConfig()),
    ("multilabel", BCEWithLogitsConfig()),
    ("multilabel", BCEConfig()),
    ("multilabel", MultiLabelSoftMarginConfig()),
]


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("loss", dict.fromkeys(type(loss) for _, loss in FITTING))
def test_a_loss_fits_the_kinds_of_task_whose_targets_it_takes(loss: type[LossConfig], kind: TaskKind) -> None:
    fits = any(kind == fitting and isinstance(one, loss) for fitting, one in FITTING)
    assert (found(loss(), kind=kind) == {}) == fits


def test_what_a_loss_takes_and_what_fits_instead_is_said() -> None:
    assert found(BCEWithLogitsConfig()) == {
        "joint_loss.losses.l0": "takes targets of kind 'binary' or 'multilabel', and the task is 'multiclass'; "
        "expected cross_entropy or focal, or another target: mapping={target: …}"
    }


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
@pytest.mark.parametrize("loss", [SoftMarginConfig, MultiLabelMarginConfig])
def test_targets_that_no_task_has_must_be_mapped(loss: type[LossConfig], kind: TaskKind) -> None:
    (message,) = found(loss(), kind=kind).values()
    assert message.startswith(f"takes targets of another form than those of a {kind} task; expected ")
    assert found(loss(mapping={"target": "sign"}), kind=kind) == {}


@pytest.mark.parametrize("loss", [FocalConfig, DiceConfig])
def test_a_loss_of_a_stated_kind_is_of_the_tasks(loss: Any) -> None:
    (problem,) = found(loss(kind="binary")).items()
    assert problem[0] == "joint_loss.losses.l0.kind"
    assert problem[1].startswith("expected 'multiclass', as the task is, found 'binary'; ")
    assert found(loss(kind="binary"), kind="binary") == {}
    assert found(loss(kind="binary", mapping={"target": "mask"})) == {}


@pytest.mark.parametrize("loss", [CrossEntropyConfig, FocalConfig, NLLConfig, MultiMarginConfig])
def test_there_is_a_weight_for_each_class(loss: Any) -> None:
    assert found(loss(class_weights=(1.0, 2.0))) == {
        "joint_loss.losses.l0.class_weights": "expected 10 of them, one for each class, found 2"
    }
    assert found(loss(class_weights=(1.0,) * 10)) == {}
    assert found(loss(class_weights=(1.0, 2.0), mapping={"target": "parity"})) == {}
    assert found(loss(class_weights=(1.0, 2.0), mapping={"input": "of_parity"})) == {}


def test_a_metric_counts_the_tasks_classes() -> None:
    another = "a metric of another target maps it: mapping={target: …}"
    metrics: dict[str, MetricConfig] = {
        "fewer": F1Config(task="multiclass", num_classes=3),
        "right": F1Config(task="multiclass", num_classes=10),
        "yes_or_no": AccuracyConfig(task="binary"),
        "labels": AccuracyConfig(task="multiclass", num_classes=10, num_labels=4),
        "parity": AccuracyConfig(task="binary", mapping={"target": "parity"}),
        "of_another_head": F1Config(task="multiclass", num_classes=3, mapping={"preds": "view_logits"}),
    }
    assert found(metrics=metrics) == {
        "metrics.fewer.num_classes": f"expected 10, as the task has, found 3; {another}",
        "metrics.yes_or_no.task": f"expected 'multiclass', as the task is, found 'binary'; {another}",
        "metrics.labels.num_labels": f"expected 10, as the task has, found 4; {another}",
    }


LABEL_METRICS = [
    MultilabelCoverageErrorConfig,
    MultilabelRankingAveragePrecisionConfig,
    MultilabelRankingLossConfig,
]


@pytest.mark.parametrize("metric", LABEL_METRICS)
def test_rankings_of_labels_are_for_tasks_with_many(metric: Any) -> None:
    assert found(metrics={"m": metric(num_labels=10)}) == {
        "metrics.m": "takes targets of kind 'multilabel', and the task is 'multiclass'; "
        "a metric of another target maps it: mapping={target: …}"
    }
    assert found(metrics={"m": metric(num_labels=10)}, kind="multilabel") == {}
    assert list(found(metrics={"m": metric(num_labels=9)}, kind="multilabel")) == ["metrics.m.num_labels"]
    assert found(metrics={"m": metric(num_labels=9, mapping={"target": "labels"})}) == {}


@pytest.mark.parametrize("metric", [KLDivergenceConfig, JensenShannonDivergenceConfig])
def test_distributions_are_mapped(metric: Any) -> None:
    assert found(metrics={"m": metric()}) == {
        "metrics.m": "takes targets of another form than those of a multiclass task; "
        "a metric of another target maps it: mapping={p: …}"
    }
    assert found(metrics={"m": metric(mapping={"p": "distribution"})}) == {}


def test_fairness_is_of_yes_or_no() -> None:
    fairness = BinaryFairnessConfig(num_groups=2)
    assert list(found(metrics={"m": fairness})) == ["metrics.m"]
    assert found(metrics={"m": fairness}, kind="binary", num_classes=2) == {}


@pytest.mark.parametrize(
    "metric", [MeanIoUConfig, DiceScoreConfig, GeneralizedDiceScoreConfig, HausdorffDistanceConfig]
)
def test_metrics_of_masks_need_a_model_that_scores_pixels(metric: Any) -> None:
    metrics = {"m": metric(num_classes=10)}
    refused = {
        "metrics.m": "compares a class for each pixel, and the model scores whole images; "
        "a metric of another target maps it: mapping={target: …}"
    }
    assert found(metrics=metrics, module=of_parts(LinearHeadConfig(num_classes=10))) == refused
    assert found(metrics=metrics, fixed={"accuracy": ACCURACY}) == refused
    assert found(metrics=metrics, module=of_parts(SegmentationHeadConfig(num_classes=10))) == {}
    assert found(metrics=metrics, fixed={"iou": MeanIoUConfig(num_classes=10)}) == {}
    assert found(metrics={"m": metric(num_classes=3, mapping={"target": "mask"})}) == {}
    assert list(found(metrics=metrics, kind="multilabel", fixed=metrics)) == ["metrics.m"]


def test_a_module_that_is_not_of_parts_may_declare_that_it_scores_pixels() -> None:
    @schema
    class UNetModuleConfig(ModuleConfig):
        dense: ClassVar = True

    assert found(metrics={"m": MeanIoUConfig(num_classes=10)}, module=UNetModuleConfig()) == {}


@pytest.mark.parametrize("head", [LinearHeadConfig, ArcFaceHeadConfig, SegmentationHeadConfig])
def test_a_head_has_a_score_for_each_class(head: Any) -> None:
    refused = {"module.model_config.head.num_classes": "expected 10, as the task has, found 3"}
    assert found(CrossEntropyConfig(), module=of_parts(head(num_classes=3))) == refused
    assert found(CrossEntropyConfig(), module=of_parts(head(num_classes=10))) == {}
    elsewhere = CrossEntropyConfig(mapping={"target": "mask"})
    assert found(elsewhere, module=of_parts(head(num_classes=3))) == {}
    assert found(elsewhere, module=of_parts(head(num_classes=3)), fixed={"accuracy": ACCURACY}) == refused
    assert found(kind="binary", num_classes=2, module=of_parts(head(num_classes=1))) == {}


def test_of_several_heads_the_main_one_scores_the_tasks_classes() -> None:
    heads: dict[str, HeadConfig] = {
        "digit": LinearHeadConfig(num_classes=9),
        "odd": LinearHeadConfig(num_classes=2),
        "view": EmbeddingHeadConfig(),
    }
    assert found(module=of_parts(MultiHeadConfig(heads=heads, main="digit"))) == {
        "module.model_config.head.heads.digit.num_classes": "expected 10, as the task has, found 9"
    }
    assert found(module=of_parts(MultiHeadConfig(heads=heads, main="view"))) == {}
    assert found(module=of_parts(MultiHeadConfig(heads=heads))) == {}


@pytest.mark.parametrize("module", ["digits/default", "mlp", "parts"])
def test_what_runs_start_from_fits(module: str) -> None:
    config = load_config([f"module={module}", "metrics=[auroc,confusion_matrix,calibration_error]"])
    assert list(misfits(config.task, config.module, config.joint_loss, config.metrics)) == []


def test_no_family_of_options_is_imported_to_judge_them() -> None:
    families = (
        "losses.torch_losses",
        "losses.further",
        "metrics.classification",
        "metrics.segmentation",
        "parts.heads",
    )
    code = "import sys, app.schemas.task_fit; print([name for name in sys.modules if name.startswith('app.schemas')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "app.schemas.task_fit" in out
    assert [family for family in families if f"app.schemas.{family}'" in out] == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), None),
        (("module=segmentation/fpn",), None),
        (("module=mlp",), "module: scores whole images, and the target has a class for each pixel;"),
        (
            ("module=parts",),
            "module.model_config.head: scores whole images, and the target has a class for each pixel;",
        ),
    ],
)
def test_masks_are_not_learnt_by_what_scores_whole_images(words: tuple[str, ...], problem: str | None) -> None:
    if problem is None:
        load_config(["task=segmentation", *words])
        return
    with pytest.raises(ConfigError) as caught:
        load_config(["task=segmentation", *words])
    assert any(str(found).startswith(problem) for found in caught.value.problems)
