"""What every term of a joint loss has, whichever loss it is.

A loss of your own is one class and one schema. The class is an `nn.Module` that returns one number; parameters to train
belong to the model. The schema names what its forward takes, each with the output that it is usually computed from,
and has a field for each argument of the constructor:

    @register("loss", "quantile", target="app.tasks.prices.losses.QuantileLoss")
    @schema
    class QuantileConfig(LossConfig):
        \"\"\"The pinball loss (Koenker and Bassett, 1978).\"\"\"

        arguments: ClassVar = {"input": "prediction", "target": "target"}

        quantile: OpenShare = 0.5
        \"\"\"The share of targets that shall lie below the prediction.\"\"\"

In a task's `config.py` it is known as soon as the task is, and chosen as `loss=[quantile]`.
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from app.schemas.codes import Code
from app.schemas.constraints import PositiveFloat
from app.schemas.outputs import OutputMapping
from app.schemas.problems import one_of
from app.schemas.registry import group
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

_FORMS: Final[Mapping[str, str]] = {
    "log_probabilities": "are normalised already, and logarithms",
    "probabilities": "are normalised already",
    "logits": "are scores that nothing has normalised yet",
}
"""The outputs whose names, or the ends of them, say whether they went through a softmax or sigmoid."""


@group(
    "loss",
    several=True,
    mount="joint_loss.losses",
    families=(
        "app.schemas.losses.torch_losses",
        "app.schemas.losses.further",
        "app.schemas.losses.detection",
    ),
)
@schema
class LossConfig(OutputMapping):
    """A term of the joint loss; its key in `joint_loss.losses` is its tag, under which it is logged.

    A live class takes the fields below these as keyword arguments, and its forward the mapped outputs as tensors. What
    it returns is one number: the mean over the batch, unless a field says otherwise.
    """

    arguments: ClassVar[Mapping[str, str]] = {"input": "logits", "target": "target"}

    same_shape: ClassVar[tuple[str, ...]] = ()
    """Arguments whose shapes must agree: torch would compare (64, 1) to (64) as 64 values to 64 others."""

    real_valued: ClassVar[tuple[str, ...]] = ()
    """Arguments that torch takes as real numbers only; whole ones, as classes are stored, are converted."""

    kinds: ClassVar[tuple[str, ...] | None] = None
    """The kinds of task whose own `target` it can be computed from; null takes any, none a mapped target only."""

    takes: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """For an argument that has to be normalised, or that the loss itself normalises: which of `logits`,
    `probabilities` and `log_probabilities` it may be; a softmax of log-probabilities changes nothing."""

    weight: PositiveFloat = 1.0
    """The factor of this term in the total; `normalize_weights` turns it into a share."""

    @rule("mapping", code=Code.NORMALIZED_TWICE)
    def scores_are_normalized_once(self) -> Iterator[Finding]:
        """A softmax of a softmax hardly learns, and the logarithm of a raw score is no likelihood."""
        for argument, output in self.mapping.items():
            fitting = self.takes.get(argument)
            form = next((form for form in _FORMS if output == form or output.endswith(f"_{form}")), None)
            if fitting and form is not None and form not in fitting:
                does = "normalises what it gets" if "logits" in fitting else "normalises nothing"
                found = f"'{output}' {_FORMS[form]}, and {type(self).__name__} {does}"
                yield ("mapping", argument), f"{found}; expected {one_of(fitting)}"
