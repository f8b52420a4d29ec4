"""Every metric in a real fit of two epochs, from overrides alone: what is logged is what the config says.

The options of a family are measured together in one fit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from app.compose import compose
from app.schemas.annotations import field_types
from app.schemas.metrics.metric import MetricConfig
from app.schemas.registry import options
from tests.tasks.workbench import LEAN, built, workbench

__all__ = ["workbench"]

pytestmark = pytest.mark.usefixtures("workbench")

KINDS: Final = ("binary", "multiclass", "multilabel")

NEEDED: Final[Mapping[str, str]] = {
    "precision_at_fixed_recall": "min_recall=0.5",
    "recall_at_fixed_precision": "min_precision=0.5",
    "sensitivity_at_specificity": "min_specificity=0.5",
    "specificity_at_sensitivity": "min_sensitivity=0.5",
    "minkowski_distance": "p=2.0",
    "critical_success_index": "threshold=0.5",
    "binary_fairness": "num_groups=2",
    "group_stat_rates": "num_groups=2",
}
"""The fields that have no default."""

MAPPED: Final[Mapping[str, str]] = {
    "minkowski_distance": "targets: value",
    "tweedie_deviance_score": "targets: value",
    "mean_squared_log_error": "preds: variance, target: count",
    "continuous_ranked_probability_score": "preds: embedding, target: value",
    "cosine_similarity": "preds: embedding, target: other_embedding",
    "kl_divergence": "p: distribution",
    "jensen_shannon_divergence": "p: distribution",
}
"""What the workbench calls by other names; otherwise a number is compared with `value`, and masks with `mask`."""


@dataclass(frozen=True)
class Fit:
    logged: Mapping[str, float]
    derived: frozenset[str]
    configs: Mapping[str, MetricConfig]
    folder: Path


def family_of(name: str) -> str:
    return options["metrics"][name].schema.__module__.rpartition(".")[2]


def fits_of(name: str) -> Iterator[str]:
    """The fits that an option is measured in: classification once for each kind of task it has."""
    fields = field_types(options["metrics"][name].schema)
    if family_of(name) not in ("classification", "ranking"):
        yield {"retrieval": "binary"}.get(family_of(name), "multiclass") + " " + family_of(name)
    elif "num_groups" in fields:
        yield "binary"
    elif "num_labels" in fields and "task" not in fields:
        yield "multilabel"
    else:
        yield from (kind for kind in KINDS if repr(kind) in repr(fields["task"]))


def overrides_of(name: str) -> Iterator[str]:
    """What the choice of an option needs beside its name."""
    if name in NEEDED:
        yield f"metrics.{name}.{NEEDED[name]}"
    target = {
        "regression": "target: value",
        "segmentation": "target: mask",
        "gallery": "target: label, is_query: same",
    }.get(family_of(name))
    if mapping := MAPPED.get(name, target):
        yield f"metrics.{name}.mapping={{{mapping}}}"


MEASURED: Final = [(name, fit) for name in options["metrics"] for fit in fits_of(name)]


@pytest.fixture(scope="module")
def fits(workbench: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fit]:  # noqa: ARG001  # the task is known meanwhile
    """Each made when it is first looked at."""

    class Fits(dict[str, Fit]):
        def __missing__(self, fit: str) -> Fit:
            names = [name for name, where in MEASURED if where == fit]
            folder = tmp_path_factory.mktemp("fit")
            chosen = [override for name in names for override in overrides_of(name)]
            kind = fit.partition(" ")[0]
            overrides = ("loss=[focal]", f"task.kind={kind}", f"metrics=[{','.join(names)}]", *chosen)
            run, config = built(*overrides, folder=folder), compose([*LEAN, *overrides]).config
            run.trainer.fit(model=run.module, datamodule=run.datamodule)
            logged = {key: float(value) for key, value in run.trainer.callback_metrics.items()}
            in_fit = {key for key in config.logged_metrics() if not key.startswith("test/")}
            self[fit] = Fit(logged, frozenset(in_fit), config.metrics, folder)
            return self[fit]

    return Fits()


def test_no_metric_is_passed_over() -> None:
    assert {name for name, _ in MEASURED} == options["metrics"].keys()
    assert len(MEASURED) > 110


@pytest.mark.parametrize(("name", "fit"), MEASURED)
def test_what_is_logged_is_what_the_config_says(name: str, fit: str, fits: dict[str, Fit]) -> None:
    made = fits[fit]
    results = made.configs[name].results(name)

    assert made.logged.keys() == made.derived
    assert {f"{split}/{result}" for split in ("train", "val") for result in results} <= made.logged.keys()
    for split in ("train", "val"):
        file = made.folder / "metrics" / f"{split}_{name}.npz"
        assert file.is_file() == (not results), "a table is a file, and nothing else is"
        if not results:
            table: Any = np.load(file)
            assert table["epoch"] == 1
            assert all(table[part].size for part in table)


def test_metrics_are_named_mapped_and_limited_to_phases(tmp_path: Path) -> None:
    run = built(
        "metrics=[accuracy,mean_squared_error]",
        "metrics.accuracy.phases=[val]",
        "metrics.mean_squared_error={mapping: {target: value}, squared: false}",
        "metrics.top_two={id: accuracy, top_k: 2}",
        "metrics.each={id: f1, average: none, phases: [val]}",
        folder=tmp_path,
    )
    run.trainer.fit(model=run.module, datamodule=run.datamodule)

    logged = {name: float(value) for name, value in run.trainer.callback_metrics.items()}
    expected = {
        *("train/loss", "train/mean_squared_error", "train/top_two"),
        *("val/loss", "val/mean_squared_error", "val/top_two", "val/accuracy"),
        *("val/each/0", "val/each/1", "val/each/2"),
    }
    assert logged.keys() == expected
    assert logged["val/top_two"] >= logged["val/accuracy"]
