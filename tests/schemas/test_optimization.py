"""Several optimizers in one config: every way in which they do not fit each other, the losses or the trainer."""

from collections.abc import Mapping
from typing import Any

import pytest

from app import load_config
from app.schemas.model_paths import nested
from app.schemas.optimization import (
    NamedOptimizerSpec,
    optimizer_parts,
    optimizers_fit_together,
    optimizers_fit_trainer,
)
from app.schemas.optimizers import AdamWSpec, LBFGSSpec, OptimizerSpec, SGDSpec
from app.schemas.problems import ConfigError, dotted
from app.schemas.schedulers import CosineAnnealingLRSpec, OneCycleLRSpec
from app.schemas.trainer import TrainerConfig

TAGS = ("focal", "dice", "triplet")


def named(*parameters: str, losses: tuple[str, ...] | None = None, **values: Any) -> NamedOptimizerSpec:
    return NamedOptimizerSpec(parameters=parameters, optimizer_spec=SGDSpec(lr=0.1), losses=losses, **values)


def misfits(optimizers: Mapping[str, NamedOptimizerSpec], main: OptimizerSpec | None = None) -> list[tuple[str, str]]:
    found = optimizers_fit_together(main or AdamWSpec(), optimizers, TAGS)
    return [(path if isinstance(path, str) else dotted(path), message) for path, message in found]


def test_separate_parts_and_losses_fit_together() -> None:
    optimizers = {"head": named(".head", losses=("triplet",)), "neck": named(".neck", "pooling", every_n_steps=2)}
    assert misfits(optimizers) == []
    assert list(optimizers_fit_trainer(optimizers, TrainerConfig(strategy="ddp", devices=2))) == []
    assert misfits({}, LBFGSSpec()) == []


def test_a_part_of_two_optimizers_is_refused() -> None:
    assert misfits({"head": named(".head.cls"), "other": named(".neck", "head")}) == [
        (
            "optimizers.other.parameters[1]",
            "overlaps with '.head.cls', which optimizers.head trains; give it to one of them",
        )
    ]
    assert misfits({"all": named(".")}) == [
        (
            "optimizers.all.parameters[0]",
            "is the whole model, which leaves nothing to optimizer_spec; name the parts",
        )
    ]


def test_losses_belong_to_one_optimizer_and_leave_one_to_the_main() -> None:
    assert misfits({"head": named(".head", losses=("tripplet",)), "neck": named(".neck", losses=("x",))}) == [
        ("optimizers.head.losses[0]", "joint_loss has no term 'tripplet' in training; did you mean 'triplet'?"),
        (
            "optimizers.neck.losses[0]",
            "joint_loss has no term 'x' in training; its terms in training: focal, dice, triplet",
        ),
    ]
    assert misfits({"head": named(".head", losses=("dice",)), "neck": named(".neck", losses=("dice",))}) == [
        ("optimizers.neck.losses[0]", "'dice' is minimised by optimizers.head alone; leave it to one of them")
    ]
    assert misfits({"head": named(".head", losses=TAGS)}) == [
        ("optimizers.head.losses", "leaves no term of joint_loss to optimizer_spec; leave it at least one")
    ]


def test_lbfgs_is_refused_beside_others() -> None:
    found = "lbfgs evaluates the loss several times a step, which only an optimizer on its own can; choose another"
    line = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=LBFGSSpec())
    assert misfits({"head": line}) == [("optimizers.head.optimizer_spec", found)]
    assert misfits({"head": named(".head")}, LBFGSSpec()) == [("optimizer_spec", found)]


def test_the_trainer_must_be_able_to_step_several() -> None:
    sharded = TrainerConfig(strategy="fsdp", accelerator="gpu")
    assert list(optimizers_fit_trainer({"head": named(".head")}, sharded)) == [
        (
            "trainer.strategy",
            "'fsdp' cannot step several optimizers; expected 'auto', 'ddp' or 'single_device', or optimizers={}",
        )
    ]
    assert list(optimizers_fit_trainer({}, sharded)) == []
    fused = NamedOptimizerSpec(parameters=(".head",), optimizer_spec=AdamWSpec(fused=True))
    clipped = TrainerConfig(precision="bf16-mixed", gradient_clip_val=1.0)
    ((path, message),) = optimizers_fit_trainer({"head": fused}, clipped)
    assert dotted(tuple(path)) == "optimizers.head.optimizer_spec.fused"
    assert message == (
        "true leaves no gradients to clip with trainer.precision=bf16-mixed;"
        " expected false or null, or trainer.gradient_clip_val=null"
    )


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"parameters": (".a", "a.b")}, "parameters[1]", "overlaps with '.a'; name separate parts"),
        (
            {"parameters": ()},
            "parameters",
            "expected a list that is not empty, each a text that is not empty, found the list []",
        ),
        ({"losses": ("dice", "dice")}, "losses", "names 'dice' twice"),
        (
            {"scheduler_spec": OneCycleLRSpec(max_lr=0.1), "optimizer_spec": AdamWSpec(amsgrad=True)},
            None,
            None,
        ),
        (
            {"scheduler_spec": CosineAnnealingLRSpec(T_max=5, eta_min=1.0)},
            "scheduler_spec.eta_min",
            "must be below the learning rate it is reached from, 0.1, found 1.0",
        ),
    ],
)
def test_each_is_judged_on_its_own(values: dict[str, Any], path: str | None, message: str | None) -> None:
    usual: dict[str, Any] = {"parameters": (".a",), "optimizer_spec": SGDSpec(lr=0.1)}
    if path is None:
        NamedOptimizerSpec(**usual | values)
        return
    with pytest.raises(ConfigError) as caught:
        NamedOptimizerSpec(**usual | values)
    (problem,) = caught.value.problems
    assert (problem.path, problem.message) == (f"NamedOptimizerSpec.{path}", message)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (".a", "a", True),
        (".a", "a.b", True),
        (".a.b", ".a", True),
        (".", "a", True),
        ("a", "ab", False),
        (".a.b", ".a.c", False),
    ],
)
def test_paths_are_nested_or_not(one: str, other: str, expected: bool) -> None:
    assert nested(one, other) is expected


def test_all_optimizers_can_be_gone_through() -> None:
    main, head = AdamWSpec(), named(".head", scheduler_spec=CosineAnnealingLRSpec(T_max=5))
    parts = list(optimizer_parts(main, None, {"head": head}))
    assert parts == [((), main, None), (("optimizers", "head"), head.optimizer_spec, head.scheduler_spec)]


def test_they_are_chosen_on_the_command_line() -> None:
    text = (
        "{parameters: [.head], optimizer_spec: {id: sgd, lr: 0.1}, scheduler_spec: {id: cosine_annealing, T_max: 20}}"
    )
    ((name, spec),) = load_config([f"optimizers={{head: {text}}}"]).optimizers.items()
    assert name == "head"
    assert isinstance(spec.optimizer_spec, SGDSpec)
    assert spec.optimizer_spec.lr == 0.1
    assert isinstance(spec.scheduler_spec, CosineAnnealingLRSpec)
