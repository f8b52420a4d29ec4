import io
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from app.builders.metrics import build_metrics
from app.metrics.named_metric import NamedMetric
from app.metrics.split_metrics import MetricValueError, SplitMetrics
from app.schemas.metrics.classification import AccuracyConfig, ConfusionMatrixConfig, F1Config, PrecisionConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.metrics.ranking import PrecisionAtFixedRecallConfig
from app.schemas.outputs import MissingOutputError
from tests.metrics.cases import batches, every_case

ACCURACY = AccuracyConfig(task="multiclass", num_classes=2)


def test_losses_are_means_over_samples_not_batches() -> None:
    metrics = split()
    metrics.update({"loss": torch.tensor(1.0)}, outputs((0, 1, 1), (0, 1, 0)), 3)
    metrics.update({"loss": torch.tensor(5.0)}, outputs((1,), (1,)), 1)

    assert numbers(metrics) == {"val/loss": 2.0, "val/accuracy": 0.75}


def test_a_reset_forgets_every_batch() -> None:
    metrics = split(confusion=ConfusionMatrixConfig(task="multiclass", num_classes=2))
    metrics.update({"loss": torch.tensor(1.0)}, outputs((0,), (1,)), 1)

    metrics.reset()

    assert metrics.compute() == metrics.tables() == {}
    metrics.update({"loss": torch.tensor(3.0)}, outputs((0,), (0,)), 1)
    assert numbers(metrics) == {"val/loss": 3.0, "val/accuracy": 1.0}
    assert metrics.tables()["val/confusion"]["matrix"].tolist() == [[1, 0], [0, 0]]


def test_a_loss_that_is_not_a_number_shows() -> None:
    metrics = split()
    metrics.update({"loss": torch.tensor(float("nan"))}, outputs((0,), (0,)), 1)

    assert metrics.compute()["val/loss"].isnan()


def test_gathering_holds_on_to_no_graph_and_enters_no_checkpoint() -> None:
    metrics = split()
    given = outputs((0,), (0,))
    given["logits"].requires_grad_()

    metrics.update({"loss": given["logits"].sum()}, given, 1)

    assert not any(value.requires_grad for value in metrics.compute().values())
    assert metrics.state_dict() == {}
    assert list(metrics.parameters()) == []


def test_a_metric_reads_the_outputs_it_is_mapped_to() -> None:
    metrics = split(parity=AccuracyConfig(task="binary", mapping={"preds": "is_odd", "target": "odd"}))

    metrics.update({}, {**outputs((0,), (1,)), "is_odd": torch.tensor([0.9]), "odd": torch.tensor([1])}, 1)

    assert numbers(metrics) == {"val/accuracy": 0.0, "val/parity": 1.0}


def test_an_output_that_is_not_there_is_told_by_name() -> None:
    metrics = split(parity=AccuracyConfig(task="binary", mapping={"preds": "is_od"}))

    with pytest.raises(MissingOutputError) as caught:
        metrics.update({}, {**outputs((0,), (1,)), "is_odd": torch.tensor([0.9])}, 1)

    meant = "needs the output 'is_od', which the step did not put out; did you mean 'is_odd'?"
    assert str(caught.value).startswith(f"metrics.parity {meant}")


def test_a_metric_that_cannot_measure_says_what_it_was_given() -> None:
    metrics = split()

    with pytest.raises(RuntimeError, match="size of tensor") as caught:
        metrics.update({}, {"logits": torch.zeros(3, 2), "target": torch.zeros(4, 5, 6).long()}, 3)

    assert caught.value.__notes__ == [
        "metrics.accuracy was given preds=logits (3, 2) float32, target=target (4, 5, 6) int64"
    ]


def test_names_may_be_what_python_calls_other_things() -> None:
    names = ["type", "values", "forward", "top.k", "a/b"]
    metrics = SplitMetrics("train", build_metrics(dict.fromkeys(names, ACCURACY)))

    metrics.update({"training": torch.tensor(1.0)}, outputs((0,), (0,)), 1)

    assert numbers(metrics) == {"train/training": 1.0, **{f"train/{name}": 1.0 for name in names}}


def test_several_numbers_are_logged_in_the_order_of_their_names() -> None:
    metrics = split(
        each=PrecisionConfig(task="multiclass", num_classes=2, average="none"),
        at=PrecisionAtFixedRecallConfig(task="binary", min_recall=1.0, mapping={"preds": "chance"}),
    )

    metrics.update({}, {**outputs((0, 0, 1), (0, 1, 1)), "chance": torch.tensor([0.3, 0.4, 0.9])}, 3)

    assert numbers(metrics) == pytest.approx(
        {"val/accuracy": 2 / 3, "val/each/0": 0.5, "val/each/1": 1.0, "val/at": 1.0, "val/at_threshold": 0.4}
    )


