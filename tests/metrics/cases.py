"""Every option of the group `metrics` with good values, and what a step puts out for it to measure."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Generator, Tensor

from app.schemas.annotations import field_types
from app.schemas.metrics.metric import MetricConfig
from app.schemas.registry import leaf_fields, options

NUM_CLASSES: Final = 4
KINDS: Final = ("binary", "multiclass", "multilabel")

NEEDED: Final[Mapping[str, Mapping[str, Any]]] = {
    "precision_at_fixed_recall": {"min_recall": 0.5},
    "recall_at_fixed_precision": {"min_precision": 0.4},
    "sensitivity_at_specificity": {"min_specificity": 0.5},
    "specificity_at_sensitivity": {"min_sensitivity": 0.5},
    "minkowski_distance": {"p": 3.0},
    "critical_success_index": {"threshold": 0.4},
}
"""The fields without a default."""

OTHER_VALUES: Final[Mapping[str, tuple[Any, ...]]] = {
    "average": ("micro", "macro", "weighted", "none"),
    "threshold": (0.3,),
    "top_k": (2,),
    "ignore_index": (-1,),
    "multidim_average": ("samplewise",),
    "zero_division": (1.0,),
    "beta": (2.0,),
    "normalize": ("true", "pred", "all"),
    "weights": ("linear", "quadratic"),
    "thresholds": (7, (0.2, 0.5, 0.7)),
    "max_fpr": (0.5,),
    "fpr_range": ((0.01, 0.5),),
    "min_recall": (0.7,),
    "min_precision": (0.3,),
    "min_specificity": (0.3,),
    "min_sensitivity": (0.7,),
    "n_bins": (5,),
    "norm": ("l2", "max"),
    "squared": (True, False),
    "multiclass_mode": ("one-vs-all",),
    "num_outputs": (2,),
    "reduction": ("sum", "none"),
    "log_prob": (True,),
    "keep_sequence_dim": (0,),
    "multioutput": ("variance_weighted",),
    "variant": ("a", "c"),
    "t_test": (True,),
    "alternative": ("less",),
    "p": (1.0,),
    "normalization": ("range", "std", "l2"),
    "adjusted": (2,),
    "power": (1.5,),
    "include_background": (True, False),
    "input_format": ("one-hot", "mixed"),
    "aggregation_level": ("global",),
    "per_class": (True,),
    "weight_type": ("simple", "linear"),
    "distance_metric": ("chessboard",),
    "spacing": ((1.0, 2.0),),
    "directed": (True,),
    "empty_target_action": ("pos", "skip", "neg"),
    "aggregation": ("median", "min", "max"),
    "adaptive_k": (True,),
    "max_k": (2,),
    "task": ("equal_opportunity",),
    "nan_strategy": ("error", 0.5),
    "window": (2,),
    "k": (3,),
    "distance": ("euclidean",),
    "max_detections": (1,),
}
"""Values other than the default, by field."""

TOGETHER: Final[Mapping[str, Mapping[str, Any]]] = {
    "alternative": {"t_test": True},
    "adaptive_k": {"top_k": 2, "max_k": 2},
    "multioutput": {"mapping": {"preds": "pair", "target": "pair_target"}},
    "num_outputs": {"mapping": {"preds": "pair", "target": "pair_target"}},
}
"""What a value makes sense with."""


@dataclass(frozen=True)
class Case:
    option: str
    config: MetricConfig

    def __str__(self) -> str:
        default = {one.name: one.default for one in dataclasses.fields(cast(Any, self.config))}
        hidden = ("num_classes", "num_labels", "mapping", "phases")
        shown = {
            name: value
            for name, value in leaf_fields(self.config).items()
            if name not in hidden and value != default[name]
        }
        return f"{self.option}({', '.join(f'{name}={value}' for name, value in shown.items())})"


def every_case() -> list[Case]:
    """Each option with its defaults, and with every other value of each field that its kind takes."""
    return [case for option in options["metrics"] for case in cases_of(option)]


def default_cases() -> list[Case]:
    """Each option with its defaults, of each kind of task that it has."""
    return [
        Case(name, made(name, {**one, **NEEDED.get(name, {})})) for name in options["metrics"] for one in starts(name)
    ]


def cases_of(name: str) -> Iterator[Case]:
    schema = options["metrics"][name].schema
    fields = field_types(schema)
    for start in starts(name):
        base = {**start, **NEEDED.get(name, {})}
        default = made(name, base)
        yield Case(name, default)
        for field in fields:
            taken = getattr(schema, "taken_by", {}).get(field, KINDS)
            if field == "task" and "num_groups" not in fields:
                continue
            if "task" in start and start["task"] not in taken:
                continue
            for value in OTHER_VALUES.get(field, ()):
                if value == getattr(default, field) or not _is_taken(schema, field, value):
                    continue
                if (field, value, start.get("task")) == ("average", "micro", "multiclass") and "max_fpr" in fields:
                    continue
                together = {key: other for key, other in TOGETHER.get(field, {}).items() if key in fields}
                if field == "input_format":
                    target = "one_hot" if value == "one-hot" else "mask_target"
                    together = {"mapping": {"preds": "mask_scores", "target": target}}
                if field == "ignore_index":
                    together = {"mapping": {**start["mapping"], "target": f"{start['mapping']['target']}_unknown"}}
                if name == "average_precision" and value == "micro" and start["task"] == "multiclass":
                    continue
                yield Case(name, made(name, {**base, **together, field: value}))


def starts(name: str) -> Iterator[dict[str, Any]]:
    """What an option is told of the task, once for each kind of task."""
    fields = field_types(options["metrics"][name].schema)
    if "num_groups" in fields:
        yield {"num_groups": 2, "mapping": {"preds": "binary", "target": "binary_target"}}
    elif "task" in fields:
        for kind in get_args(fields["task"]):
            sizes = {key: NUM_CLASSES for key in ("num_classes", "num_labels") if key in fields}
            yield {"task": kind, **sizes, "mapping": {"preds": kind, "target": f"{kind}_target"}}
    elif "num_labels" in fields:
        yield {"num_labels": NUM_CLASSES, "mapping": {"preds": "multilabel", "target": "multilabel_target"}}
    elif "num_classes" in fields:
        yield {"num_classes": NUM_CLASSES, "mapping": {"target": "mask_target"}}
    elif name.startswith("retrieval"):
        yield {"mapping": {"target": "relevance"}}
    elif "embedding" in cast(Any, options["metrics"][name].schema).arguments:
        yield {"mapping": {"target": "multiclass_target"}}
    elif name == "continuous_ranked_probability_score":
        yield {"mapping": {"preds": "ensemble"}}
    elif name in ("kl_divergence", "jensen_shannon_divergence"):
        yield {"mapping": {"p": "multiclass", "q": "other_distribution"}}
    elif name == "cosine_similarity":
        yield {"mapping": {"preds": "pair", "target": "pair_target"}}
    else:
        yield {}


def made(name: str, values: Mapping[str, Any]) -> MetricConfig:
    schema: Any = options["metrics"][name].schema
    config: MetricConfig = schema(**values)
    return config


def batches(*, sizes: tuple[int, ...] = (16, 16, 5), seed: int = 0) -> list[dict[str, Tensor]]:
    """What the steps of an epoch put out, with everything that any metric can measure; the last batch is smaller."""
    generator = Generator().manual_seed(seed)
    return [step_outputs(size, generator) for size in sizes]


def step_outputs(size: int, generator: Generator) -> dict[str, Tensor]:
    def rand(*shape: int) -> Tensor:
        return torch.rand(size, *shape, generator=generator)

    def integers(high: int, *shape: int) -> Tensor:
        return torch.randint(high, (size, *shape), generator=generator)

    masks = integers(NUM_CLASSES, 6, 6)
    mask_target = torch.where(rand(6, 6) < 0.6, masks, integers(NUM_CLASSES, 6, 6))
    target = rand()
    binary_target, multiclass_target, multilabel_target = integers(2), integers(NUM_CLASSES), integers(2, NUM_CLASSES)
    relevance = integers(2)
    outputs = {
        "binary": rand(),
        "binary_target": binary_target,
        "binary_target_unknown": _partly_unknown(binary_target),
        "multiclass": (3 * rand(NUM_CLASSES)).softmax(dim=1),
        "multiclass_target": multiclass_target,
        "multiclass_target_unknown": _partly_unknown(multiclass_target),
        "other_distribution": (3 * rand(NUM_CLASSES)).softmax(dim=1),
        "multilabel": rand(NUM_CLASSES),
        "multilabel_target": multilabel_target,
        "multilabel_target_unknown": _partly_unknown(multilabel_target),
        "groups": torch.arange(size) % 2,
        "prediction": (target + 0.2 * rand()).clamp(0.01, 1),
        "target": target,
        "pair": rand(2),
        "pair_target": rand(2),
        "ensemble": rand(3),
        "classes": masks,
        "mask_target": mask_target,
        "mask_scores": _one_hot(masks),
        "one_hot": _one_hot(mask_target),
        "scores": rand(),
        "relevance": relevance,
        "relevance_unknown": _partly_unknown(relevance),
        "indexes": torch.arange(size) // 4,
        "value": rand(),
        "is_query": torch.arange(size) % 2 == 0,
    }
    # Of what is there already, so that whatever else is drawn stays as it was.
    embedding = torch.stack([outputs[name] - 0.5 for name in ("binary", "scores", "value")], dim=1)
    return {**outputs, "embedding": embedding, **_boxes(outputs)}


def _boxes(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Two true boxes in each image, of which some images have one, and those found near them."""
    corners = torch.stack([outputs["pair"], outputs["pair_target"]], dim=1)
    boxes = torch.cat([corners, corners + 1], dim=-1)
    labels = torch.stack([outputs["multiclass_target"], outputs["binary_target"] - 1], dim=1)
    sure = torch.stack([outputs["scores"], outputs["value"]], dim=1)
    return {
        "boxes": boxes,
        "labels": labels,
        "detected_boxes": boxes + 0.3 * sure[..., None],
        "detected_scores": sure,
        "detected_labels": labels.where(sure > 0.2, 1),
    }


def _one_hot(masks: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(masks, NUM_CLASSES).movedim(-1, 1)


def _partly_unknown(target: Tensor) -> Tensor:
    unknown = target.clone()
    unknown[1] = -1
    return unknown


def _is_taken(schema: type, field: str, value: object) -> bool:
    """Whether a field's type has the value; the same name can stand for different choices."""
    try:
        TypeAdapter(field_types(schema)[field]).validate_python(value, strict=True)
    except ValidationError:
        return False
    return True
