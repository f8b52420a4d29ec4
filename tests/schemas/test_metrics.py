import inspect
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

import pytest
import torch
import torchmetrics.aggregation
import torchmetrics.classification
import torchmetrics.regression
import torchmetrics.retrieval
import torchmetrics.segmentation
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf
from torch import Tensor
from torchmetrics import Metric

from app.builders.metrics import build_metrics
from app.schemas.codes import Code
from app.schemas.constraints import Probability
from app.schemas.metrics.aggregation import MeanConfig
from app.schemas.metrics.classification import (
    AccuracyConfig,
    CohenKappaConfig,
    ConfusionMatrixConfig,
    ExactMatchConfig,
    F1Config,
)
from app.schemas.metrics.metric import MetricConfig
from app.schemas.metrics.ranking import (
    AUROCConfig,
    BinaryFairnessConfig,
    EERConfig,
    HingeLossConfig,
    LogAUCConfig,
    PrecisionAtFixedRecallConfig,
)
from app.schemas.metrics.regression import (
    CosineSimilarityConfig,
    KendallRankCorrCoefConfig,
    MeanSquaredErrorConfig,
    TweedieDevianceScoreConfig,
)
from app.schemas.metrics.retrieval import RetrievalPrecisionConfig, RetrievalRecallAtFixedPrecisionConfig
from app.schemas.metrics.segmentation import DiceScoreConfig, MeanIoUConfig
from app.schemas.problems import ConfigError, dotted
from app.schemas.registry import options, register
from app.schemas.rules import remarks
from app.schemas.schema import import_path, schema
from tests.metrics.cases import Case, default_cases

MODULES: Final = (
    torchmetrics.classification,
    torchmetrics.regression,
    torchmetrics.segmentation,
    torchmetrics.retrieval,
    torchmetrics.aggregation,
)

NO_OPTIONS: Final = {
    "BaseAggregator": "abstract: max, min, sum, mean and cat are its leaves",
    "Running": "a wrapper of another metric: running_mean and running_sum are what it is used for",
    "Metric": "the base of all, imported there",
}
"""Classes of those modules that are no options, each with why."""

BETTER_UNKNOWN_TO_TORCHMETRICS: Final = {
    "eer": "min",
    "negative_predictive_value": "max",
    "specificity": "max",
    "precision_at_fixed_recall": "max",
    "recall_at_fixed_precision": "max",
    "sensitivity_at_specificity": "max",
    "specificity_at_sensitivity": "max",
    "tweedie_deviance_score": "min",
}
"""Shares of what is right, a rate of errors and a deviance: torchmetrics leaves open which of them are better."""

BETTER_THAN_TORCHMETRICS: Final = {
    "binary_fairness": "a ratio of the worst-off to the best-off group, which is 1 where things are fair",
    "group_stat_rates": "four rates of each group, some of them better small and some large",
    "retrieval_precision_recall_curve": "a curve",
}
"""Where `higher_is_better` of torchmetrics is not what it is said to be."""


def test_every_modular_metric_is_an_option() -> None:
    live = {
        name
        for module in MODULES
        for name, found in vars(module).items()
        if inspect.isclass(found) and issubclass(found, Metric)
    }
    paths = [option.target for option in options["metrics"].values()]
    # Less those that torchmetrics has not; some that it has are ours in part.
    theirs = [path for path in paths if path.startswith("torchmetrics.") or path.rpartition(".")[2] in live]
    targets = {path.rpartition(".")[2] for path in theirs}
    kinds = {
        f"{kind}{name}"
        for name in targets
        for kind in ("Binary", "Multiclass", "Multilabel")
        if f"{kind}{name}" in live
    }

    assert len(targets) == 75
    assert kinds >= {"BinaryAccuracy", "MulticlassAUROC", "MultilabelEER"}
    assert live - targets - kinds == NO_OPTIONS.keys()
    assert targets <= live


def test_every_option_is_named_like_its_class() -> None:
    for name, option in options["metrics"].items():
        bare = option.target.rpartition(".")[2].lower().replace("binarygroup", "group")
        said = name.replace("_", "")
        assert bare in (said, f"{said}score", f"{said}metric"), name


@pytest.mark.parametrize("case", default_cases(), ids=str)
def test_the_better_direction_is_the_live_metrics(case: Case) -> None:
    [named] = build_metrics({"metric": case.config}).values()
    theirs = {True: "max", False: "min", None: None}[named.metric.higher_is_better]

    if case.option in BETTER_UNKNOWN_TO_TORCHMETRICS:
        assert theirs is None
        assert case.config.better == BETTER_UNKNOWN_TO_TORCHMETRICS[case.option]
    elif case.option in BETTER_THAN_TORCHMETRICS:
        assert case.config.better != theirs
    else:
        assert case.config.better == theirs


