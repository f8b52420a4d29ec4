import re

import pytest

from app.compose import load_config
from app.inspection.why import answer
from app.schemas.problems import ConfigError
from app.tasks.multi_head.config import HEADS, MultiHeadDataModuleConfig, MultiHeadTaskConfig

TASK = "task=multi_head"


def test_each_target_has_a_metric_of_its_head() -> None:
    metrics = MultiHeadTaskConfig().fixed_metrics()

    assert metrics.keys() == {"digit_accuracy", "parity_accuracy", "loops_accuracy", "digit_f1"}
    for target, count in HEADS.items():
        metric = metrics[f"{target}_accuracy"]
        assert metric.output_of() == {"preds": f"{target}_logits", "target": target}
        assert getattr(metric, "num_classes", None) == count


def test_each_head_has_a_cross_entropy_without_an_override() -> None:
    losses = load_config([TASK]).joint_loss.losses

    assert {tag: loss.output_of() for tag, loss in losses.items()} == {
        f"{target}_loss": {"input": f"{target}_logits", "target": target} for target in HEADS
    }
    assert {type(loss).__name__ for loss in losses.values()} == {"CrossEntropyConfig"}


def test_a_heads_loss_is_weighted_by_its_tag() -> None:
    config = load_config([TASK, "joint_loss.losses.digit_loss.weight=3.0"])

    assert [loss.weight for loss in config.joint_loss.losses.values()] == [3, 1, 1]
    assert config.joint_loss.losses["digit_loss"].mapping == {"input": "digit_logits", "target": "digit"}


def test_the_losses_of_single_heads_are_logged() -> None:
    logged = load_config([TASK]).logged_metrics()

    assert {f"val/{target}_loss": "min" for target in HEADS}.items() <= logged.items()
    assert logged["val/loss"] == "min"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["module.model_config.head.heads.loops.num_classes=4"],
            "module.model_config.head.heads.loops.num_classes: expected 3, as the target 'loops' has, found 4",
        ),
        (["head=linear"], "module: puts out no 'digit_logits', from which the task's digit_accuracy is computed"),
        (["module.model_config.head.main=digit"], "module: puts out no 'digit_logits'"),
        (["module=mlp"], "module: puts out no 'digit_logits'"),
    ],
)
def test_heads_that_do_not_fit_the_targets_are_refused(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([TASK, *overrides])

    assert any(str(problem).startswith(message) for problem in caught.value.problems)


def test_predictions_may_be_asked_for_by_head() -> None:
    config = load_config([TASK, "predictions.outputs=[parity_class,digit_probabilities]"])

    assert config.predictions.outputs == ("parity_class", "digit_probabilities")


def test_a_batch_has_a_class_for_each_target() -> None:
    batch = MultiHeadDataModuleConfig().batch(MultiHeadTaskConfig())

    assert {name: spec.high for name, spec in batch.targets.items()} == {"digit": 9, "parity": 1, "loops": 2}


def test_what_the_module_sets_of_a_loss_is_explained() -> None:
    found = answer(["joint_loss.losses.parity_loss.mapping.target", TASK])

    assert re.search(
        r"^\* parity +default losses of PartsHeadsModuleConfig +app/tasks/multi_head/config\.py:\d+$", found, re.M
    )
