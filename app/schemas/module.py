"""The module group: a model's hyperparameters and the way it is trained, one option for each of a task's modules."""

from collections.abc import Mapping
from typing import ClassVar

from app.schemas.phases import Mode
from app.schemas.registry import group
from app.schemas.schema import schema
from app.schemas.task import TaskKind, usual_losses


@group("module")
@schema
class ModuleConfig:
    """Config of a `LightningModule`.

    Each option adds `model_config`, a schema of its own for what `initialize_model` needs, and whatever else its
    module's constructor takes. Losses, metrics, optimizers, schedulers and the task have groups of their own.
    """

    default_losses: ClassVar[tuple[str, ...] | Mapping[str, Mapping[str, object]] | None] = None
    """The terms of `joint_loss` where nobody chooses others: options of the group `loss`; None for the one that is
    usual for the task's kind.

    Where terms differ from their options, they are fields by tag, with the option as `id` unless the tag is its name:
    `{"age": {"id": "mse", "mapping": {"input": "age_prediction", "target": "age"}}}`.
    """

    dense: ClassVar[bool | None] = None
    """Whether its model scores every pixel, as metrics of masks need; None where it does not say. A model made of parts
    says so by its head."""

    compute_loss_on_valid: bool = True
    """Compute the joint loss on the val split too; without it nothing logs `val/loss`, and validation is faster."""

    @classmethod
    def default_terms(cls, kind: TaskKind) -> dict[str, tuple[str, Mapping[str, object]]]:
        """The `default_losses` by tag: the option of each, and the fields in which it differs from that.

        `kind` is the task's.
        """
        losses = usual_losses(kind) if cls.default_losses is None else cls.default_losses
        by_tag = losses if isinstance(losses, Mapping) else {name: {} for name in losses}
        return {
            tag: (str(fields.get("id", tag)), {name: value for name, value in fields.items() if name != "id"})
            for tag, fields in by_tag.items()
        }

    def model_outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs."""
        return ("logits",)

    def model_targets(self) -> tuple[str, ...]:
        """The batch's targets that the model itself looks at in training; most look at none."""
        return ()

    def output_keys(self, kind: TaskKind) -> tuple[str, ...]:
        """The names of what a step puts out beside the batch's targets; losses and metrics may be computed from it.

        Where the task's `kind` is regression, the model's score is the number itself, and called `prediction`.
        """
        outputs = self.model_outputs()
        if kind == "regression":
            return (*("prediction" if name == "logits" else name for name in outputs), "input")
        return (*outputs, *(("probabilities", "classes") if "logits" in outputs else ()), "input")

    def logged_metrics(self) -> dict[str, Mode]:
        """What the module logs beyond the run's losses and metrics, by full name, with the mode that suits it."""
        return {}
