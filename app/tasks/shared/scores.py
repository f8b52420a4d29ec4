"""The form in which a model's scores are compared with a task's target, whatever shape the model gives them.

A yes or no is one score for each sample, and so is a number: `(batch)`, as the targets are. A layer that gives them as
`(batch, 1)` would have losses compare each with every target of the batch.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from app.schemas.task import TaskKind


def as_targets_are(outputs: Mapping[str, Tensor], kind: TaskKind) -> dict[str, Tensor]:
    """A model's outputs by name, its `logits` in the form of the task's targets.

    In a `binary` task a single column is the score itself. Of two, for no and yes, the difference is: the sigmoid of
    that is what a softmax gives the yes. In a task of `regression` the score is the `prediction`, and called so.
    """
    named = dict(outputs)
    scores = named.get("logits")
    if scores is None or kind not in ("binary", "regression"):
        return named
    if scores.ndim == 2 and scores.shape[1] == 1:
        named["logits"] = scores[:, 0]
    elif scores.ndim == 2 and scores.shape[1] == 2 and kind == "binary":
        named["logits"] = scores[:, 1] - scores[:, 0]
    if kind == "regression":
        # In the place of the scores, not behind what else there is.
        return {"prediction" if name == "logits" else name: value for name, value in named.items()}
    return named


class TargetScale(nn.Module):
    """From numbers around 0 to those of the targets, which may be prices in millions.

    Weights start small and move by small steps, so that a model would take long to get there by itself. Mean and
    deviation are those of the training data, and kept in checkpoints.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))
        self.register_buffer("deviation", torch.ones(()))

    def set(self, mean: float, deviation: float) -> None:
        """Scale to targets of this mean and deviation."""
        self.mean.fill_(mean)
        self.deviation.fill_(deviation)

    def forward(self, scores: Tensor) -> Tensor:
        """The scores in the unit of the targets."""
        return scores * self.deviation + self.mean
