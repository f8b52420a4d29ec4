"""The module group: a model's hyperparameters and the way it is trained, one option for each of a task's modules."""

from typing import ClassVar

from app.schemas.phases import Mode
from app.schemas.registry import group
from app.schemas.schema import schema


@group("module")
@schema
class ModuleConfig:
    """Config of a `LightningModule`.

    Each option adds `model_config`, a schema of its own for what `initialize_model` needs, and whatever else its
    module's constructor takes. Losses, metrics, optimizers, schedulers and the task have groups of their own.
    """

    default_losses: ClassVar[tuple[str, ...]] = ("cross_entropy",)
    """The terms of `joint_loss` where nobody chooses others: options of the group `loss`."""

    dense: ClassVar[bool] = False
    """Whether its model scores every pixel, as metrics of masks need; a model made of parts says so by its head."""

    compute_loss_on_valid: bool = True
    """Compute the joint loss on the val split too; without it nothing logs `val/loss`, and validation is faster."""

    def model_outputs(self) -> tuple[str, ...]:
        """The names of the model's outputs."""
        return ("logits",)

    def model_targets(self) -> tuple[str, ...]:
        """The batch's targets that the model itself looks at in training; most look at none."""
        return ()

    def output_keys(self) -> tuple[str, ...]:
        """The names of what a step puts out beside the batch's targets; losses and metrics may be computed from it."""
        outputs = self.model_outputs()
        return (*outputs, *(("probabilities", "classes") if "logits" in outputs else ()), "input")

    def logged_metrics(self) -> dict[str, Mode]:
        """What the module logs beyond the run's losses and metrics, by full name, with the mode that suits it."""
        return {}
