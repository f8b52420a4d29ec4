"""What is added to a task's `module.py`."""

from torch import nn

from app.scaffold.templates.new_model.config import NewModelConfig
from app.scaffold.templates.new_model.model import NewModel
from app.tasks.shared.general_module import GeneralModule


class NewModelModule(GeneralModule[NewModelConfig]):
    """A network of residual blocks."""

    def network(self) -> nn.Module:
        """A `NewModel` for the task's inputs; a yes or no needs one score alone."""
        return NewModel(
            self.task.input_shape,
            1 if self.task.kind == "binary" else self.task.num_classes,
            width=self.model_config.width,
            num_blocks=self.model_config.num_blocks,
            dropout=self.model_config.dropout,
        )
