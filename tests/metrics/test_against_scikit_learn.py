"""What is logged at the end of an epoch against scikit-learn's value on all of its predictions at once.

Each row is an option, its fields, and what scikit-learn calls the same.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn import metrics as sklearn
from torch import Generator, Tensor

from app.builders.metrics import build_metrics
from app.metrics.split_metrics import SplitMetrics
from app.schemas.registry import options
from tests.metrics.cases import made

Array = NDArray[Any]
Reference = Callable[[Array, Array], Any]
"""From the targets and the probabilities of an epoch to its value."""

Row = tuple[str, dict[str, Any], Reference]

AVERAGES: Final = ("micro", "macro", "weighted", "none")
NUM_CLASSES: Final = 4
BATCH_SIZES: Final = (64, 64, 23)


def named(average: str) -> Any:
    """An average by scikit-learn's name."""
    return None if average == "none" else average


def labels(function: Callable[..., Any], threshold: float = 0.5, **arguments: Any) -> Reference:
    """A function of labels: what is more probable than the threshold."""
    return lambda target, probabilities: function(target, probabilities > threshold, **arguments)


def classes(function: Callable[..., Any], **arguments: Any) -> Reference:
    """A function of classes: the most probable one."""
    return lambda target, probabilities: function(target, probabilities.argmax(axis=1), **arguments)


def scores(function: Callable[..., Any], **arguments: Any) -> Reference:
    """A function of the probabilities themselves."""
    return lambda target, probabilities: function(target, probabilities, **arguments)


def complement(reference: Reference) -> Reference:
    """What is right where the reference counts what is wrong."""
    return lambda target, probabilities: 1 - np.asarray(reference(target, probabilities))


def of_negatives(function: Callable[..., Any]) -> Reference:
    """A function of labels with yes and no exchanged."""
    return lambda target, probabilities: function(1 - target, probabilities <= 0.5)


def per_class_of_negatives(function: Callable[..., Any]) -> Reference:
    """The same for each class against the rest."""
    return lambda target, probabilities: [
        function(target != index, probabilities.argmax(axis=1) != index) for index in range(NUM_CLASSES)
    ]


def minus_or_plus(target: Array) -> Array:
    return 2 * target - 1


BINARY: Final[list[Row]] = [
    ("accuracy", {}, labels(sklearn.accuracy_score)),
    ("accuracy", {"threshold": 0.3}, labels(sklearn.accuracy_score, 0.3)),
    ("precision", {}, labels(sklearn.precision_score)),
    ("recall", {}, labels(sklearn.recall_score)),
    ("specificity", {}, of_negatives(sklearn.recall_score)),
    ("negative_predictive_value", {}, of_negatives(sklearn.precision_score)),
    ("f1", {}, labels(sklearn.f1_score)),
    ("fbeta", {"beta": 2.0}, labels(sklearn.fbeta_score, beta=2)),
    ("hamming_distance", {}, labels(sklearn.hamming_loss)),
    ("jaccard_index", {}, labels(sklearn.jaccard_score)),
    ("matthews_corr_coef", {}, labels(sklearn.matthews_corrcoef)),
    ("cohen_kappa", {}, labels(sklearn.cohen_kappa_score)),
    ("confusion_matrix", {}, labels(sklearn.confusion_matrix)),
    ("confusion_matrix", {"normalize": "true"}, labels(sklearn.confusion_matrix, normalize="true")),
    ("auroc", {}, scores(sklearn.roc_auc_score)),
    ("auroc", {"max_fpr": 0.4}, scores(sklearn.roc_auc_score, max_fpr=0.4)),
    ("average_precision", {}, scores(sklearn.average_precision_score)),
    ("hinge_loss", {}, lambda target, chance: sklearn.hinge_loss(minus_or_plus(target), chance)),
    ("roc", {}, lambda target, chance: sklearn.roc_curve(target, chance, drop_intermediate=False)[:2]),
    ("precision_recall_curve", {}, lambda target, chance: sklearn.precision_recall_curve(target, chance)[:2]),
]

