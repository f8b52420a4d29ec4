"""The words that choose an option so that a config with it passes: its task, and what it cannot do with or without."""

from typing import Any, Final, cast

from app.schemas.annotations import field_types
from app.schemas.registry import groups, options
from app.tasks import import_task_configs

FIXED: Final = ("accuracy", "f1")
"""Metrics that are the default task's own, and so no choice."""

NEEDED: Final = {
    "trainer=barebones": ["callbacks=[]", "logger=[]"],
    "callbacks=device_stats": ["callbacks.device_stats.cpu_stats=false"],
    "metrics=precision_at_fixed_recall": ["metrics.precision_at_fixed_recall.min_recall=0.5"],
    "metrics=recall_at_fixed_precision": ["metrics.recall_at_fixed_precision.min_precision=0.5"],
    "metrics=sensitivity_at_specificity": ["metrics.sensitivity_at_specificity.min_specificity=0.5"],
    "metrics=specificity_at_sensitivity": ["metrics.specificity_at_sensitivity.min_sensitivity=0.5"],
    "metrics=binary_fairness": ["metrics.binary_fairness.num_groups=2"],
    "metrics=group_stat_rates": ["metrics.group_stat_rates.num_groups=2"],
    "metrics=minkowski_distance": ["metrics.minkowski_distance.p=3"],
    "metrics=critical_success_index": ["metrics.critical_success_index.threshold=0.5"],
    "augmentation=sequence": ["datamodule.augmentations.sequence.steps={a: {id: invert}}"],
    "augmentation=one_of": ["datamodule.augmentations.one_of.steps={a: {id: invert}}"],
    "augmentation=some_of": ["datamodule.augmentations.some_of.steps={a: {id: invert}, b: {id: grayscale}}"],
    "head=embedding": ["task=retrieval", "datamodule=retrieval/single", "loss=[supervised_contrastive]"],
    "head=segmentation": ["task=segmentation", "module=segmentation/default"],
    "head=multi": [
        *("module.model_config.head.heads={a: {id: linear, num_classes: 10}}", "module.model_config.head.main=a"),
    ],
    "module=retrieval/triplet": ["datamodule=retrieval/triplets"],
    "module=retrieval/simclr": ["datamodule=retrieval/views"],
    "datamodule=retrieval/triplets": ["module=retrieval/triplet"],
    "datamodule=retrieval/views": ["module=retrieval/simclr"],
    "datamodule=retrieval/single": ["module=parts", "head=embedding", "loss=[supervised_contrastive]"],
    # With its shape given, the file is not looked at.
    "table=csv_binary": ["task.table.file=any.csv", "task.table.target=label", "task.input_shape=[2]"],
    "table=csv_regression": ["task.table.file=any.csv", "task.table.target=price", "task.input_shape=[2]"],
    "table=csv_multiclass": [
        *("task.table.file=any.csv", "task.table.target=label", "task.table.num_classes=3", "task.input_shape=[2]"),
    ],
}  # fmt: skip
"""What an option cannot do with, or without."""

UNINSTALLED: Final = ("timm", "kornia", "albumentations")
"""Options of other packages, which are refused where these are not installed."""

import_task_configs()


def choosing(group: str, name: str) -> list[str]:
    """What to type for an option; whatever outputs it is usually computed from, here there are the scores.

    A loss that does not take scores as they are is given the input, of which nothing is known.
    """
    override = f"{group}={name}"
    chosen = [*_around(group, name), override, *NEEDED.get(override, [])]
    if group in ("loss", "metrics"):
        schema = cast(Any, options[group][name].schema)
        taken = schema.takes if group == "loss" else {}
        outputs = {
            argument: "logits" if "logits" in taken.get(argument, ["logits"]) else "input"
            for argument in schema.arguments
        }
        mapping = ",".join(f"{argument}: {output}" for argument, output in outputs.items())
        if name in FIXED:
            return [f"{groups[group].mount}.another={{id: {name}, mapping: {{{mapping}}}}}"]
        return [*chosen, f"{groups[group].mount}.{name}.mapping={{{mapping}}}"]
    return chosen


def task_of(group: str, name: str) -> str | None:
    """The task that an option is of, or whose part its group is; None for one that serves every task."""
    if group == "task":
        return name
    if groups[group].path[0] == "task":
        return next(
            task for task, option in options["task"].items() if groups[group].path[1] in field_types(option.schema)
        )
    return options[group][name].owner


def _around(group: str, name: str) -> list[str]:
    """What the option is a part of, unless what it needs says so."""
    if group == "task":
        return []
    around = [f"task={task}"] if (task := task_of(group, name)) else []
    if groups[group].mount.startswith("module."):
        around.append("module=parts")
    needed = [word.partition("=")[0] for word in NEEDED.get(f"{group}={name}", [])]
    return [word for word in around if word.partition("=")[0] not in needed]
