"""Experiments made up by chance: as many as a benchmark or a test needs, all of them right, no two of them alike.

python benchmarks/generated_experiments.py <folder> 1000
"""

import random
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

Values = dict[str, Any]

_OPTIMIZERS: Final[Mapping[str, Callable[[random.Random], Values]]] = {
    "adamw": lambda draw: {"lr": _rate(draw, 2e-4, 5e-3), "weight_decay": draw.choice([0.02, 0.05, 0.1])},
    "adam": lambda draw: {"lr": _rate(draw, 2e-4, 5e-3), "betas": [draw.choice([0.8, 0.85, 0.95]), 0.99]},
    "nadam": lambda draw: {"lr": _rate(draw, 2e-4, 1.9e-3), "momentum_decay": draw.choice([0.002, 0.008])},
    "radam": lambda draw: {"lr": _rate(draw, 2e-4, 5e-3), "eps": 1e-7},
    "sgd": lambda draw: {"lr": _rate(draw, 0.02, 0.2), "momentum": draw.choice([0.8, 0.9, 0.95]), "nesterov": True},
    "rmsprop": lambda draw: {"lr": _rate(draw, 2e-4, 5e-3), "alpha": draw.choice([0.9, 0.95])},
}
_SCHEDULERS: Final[Mapping[str, Callable[[random.Random], Values]]] = {
    "step": lambda draw: {"step_size": draw.randint(2, 9), "gamma": draw.choice([0.2, 0.5])},
    "exponential": lambda draw: {"gamma": round(draw.uniform(0.8, 0.94), 3)},
    "cosine_annealing": lambda draw: {"eta_min": draw.choice([1e-6, 1e-5])},
    "polynomial": lambda draw: {"power": draw.choice([2.0, 3.0])},
}
_MODULES: Final[Mapping[str, Callable[[random.Random], Values]]] = {
    "digits/cnn": lambda draw: {
        "channels": [draw.choice([8, 16, 24]) * 2**block for block in range(draw.randint(1, 3))],
        "dropout": draw.choice([0.1, 0.3, 0.4]),
    },
    "mlp": lambda draw: {
        "hidden_dims": [draw.choice([32, 64, 96]) for _ in range(draw.randint(1, 4))],
        "dropout": draw.choice([0.05, 0.2, 0.3]),
    },
}
_METRICS: Final[Mapping[str, Values]] = {
    "precision": {"average": "weighted"},
    "recall": {"average": "weighted"},
    "jaccard_index": {"average": "weighted"},
    "fbeta": {"beta": 2.0},
    "matthews_corr_coef": {"phases": ["val", "test"]},
    "cohen_kappa": {"weights": "quadratic"},
}
_CALLBACKS: Final[Mapping[str, Callable[[random.Random], Values]]] = {
    "early_stopping": lambda draw: {"patience": draw.randint(4, 9), "min_delta": draw.choice([1e-4, 1e-3])},
    "ema": lambda draw: {"decay": draw.choice([0.99, 0.995])},
    "plain_model_summary": lambda draw: {"max_depth": draw.randint(2, 4)},
    "tqdm_progress_bar": lambda draw: {"refresh_rate": draw.randint(2, 9)},
}


def write_experiments(folder: Path, count: int, seed: int = 0) -> list[str]:
    """Write experiments of task digits into a folder; every tenth builds on the one before it.

    Returns:
        Their names, without the task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"generated_{number:05}" for number in range(count)]
    for number, name in enumerate(names):
        draw = random.Random(f"{seed}/{number}")
        content = _further(names[number - 1], draw) if number % 10 == 9 else _experiment(draw)
        content["seed_params"] = {"seed": number + 1}  # no other experiment has it
        text = yaml.safe_dump(content, sort_keys=False)
        (folder / f"{name}.yaml").write_text(f"# @package _global_\n{text}", encoding="utf-8")
    return names


def _further(base: str, draw: random.Random) -> Values:
    """What goes over another experiment."""
    return {
        "defaults": [base, "_self_"],
        "trainer": {"max_epochs": draw.randint(41, 60)},
        "datamodule": {"train_fraction": draw.choice([0.25, 0.5])},
    }


def _experiment(draw: random.Random) -> Values:
    module = draw.choice([*_MODULES])
    optimizer = draw.choice([*_OPTIMIZERS])
    scheduler = draw.choice([*_SCHEDULERS, None])
    metrics = draw.sample([*_METRICS], draw.randint(0, 3))
    callbacks = draw.sample([*_CALLBACKS], draw.randint(0, 3))
    choices: list[Any] = [{"override /module": module}]
    values: Values = {
        "module": {"model_config": _MODULES[module](draw)},
        "optimizer_spec": _OPTIMIZERS[optimizer](draw),
        "joint_loss": {"losses": _losses(draw)},
        "trainer": {"max_epochs": draw.randint(21, 40), "gradient_clip_val": draw.choice([0.5, 1.0])},
        "datamodule": {
            "augmentations": {
                "random_affine": {"max_rotation": draw.choice([5.0, 10.0, 15.0])},
                "noise": {"id": "gaussian_noise", "deviation": draw.choice([0.05, 0.2])},
            }
        },
    }
    if optimizer != "adamw":
        choices.append({"override /optimizer_spec": optimizer})
    if scheduler is not None:
        choices.append({"override /scheduler_spec": scheduler})
        values["scheduler_spec"] = _SCHEDULERS[scheduler](draw)
    if metrics:
        choices.append({"override /metrics": metrics})
        values["metrics"] = {name: _METRICS[name] for name in metrics if draw.random() < 0.6}
    if callbacks:
        choices.append({"override /callbacks": ["checkpoint", *callbacks]})
        values["callbacks"] = {name: _CALLBACKS[name](draw) for name in callbacks}
    return {"defaults": choices, **values}


def _losses(draw: random.Random) -> Values:
    smoothing = draw.choice([0.05, 0.1, 0.2])
    if draw.random() < 0.5:
        return {"cross_entropy": {"label_smoothing": smoothing}}
    return {
        "cross_entropy": {"weight": draw.choice([2.0, 3.0])},
        "smoothed": {"id": "cross_entropy", "label_smoothing": smoothing, "weight": draw.choice([0.5, 0.25])},
    }


def _rate(draw: random.Random, least: float, most: float) -> float:
    """A learning rate; never 0.001, which several optimizers start from, so that writing it would be idle."""
    rate = float(f"{draw.uniform(least, most):.1e}")
    return 1.1e-3 if rate == 1e-3 else rate


if __name__ == "__main__":
    write_experiments(Path(sys.argv[1]), int(sys.argv[2]))
