"""How many batches a metric has taken in, which torchmetrics keeps but gives no way to set."""

from torchmetrics import Metric


def num_updates(metric: Metric) -> int:
    """The batches since the last reset."""
    # The wrappers that look back over the last few batches count by themselves.
    return int(getattr(metric, "_num_vals_seen", metric.update_count))


def set_num_updates(metric: Metric, count: int) -> None:
    """Let a metric whose state was set know of how many batches it is; any value computed before is forgotten."""
    if hasattr(metric, "_num_vals_seen"):
        metric._num_vals_seen = count
    metric._update_count = count
    metric._computed = None