MULTICLASS: Final[list[Row]] = [
    ("accuracy", {}, classes(sklearn.accuracy_score)),
    ("accuracy", {"top_k": 2}, scores(sklearn.top_k_accuracy_score, k=2)),
    ("accuracy", {"average": "macro"}, classes(sklearn.balanced_accuracy_score)),
    ("accuracy", {"average": "none"}, classes(sklearn.recall_score, average=None)),
    ("hamming_distance", {}, classes(sklearn.hamming_loss)),
    ("specificity", {"average": "none"}, per_class_of_negatives(sklearn.recall_score)),
    ("negative_predictive_value", {"average": "none"}, per_class_of_negatives(sklearn.precision_score)),
    ("matthews_corr_coef", {}, classes(sklearn.matthews_corrcoef)),
    ("cohen_kappa", {}, classes(sklearn.cohen_kappa_score)),
    ("cohen_kappa", {"weights": "linear"}, classes(sklearn.cohen_kappa_score, weights="linear")),
    ("cohen_kappa", {"weights": "quadratic"}, classes(sklearn.cohen_kappa_score, weights="quadratic")),
    ("confusion_matrix", {}, classes(sklearn.confusion_matrix)),
    *(
        ("confusion_matrix", {"normalize": way}, classes(sklearn.confusion_matrix, normalize=way))
        for way in ("true", "pred", "all")
    ),
    ("hinge_loss", {}, scores(sklearn.hinge_loss)),
    *(
        (option, {"average": average, **extra}, classes(function, average=named(average), **extra))
        for average in AVERAGES
        for option, function, extra in (
            ("precision", sklearn.precision_score, {}),
            ("recall", sklearn.recall_score, {}),
            ("f1", sklearn.f1_score, {}),
            ("fbeta", sklearn.fbeta_score, {"beta": 0.5}),
            ("jaccard_index", sklearn.jaccard_score, {}),
        )
    ),
    *(
        ("auroc", {"average": average}, scores(sklearn.roc_auc_score, average=named(average), multi_class="ovr"))
        for average in AVERAGES[1:]
    ),
    *(
        ("average_precision", {"average": average}, scores(sklearn.average_precision_score, average=named(average)))
        for average in AVERAGES[1:]
    ),
]

MULTILABEL: Final[list[Row]] = [
    ("accuracy", {}, complement(labels(sklearn.hamming_loss))),
    ("hamming_distance", {}, labels(sklearn.hamming_loss)),
    ("exact_match", {}, labels(sklearn.accuracy_score)),
    ("confusion_matrix", {}, labels(sklearn.multilabel_confusion_matrix)),
    (
        "matthews_corr_coef",
        {},
        lambda target, chance: sklearn.matthews_corrcoef(target.ravel(), chance.ravel() > 0.5),
    ),
    ("multilabel_coverage_error", {}, scores(sklearn.coverage_error)),
    ("multilabel_ranking_average_precision", {}, scores(sklearn.label_ranking_average_precision_score)),
    ("multilabel_ranking_loss", {}, scores(sklearn.label_ranking_loss)),
    *(
        (option, {"average": average, **extra}, labels(function, average=named(average), **extra))
        for average in AVERAGES
        for option, function, extra in (
            ("precision", sklearn.precision_score, {}),
            ("recall", sklearn.recall_score, {}),
            ("f1", sklearn.f1_score, {}),
            ("fbeta", sklearn.fbeta_score, {"beta": 2.0}),
            ("jaccard_index", sklearn.jaccard_score, {}),
        )
    ),
    *(
        (option, {"average": average}, scores(function, average=named(average)))
        for average in AVERAGES
        for option, function in (
            ("auroc", sklearn.roc_auc_score),
            ("average_precision", sklearn.average_precision_score),
        )
    ),
]

REGRESSION: Final[list[Row]] = [
    ("mean_squared_error", {}, sklearn.mean_squared_error),
    ("mean_squared_error", {"squared": False}, sklearn.root_mean_squared_error),
    ("mean_absolute_error", {}, sklearn.mean_absolute_error),
    ("mean_absolute_percentage_error", {}, sklearn.mean_absolute_percentage_error),
    ("mean_squared_log_error", {}, sklearn.mean_squared_log_error),
    ("r2_score", {}, sklearn.r2_score),
    ("explained_variance", {}, sklearn.explained_variance_score),
    ("tweedie_deviance_score", {"power": 1.5}, scores(sklearn.mean_tweedie_deviance, power=1.5)),
]


