import torch
from torchmetrics.classification import MulticlassAccuracy

from app.tasks.shared.split_metrics import SplitMetrics


def test_losses_are_means_over_samples_not_batches() -> None:
    metrics = _metrics()
    metrics.update({"loss": torch.tensor(1.0)}, _outputs(0, 1, 1), torch.tensor([0, 1, 0]))
    metrics.update({"loss": torch.tensor(5.0)}, _outputs(1), torch.tensor([1]))

    values = metrics.compute()

    assert {name: value.item() for name, value in values.items()} == {"val/loss": 2.0, "val/accuracy": 0.75}


def test_a_reset_forgets_every_batch() -> None:
    metrics = _metrics()
    metrics.update({"loss": torch.tensor(1.0)}, _outputs(0), torch.tensor([1]))

    metrics.reset()

    assert metrics.compute() == {}
    metrics.update({"loss": torch.tensor(3.0)}, _outputs(0), torch.tensor([0]))
    assert {name: value.item() for name, value in metrics.compute().items()} == {"val/loss": 3.0, "val/accuracy": 1.0}


def test_a_loss_that_is_not_a_number_shows() -> None:
    metrics = _metrics()
    metrics.update({"loss": torch.tensor(float("nan"))}, _outputs(0), torch.tensor([0]))

    assert metrics.compute()["val/loss"].isnan()


def test_gathering_holds_on_to_no_graph_and_enters_no_checkpoint() -> None:
    metrics = _metrics()
    outputs = _outputs(0).requires_grad_()

    metrics.update({"loss": outputs.sum()}, outputs, torch.tensor([0]))

    assert not metrics.compute()["val/loss"].requires_grad
    assert metrics.state_dict() == {}


def _metrics() -> SplitMetrics:
    return SplitMetrics("val", {"accuracy": MulticlassAccuracy(2, average="micro", validate_args=False)})


def _outputs(*predicted: int) -> torch.Tensor:
    return torch.eye(2)[list(predicted)]
