"""What can be chosen about optimization, each in a real fit of two epochs from overrides alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from app.compose import compose
from app.train import train

SMALL = [
    "module=mlp",
    "module.model_config.hidden_dims=[12]",
    "trainer.max_epochs=2",
    "trainer.limit_train_batches=6",
    "callbacks=[checkpoint]",
    "callbacks.checkpoint.monitor=null",
]
HEAD = "parameters: [.head], optimizer_spec: {id: sgd, lr: 0.1, momentum: 0.9}"
BOTH = ["loss=[cross_entropy,multi_margin]", f"optimizers.head={{{HEAD}, losses: [multi_margin]}}"]


def trained(folder: Path, *overrides: str) -> dict[str, Any]:
    """The last checkpoint of a run in which all went well."""
    train(compose([*SMALL, *overrides]), str(folder))
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    checkpoint: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return checkpoint


def rates(checkpoint: dict[str, Any]) -> list[list[float]]:
    """The learning rates at the end, by optimizer and group."""
    return [[group["lr"] for group in state["param_groups"]] for state in checkpoint["optimizer_states"]]


def test_factors_by_kind_and_name_divide_the_groups(tmp_path: Path) -> None:
    factors = "{norm_decay: 0, bias_decay: 0, custom: {.head: {lr: 0.1}}}"

    (groups,) = (
        state["param_groups"] for state in trained(tmp_path, f"optimizer_spec.paramwise={factors}")["optimizer_states"]
    )

    assert sorted((group["lr"], group["weight_decay"]) for group in groups) == [
        pytest.approx(pair) for pair in [(1e-4, 0.0), (1e-4, 1e-2), (1e-3, 0.0), (1e-3, 1e-2)]
    ]


@pytest.mark.parametrize(
    "more",
    [
        [],
        ["trainer.accumulate_grad_batches=4"],
        ["trainer.gradient_clip_val=0.1"],
        ["trainer.gradient_clip_val=0.01", "trainer.gradient_clip_algorithm=value"],
        ["trainer.precision=bf16-mixed"],
        ["optimizers.head.every_n_steps=2"],
        BOTH,
    ],
    ids=lambda more: " ".join(more) or "as it is",
)
def test_two_optimizers_train_with_a_scheduler_each(more: list[str], tmp_path: Path) -> None:
    head = f"optimizers.head={{{HEAD}, scheduler_spec: {{id: exponential, gamma: 0.5}}}}"
    of_steps = ["scheduler_spec=exponential", "scheduler_spec.interval=step", "scheduler_spec.gamma=0.9"]
    if more is BOTH:
        more = [*BOTH, "optimizers.head.scheduler_spec={id: exponential, gamma: 0.5}"]
    steps = 4 if "trainer.accumulate_grad_batches=4" in more else 12

    checkpoint = trained(tmp_path / "run", head, *of_steps, *more)

    assert checkpoint["global_step"] == steps
    (main,), (further,) = rates(checkpoint)
    assert main == pytest.approx(1e-3 * 0.9**steps)
    assert further == pytest.approx(0.1 * 0.5**2)
    before = trained(tmp_path / "start", head, "optimizer_spec.lr=1e-12", "optimizers.head.optimizer_spec.lr=1e-12")
    assert all(not torch.equal(value, before["state_dict"][name]) for name, value in checkpoint["state_dict"].items())


@pytest.mark.parametrize("callback", ["ema", "weight_averaging", "swa"])
def test_weights_are_averaged(callback: str, tmp_path: Path) -> None:
    settings = {
        "ema": ["callbacks.ema.decay=0.5"],
        "weight_averaging": [],
        "swa": ["callbacks.swa.swa_lrs=0.01", "callbacks.swa.swa_epoch_start=1"],
    }[callback]
    plain = trained(tmp_path / "plain")["state_dict"]

    averaged = trained(tmp_path / "averaged", f"callbacks=[checkpoint,{callback}]", *settings)["state_dict"]

    assert plain.keys() == averaged.keys()
    assert any(not torch.equal(value, averaged[name]) for name, value in plain.items())


def test_the_norm_of_the_gradients_is_logged(tmp_path: Path) -> None:
    trained(tmp_path, "callbacks=[checkpoint,gradient_norm]", "callbacks.gradient_norm.every_n_steps=3")

    header, *rows = (tmp_path / "metrics.csv").read_text().splitlines()
    place = header.split(",").index("grad_norm")
    found = [float(value) for row in rows if (value := row.split(",")[place])]
    assert len(found) == 4
    assert min(found) > 0


def test_a_part_is_frozen_and_thawed_as_scheduled(tmp_path: Path) -> None:
    freeze = ["callbacks=[checkpoint,freeze]", "callbacks.checkpoint.save_top_k=-1"]

    trained(tmp_path, *freeze, "callbacks.freeze.parts={.backbone: {until: 1}}")

    first, second = (
        torch.load(tmp_path / "checkpoints" / f"epoch_{epoch:03d}.ckpt", weights_only=True)["state_dict"]
        for epoch in (0, 1)
    )
    initial = trained(tmp_path / "initial", "optimizer_spec=sgd", "optimizer_spec.lr=1e-30")["state_dict"]
    for name in first:
        frozen = name.startswith("model.backbone")
        assert torch.equal(first[name], initial[name]) == frozen
        assert not torch.equal(second[name], first[name])
