"""`MLPModule`: a multilayer perceptron, for any task whose targets are classes or numbers."""

from torch import nn

from app.models.mlp import MLP
from app.schemas.modules import MLPConfig
from app.tasks.shared.general_module import GeneralModule


class MLPModule(GeneralModule[MLPConfig]):
    """A multilayer perceptron."""

    def network(self) -> nn.Module:
        """An `MLP` from the values of the task's inputs to a score for each class; a yes or no needs one alone."""
        return MLP(
            self.task.input_shape,
            1 if self.task.kind == "binary" else self.task.num_classes,
            hidden_dims=self.model_config.hidden_dims,
            dropout=self.model_config.dropout,
            batch_norm=self.model_config.batch_norm,
        )