@pytest.mark.parametrize(
    ("config", "results"),
    [
        (AccuracyConfig(task="multiclass", num_classes=3), {"m": "max"}),
        (F1Config(task="binary"), {"m": "max"}),
        (F1Config(task="multiclass", num_classes=3, average="none"), {"m/0": "max", "m/1": "max", "m/2": "max"}),
        (F1Config(task="multilabel", num_classes=9, num_labels=2, average="none"), {"m/0": "max", "m/1": "max"}),
        (F1Config(task="multiclass", num_classes=3, multidim_average="samplewise"), {}),
        (ExactMatchConfig(task="multilabel", num_labels=3), {"m": "max"}),
        (ConfusionMatrixConfig(task="multiclass", num_classes=3), {}),
        (EERConfig(task="binary"), {"m": "min"}),
        (EERConfig(task="multiclass", num_classes=2), {"m/0": "min", "m/1": "min"}),
        (EERConfig(task="multiclass", num_classes=2, average="macro"), {"m": "min"}),
        (LogAUCConfig(task="multilabel", num_labels=2), {"m/0": "max", "m/1": "max"}),
        (HingeLossConfig(task="multiclass", num_classes=2, multiclass_mode="one-vs-all"), {"m/0": "min", "m/1": "min"}),
        (PrecisionAtFixedRecallConfig(task="binary", min_recall=0.9), {"m": "max", "m_threshold": None}),
        (
            PrecisionAtFixedRecallConfig(task="multiclass", num_classes=2, min_recall=0.9),
            {"m/0": "max", "m/1": "max", "m_threshold/0": None, "m_threshold/1": None},
        ),
        (BinaryFairnessConfig(num_groups=2), {"m_demographic_parity": "max", "m_equal_opportunity": "max"}),
        (MeanSquaredErrorConfig(num_outputs=2), {"m/0": "min", "m/1": "min"}),
        (KendallRankCorrCoefConfig(t_test=True), {"m": None, "m_p_value": None}),
        (CosineSimilarityConfig(reduction="none"), {}),
        (DiceScoreConfig(num_classes=3, average="none", include_background=False), {"m/0": "max", "m/1": "max"}),
        (MeanIoUConfig(num_classes=2, per_class=True), {"m/0": "max", "m/1": "max"}),
        (RetrievalRecallAtFixedPrecisionConfig(), {"m": "max", "m_top_k": None}),
        (MeanConfig(), {"m": None}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MetricConfig) else None,
)
def test_what_is_logged_follows_from_the_config(config: MetricConfig, results: dict[str, Any]) -> None:
    assert list(config.results("m").items()) == list(results.items())


@pytest.mark.parametrize(
    ("config", "preds"),
    [
        (AccuracyConfig(task="multiclass", num_classes=3), "logits"),
        (AccuracyConfig(task="binary"), "probabilities"),
        (AccuracyConfig(task="multilabel", num_labels=3), "probabilities"),
        (ConfusionMatrixConfig(task="multiclass", num_classes=3), "logits"),
        (AUROCConfig(task="multiclass", num_classes=3), "probabilities"),
        (AccuracyConfig(task="multiclass", num_classes=3, mapping={"preds": "auxiliary"}), "auxiliary"),
        (MeanSquaredErrorConfig(), "prediction"),
        (MeanIoUConfig(num_classes=3), "classes"),
        (RetrievalRecallAtFixedPrecisionConfig(), "scores"),
    ],
)
def test_scores_that_are_compared_with_a_threshold_are_probabilities(config: MetricConfig, preds: str) -> None:
    assert config.output_of() == {**config.arguments, "preds": preds}


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_a_composed_metric_knows_the_tasks_kind_and_size(kind: str) -> None:
    def composed(name: str) -> dict[str, Any]:
        tree = {"task": {"kind": kind, "num_classes": 7}, "metric": options["metrics"][name].tree}
        plain: Any = OmegaConf.to_container(OmegaConf.create(tree), resolve=True)
        return {key: value for key, value in plain["metric"].items() if key != "_target_"}

    accuracy = AccuracyConfig(**composed("accuracy"))

    assert (accuracy.task, accuracy.num_classes, accuracy.num_labels) == (kind, 7, 7)
    assert composed("cohen_kappa")["num_classes"] == composed("mean_iou")["num_classes"] == 7
    assert composed("multilabel_ranking_loss")["num_labels"] == 7


@pytest.mark.parametrize(
    ("cls", "values", "problem"),
    [
        (AccuracyConfig, {"task": "binary", "average": "macro"}, "average: has no effect on a binary metric; leave"),
        (AccuracyConfig, {"task": "multilabel", "num_labels": 3, "top_k": 2}, "top_k: has no effect on a multilabel"),
        (AccuracyConfig, {"task": "multiclass", "num_classes": 3, "threshold": 0.3}, "threshold: has no effect on a"),
        (AccuracyConfig, {"task": "multiclass"}, "num_classes: a multiclass metric needs to know how many there are"),
        (AccuracyConfig, {"task": "multilabel", "num_labels": 1}, "num_labels: a multilabel metric needs to know"),
        (AccuracyConfig, {"task": "multiclass", "num_classes": 3, "top_k": 3}, "top_k: must be below num_classes=3"),
        (AccuracyConfig, {"task": "regression"}, "task: expected 'binary', 'multiclass' or 'multilabel', found"),
        (CohenKappaConfig, {"task": "multilabel"}, "task: expected 'binary' or 'multiclass', found 'multilabel'"),
        (ExactMatchConfig, {"task": "binary"}, "task: expected 'multiclass' or 'multilabel', found 'binary'"),
        (AUROCConfig, {"task": "multiclass", "num_classes": 3, "average": "micro"}, "average: 'micro' is for multilab"),
        (AUROCConfig, {"task": "multilabel", "num_labels": 3, "max_fpr": 0.1}, "max_fpr: has no effect on a multilab"),
        (AUROCConfig, {"task": "binary", "thresholds": 1}, "thresholds: expected a whole number of at least 2, a list"),
        (EERConfig, {"task": "multilabel", "num_labels": 3, "average": "micro"}, "average: has no effect on a multil"),
        (LogAUCConfig, {"task": "binary", "fpr_range": (0.5, 0.1)}, "fpr_range: must rise, found [0.5, 0.1]"),
        (TweedieDevianceScoreConfig, {"power": 0.5}, "power: there is no distribution between 0 and 1, found 0.5"),
        (KendallRankCorrCoefConfig, {"alternative": "less"}, "alternative: has an effect with t_test=true only"),
        (MeanSquaredErrorConfig, {"mapping": {"pred": "x"}}, "mapping.pred: MeanSquaredErrorConfig has no argument"),
        (MeanIoUConfig, {}, "num_classes: "),
    ],
)
def test_what_could_not_work_or_has_no_effect_is_refused(cls: type, values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        cls(**values)

    [found] = caught.value.problems
    assert str(found).removeprefix(f"{cls.__name__}.").startswith(problem)


def test_sizes_of_other_kinds_are_no_mistake_since_the_task_gives_them() -> None:
    config = AccuracyConfig(task="binary", num_classes=2, num_labels=2)

    assert config.results("accuracy") == {"accuracy": "max"}


def test_no_schema_of_a_metric_imports_what_it_configures() -> None:
    code = (
        "import sys\n"
        "from app.schemas.registry import options\n"
        "import app.schemas.metrics.metric\n"
        "assert len(options['metrics']) == 79\n"
        "assert not {'torch', 'torchmetrics', 'sklearn', 'numpy'} & sys.modules.keys()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class ShareAbove(Metric):
    """How many predictions are above a bound: a metric of one's own."""

    above: Tensor
    seen: Tensor

    def __init__(self, bound: float) -> None:
        super().__init__()
        self.bound = bound
        self.add_state("above", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("seen", torch.zeros(()), dist_reduce_fx="sum")

    def update(self, preds: Tensor) -> None:
        self.above += (preds > self.bound).sum()
        self.seen += preds.numel()

    def compute(self) -> Tensor:
        return self.above / self.seen


@schema
class ShareAboveConfig(MetricConfig):
    """How many predictions are above a bound."""

    arguments: ClassVar[Mapping[str, str]] = {"preds": "probabilities"}

    bound: Probability = 0.9
    """The bound to be above of."""


@pytest.fixture
def _registered() -> Iterator[None]:
    """As the docstring of `MetricConfig` says; forgotten after the test."""
    register("metrics", "share_above", target="tests.schemas.test_metrics.ShareAbove")(ShareAboveConfig)
    yield
    del options["metrics"]["share_above"]
    ConfigStore.instance().repo.get("metrics", {}).pop("share_above.yaml", None)  # once Hydra knows the options
    del options._by_schema[import_path(ShareAboveConfig)]


@pytest.mark.usefixtures("_registered")
def test_a_metric_of_ones_own_is_an_option_like_any_other() -> None:
    [named] = build_metrics({"confident": ShareAboveConfig(bound=0.5)}).values()

    assert type(named.metric).__name__ == "ShareAbove"
    assert named.metric.bound == 0.5
    assert (named.inputs, named.results) == ({"preds": "probabilities"}, ("confident",))
    assert options["metrics"]["share_above"].tree["bound"] == 0.9


def unused(config: object) -> set[str]:
    """The fields that a config calls without effect."""
    return {dotted(fault.path) for fault in remarks(config) if fault.code is Code.UNUSED}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (AccuracyConfig(task="multiclass", num_classes=3, num_labels=3), {"num_labels"}),
        (AccuracyConfig(task="multilabel", num_classes=3, num_labels=3), {"num_classes"}),
        (AccuracyConfig(task="binary"), {"num_classes", "num_labels"}),
        (RetrievalPrecisionConfig(adaptive_k=True), {"adaptive_k"}),
        (RetrievalPrecisionConfig(adaptive_k=True, top_k=3), set()),
    ],
)
def test_fields_that_others_leave_without_effect_are_named(config: object, expected: set[str]) -> None:
    assert unused(config) == expected


def test_a_field_that_changes_nothing_is_refused_as_unused() -> None:
    with pytest.raises(ConfigError) as caught:
        AccuracyConfig(task="multiclass", num_classes=3, threshold=0.7)
    assert [problem.code for problem in caught.value.problems] == [Code.UNUSED]