def test_numbers_that_no_name_is_known_for_are_told() -> None:
    metric = MulticlassAccuracy(2, average="none", validate_args=False)
    metrics = SplitMetrics("val", {"mine": NamedMetric(metric=metric, results=("mine",))})
    metrics.update({}, outputs((0,), (0,)), 1)

    with pytest.raises(MetricValueError, match=r"metrics\.mine is to be logged as mine, and its value has 2 numbers"):
        metrics.compute()


def test_each_of_several_dataloaders_has_values_of_its_own() -> None:
    metrics = split(confusion=ConfusionMatrixConfig(task="multiclass", num_classes=2), dataloaders=("clean", "noisy"))

    metrics.update({"loss": torch.tensor(1.0)}, outputs((0, 1), (0, 1)), 2, dataloader_idx=0)
    metrics.update({"loss": torch.tensor(3.0)}, outputs((0, 1), (1, 1)), 2, dataloader_idx=1)
    metrics.update({"loss": torch.tensor(5.0)}, outputs((0, 1), (1, 0)), 2, dataloader_idx=1)

    assert numbers(metrics) == {
        "val/clean/loss": 1.0,
        "val/clean/accuracy": 1.0,
        "val/noisy/loss": 4.0,
        "val/noisy/accuracy": 0.25,
    }
    assert metrics.tables().keys() == {"val/clean/confusion", "val/noisy/confusion"}
    metrics.reset()
    assert metrics.compute() == {}


def test_dataloaders_can_be_named_once_they_are_known() -> None:
    metrics = split()
    metrics.name_dataloaders(["clean", "noisy"])
    metrics.update({}, outputs((0,), (1,)), 1, dataloader_idx=1)
    metrics.name_dataloaders(["clean", "noisy"])  # nothing new, and nothing forgotten
    assert numbers(metrics) == {"val/noisy/accuracy": 0.0}

    metrics.name_dataloaders(["only"])

    metrics.update({}, outputs((0,), (0,)), 1, dataloader_idx=0)
    assert numbers(metrics) == {"val/accuracy": 1.0}


def test_metrics_follow_the_module_to_another_device_or_type() -> None:
    metrics = split(f1=F1Config(task="multiclass", num_classes=2), dataloaders=("clean", "noisy")).to("meta")

    assert {state.device.type for state in states(metrics)} == {"meta"}


def test_an_epoch_goes_on_from_its_state() -> None:
    """Every option, with every other value of its fields: a state is plain, and what follows is as if nothing was."""
    configs = {f"{index} {case}": case.config for index, case in enumerate(every_case())}
    first, second, third = batches()
    through, until, after = (SplitMetrics("train", build_metrics(configs)) for _ in range(3))
    for epoch in (through, until):
        for index, batch in enumerate((first, second)):
            epoch.update({"loss": torch.tensor(float(index))}, batch, 4)
    file = io.BytesIO()
    torch.save(until.state(), file)
    file.seek(0)
    # What came before the state is loaded, as a sanity check's batches, counts no more; nor does what the other does.
    after.update({"loss": torch.tensor(9.0)}, third, 1)

    after.load_state(torch.load(file, weights_only=True))
    until.update({"loss": torch.tensor(9.0)}, third, 1)

    for epoch in (through, after):
        epoch.update({"loss": torch.tensor(5.0)}, third, 1)
    assert after.compute()["train/loss"].item() == pytest.approx((0 * 4 + 1 * 4 + 5 * 1) / 9)
    torch.testing.assert_close(after.compute(), through.compute(), rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(after.tables(), through.tables(), rtol=0, atol=0, equal_nan=True)


def test_a_state_is_not_changed_by_what_follows() -> None:
    metrics = split()
    metrics.update({"loss": torch.tensor(1.0)}, outputs((0,), (0,)), 1)
    state = metrics.state()

    metrics.update({"loss": torch.tensor(3.0)}, outputs((0,), (1,)), 1)
    again = split()
    again.load_state(state)
    metrics.reset()

    assert numbers(again) == {"val/loss": 1.0, "val/accuracy": 1.0}


def split(dataloaders: tuple[str, ...] = (), **further: MetricConfig) -> SplitMetrics:
    return SplitMetrics("val", build_metrics({"accuracy": ACCURACY, **further}), dataloaders)


def outputs(predicted: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Tensor]:
    return {"logits": torch.eye(2)[torch.tensor(predicted)], "target": torch.tensor(target)}


def numbers(metrics: SplitMetrics) -> dict[str, float]:
    return {name: value.item() for name, value in metrics.compute().items()}


def states(metrics: SplitMetrics) -> list[Tensor]:
    found: list[Any] = [value for module in metrics.modules() for value in getattr(module, "metric_state", {}).values()]
    assert found
    return found
