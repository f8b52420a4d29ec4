"""`GeneralModule`: what the modules that serve every task have in common, classification and regression alike."""

from abc import abstractmethod

from torch import Tensor, nn

from app.schemas.task import TaskConfig
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.module import BaseModule, ModelConfigT, Outputs
from app.tasks.shared.scores import TargetScale


class GeneralModule(BaseModule[ModelConfigT, TaskConfig]):
    """A model whose sizes are the task's; in a task of regression it learns in the scale of the targets."""

    target_scale: TargetScale | None

    @abstractmethod
    def network(self) -> nn.Module:
        """A new model, made from `self.model_config` and `self.task`."""

    def initialize_model(self) -> nn.Module:
        """The network, beside it the scale of what it predicts."""
        self.target_scale = TargetScale() if self.task.kind == "regression" else None
        return self.network()

    def setup(self, stage: str) -> None:
        """Take the targets' scale from data that says it; what a checkpoint says of it comes after, and counts."""
        super().setup(stage)
        datamodule = getattr(self.trainer, "datamodule", None)
        if stage == "fit" and self.target_scale is not None and isinstance(datamodule, BaseDataModule):
            scale = datamodule.target_scale()
            if scale is not None:
                self.target_scale.set(*scale)

    def named(self, outputs: Tensor | Outputs) -> dict[str, Tensor]:
        """What the model gives, by name, numbers in the unit of the targets."""
        named = super().named(outputs)
        if self.target_scale is not None and "prediction" in named:
            named["prediction"] = self.target_scale(named["prediction"])
        return named
