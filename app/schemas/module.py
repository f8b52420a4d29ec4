"""The module group: a model's hyperparameters and the way it is trained, one option for each of a task's modules."""

from app.schemas.registry import group
from app.schemas.schema import schema
from app.schemas.task import Mode


@group("module")
@schema
class ModuleConfig:
    """Config of a `LightningModule`.

    Each option adds `model_config`, a schema of its own for what `initialize_model` needs, and whatever else its
    module's constructor takes. Optimizer, scheduler and task have groups of their own.
    """

    def logged_metrics(self) -> dict[str, Mode]:
        """What the module logs beyond the task's own metrics, by full name, with the mode that suits it."""
        return {}