NOT_IN_SCIKIT_LEARN: Final = {
    "stat_scores": "a confusion matrix in another order",
    "calibration_error": "it has the curve, and no number for it",
    "eer": "the equal error rate",
    "log_auc": "the area over a logarithm",
    "precision_at_fixed_recall": "a point of the curve",
    "recall_at_fixed_precision": "a point of the curve",
    "sensitivity_at_specificity": "a point of the curve",
    "specificity_at_sensitivity": "a point of the curve",
    "binary_fairness": "a comparison of groups",
    "group_stat_rates": "a comparison of groups",
}


def test_every_metric_of_classification_that_both_have_is_compared() -> None:
    here = {
        name
        for name, option in options["metrics"].items()
        if option.schema.__module__.endswith((".classification", ".ranking"))
    }
    compared = {row[0] for row in (*BINARY, *MULTICLASS, *MULTILABEL)}

    assert compared & NOT_IN_SCIKIT_LEARN.keys() == set()
    assert compared | NOT_IN_SCIKIT_LEARN.keys() == here


def shown(row: Row) -> str:
    return " ".join([row[0], *(f"{name}={value}" for name, value in row[1].items())])


@pytest.mark.parametrize("row", BINARY, ids=shown)
def test_binary(row: Row) -> None:
    generator = Generator().manual_seed(1)
    target = torch.randint(2, (sum(BATCH_SIZES),), generator=generator)
    probabilities = torch.sigmoid(target + torch.randn(len(target), generator=generator) - 0.5)

    assert_equal(row, {"task": "binary"}, probabilities, target)


@pytest.mark.parametrize("row", MULTICLASS, ids=shown)
def test_multiclass(row: Row) -> None:
    generator = Generator().manual_seed(2)
    target = torch.randint(NUM_CLASSES, (sum(BATCH_SIZES),), generator=generator)
    target[:20] = 0  # classes of different sizes
    logits = torch.nn.functional.one_hot(target, NUM_CLASSES) + torch.randn(
        len(target), NUM_CLASSES, generator=generator
    )

    assert_equal(row, {"task": "multiclass", "num_classes": NUM_CLASSES}, logits.softmax(dim=1), target, logits)


@pytest.mark.parametrize("row", MULTILABEL, ids=shown)
def test_multilabel(row: Row) -> None:
    generator = Generator().manual_seed(3)
    target = (torch.rand(sum(BATCH_SIZES), NUM_CLASSES, generator=generator) < 0.4).long()
    probabilities = torch.sigmoid(2 * target + torch.randn(target.shape, generator=generator) - 1)
    kind = {} if row[0].startswith("multilabel") else {"task": "multilabel"}

    assert_equal(row, {**kind, "num_labels": NUM_CLASSES}, probabilities, target)


@pytest.mark.parametrize("row", REGRESSION, ids=shown)
def test_regression(row: Row) -> None:
    generator = Generator().manual_seed(4)
    target = torch.rand(sum(BATCH_SIZES), generator=generator) + 0.1
    prediction = (target + 0.3 * torch.randn(len(target), generator=generator)).clamp(min=0.05)

    assert_equal(row, {}, prediction, target)


def assert_equal(row: Row, task: dict[str, Any], scores: Tensor, target: Tensor, logits: Tensor | None = None) -> None:
    """Gather an epoch in several batches, the last one smaller, and compare it to the reference on all of it."""
    option, fields, reference = row
    epoch = SplitMetrics("val", build_metrics({"metric": made(option, {**task, **fields})}))
    outputs = {"probabilities": scores, "prediction": scores, "logits": scores if logits is None else logits}
    parts = {
        name: torch.split_with_sizes(tensor, BATCH_SIZES) for name, tensor in {**outputs, "target": target}.items()
    }
    for index, size in enumerate(BATCH_SIZES):
        epoch.update({}, {name: batches[index] for name, batches in parts.items()}, size)

    numbers, tables = epoch.compute(), epoch.tables()
    found = [value.numpy() for value in numbers.values()]
    for table in tables.values():
        found += [part.numpy() for name, part in table.items() if name != "thresholds"]
    expected = reference(target.numpy(), scores.numpy())

    assert found
    flat = np.concatenate([np.ravel(part) for part in (expected if isinstance(expected, tuple) else (expected,))])
    np.testing.assert_allclose(np.concatenate([np.ravel(value) for value in found]), flat, rtol=2e-5, atol=1e-6)
