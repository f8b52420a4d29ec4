"""The modules that classify an image in several ways at once."""

from abc import ABC
from collections.abc import Mapping
from typing import Generic

import torch
from torch import Tensor, nn

from app.models.mlp import MLP
from app.schemas.modules import MLPConfig
from app.schemas.parts.parts import PartsConfig
from app.tasks.multi_head.config import HEADS, MultiHeadTaskConfig
from app.tasks.shared.datasets import Batch
from app.tasks.shared.module import BaseModule, ModelConfigT
from app.tasks.shared.parts_module import OfParts


class HeadsModule(BaseModule[ModelConfigT, MultiHeadTaskConfig], ABC, Generic[ModelConfigT]):
    """A model with scores for each target, `<target>_logits`, and what they say."""

    def step_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """As every module's, with the `<target>_probabilities` and `<target>_class` that a loss or metric asks for."""
        outputs = super().step_outputs(batch)
        if self._asked_for.isdisjoint(f"{target}_{what}" for target in HEADS for what in ("probabilities", "class")):
            return outputs
        return {**outputs, **_said(outputs)}

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:
        """The class of each target, then its probabilities, then the scores; the batch's targets are not looked at."""
        outputs = super().predict_step(batch, batch_idx, dataloader_idx)
        return {**_said(outputs), **outputs}


class PartsHeadsModule(OfParts[PartsConfig, MultiHeadTaskConfig], HeadsModule[PartsConfig]):
    """Backbone, neck and pooling that all heads share."""

    def initialize_model(self) -> nn.Module:
        """The network."""
        return self.network()


class MLPHeadsModule(HeadsModule[MLPConfig]):
    """Hidden layers that all heads share."""

    def initialize_model(self) -> nn.Module:
        """An `MLP` whose outputs are the scores of all heads, one after the other."""
        return MLP(
            self.task.input_shape,
            sum(HEADS.values()),
            hidden_dims=self.model_config.hidden_dims,
            dropout=self.model_config.dropout,
            batch_norm=self.model_config.batch_norm,
        )

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        """The scores of each head by name, `(batch, classes)`."""
        scores: Tensor = self.model(inputs)
        parts = torch.split(scores, list(HEADS.values()), dim=1)
        return {f"{target}_logits": part for target, part in zip(HEADS, parts, strict=True)}


def _said(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the scores of each head decide on, and say in probabilities."""
    scores = {target: outputs[f"{target}_logits"] for target in HEADS}
    return {
        **{f"{target}_class": logits.argmax(dim=1) for target, logits in scores.items()},
        **{f"{target}_probabilities": logits.softmax(dim=1) for target, logits in scores.items()},
    }
