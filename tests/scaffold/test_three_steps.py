"""A model is added in three steps, each in the one file of a task that is for it, and chosen by its name."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from tests.scaffold.checkout import ROOT, run

STEPS = {
    "model.py": '''

class Linear(nn.Module):
    """One layer over all pixels."""

    def __init__(self, input_shape: Sequence[int], num_classes: int, *, bias: bool) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes, bias=bias))
        self.head(torch.zeros(1, *input_shape))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores before softmax, `(batch, num_classes)`."""
        scores: Tensor = self.head(images)
        return scores
''',
    "config.py": '''

@schema
class LinearConfig:
    """Hyperparameters of a linear model."""

    bias: bool = True
    """Give each class a score of its own, whatever the image shows."""


@register("module", "digits/linear", target="app.tasks.digits.module.LinearModule")
@schema
class LinearModuleConfig(ModuleConfig):
    """A linear model."""

    model_config: LinearConfig = field(default_factory=LinearConfig)
    """Hyperparameters of the model."""
''',
    "module.py": '''

class LinearModule(BaseModule[LinearConfig, DigitsTaskConfig]):
    """A linear model."""

    def initialize_model(self) -> nn.Module:
        """A `Linear` for the task's images."""
        return Linear(self.task.input_shape, self.task.num_classes, bias=self.model_config.bias)
''',
}
IMPORTS = {
    "model.py": ("from torch import Tensor", "import torch\nfrom torch import Tensor"),
    "module.py": (
        "from app.tasks.digits.model import CNN\n",
        "from app.tasks.digits.config import LinearConfig\nfrom app.tasks.digits.model import CNN, Linear\n",
    ),
}


@pytest.mark.slow
def test_a_model_added_in_three_steps_trains(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    for name, added in STEPS.items():
        file = tmp_path / "app/tasks/digits" / name
        before, after = IMPORTS.get(name, ("", ""))
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after, 1) + added)
    words = ["module=digits/linear", "module.model_config.bias=false", "trainer.max_epochs=1", "optimizer_spec.lr=0.02"]

    done = run(tmp_path, sys.executable, "-m", "app", *words, "hydra.run.dir=done")

    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "done/result.json").read_text())
    assert result["test"]["test/accuracy"] > 0.5
