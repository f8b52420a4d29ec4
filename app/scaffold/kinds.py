"""What the options of a group have in common, for the groups whose live classes take fields as keyword arguments."""

from collections.abc import Mapping
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What is known of the classes of one group."""

    live: str = ""
    """The class that all of them derive from, where that tells the group."""

    given: Mapping[str, str] = {}
    """Arguments that are no fields, each with the reason."""

    called: str = ""
    """The method whose arguments are outputs of a step."""

    narrowed: tuple[str, ...] = ()
    """Fields of the group's base that are arguments of the class, with a default of its own."""


KINDS: Final[Mapping[str, Kind]] = {
    "optimizer_spec": Kind("torch.optim.optimizer.Optimizer", {"params": "the model's parameters"}, narrowed=("lr",)),
    "scheduler_spec": Kind(
        "torch.optim.lr_scheduler.LRScheduler",
        {"optimizer": "the run's", "last_epoch": "a resumed run restores the whole state"},
    ),
    "loss": Kind(
        "torch.nn.modules.loss._Loss",
        dict.fromkeys(("size_average", "reduce"), "an old name of reduction"),
        "forward",
    ),
    "metrics": Kind("torchmetrics.metric.Metric", {"validate_args": "waits for the device at each step"}, "update"),
    "callbacks": Kind("lightning.pytorch.callbacks.callback.Callback"),
    "logger": Kind(
        "lightning.pytorch.loggers.logger.Logger",
        dict.fromkeys(("save_dir", "name", "version"), "the run directory's"),
    ),
    "backbone": Kind(given={"in_channels": "the channels of the task's images"}),
    "neck": Kind(given=dict.fromkeys(("in_channels", "reductions"), "what the backbone gives")),
    "pooling": Kind(),
    "head": Kind(given={"in_channels": "what the part before it gives"}),
    "augmentation": Kind(),
}
"""The groups of which a schema can be made, by name."""
