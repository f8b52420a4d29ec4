"""The modules that learn embeddings by comparing images."""

from abc import ABC
from typing import Generic, cast

import torch
from torch import Tensor, nn

from app.models.mlp import MLP
from app.schemas.parts.parts import PartsConfig
from app.tasks.retrieval.config import RetrievalTaskConfig, SimCLRConfig
from app.tasks.retrieval.model import SimCLRNetwork
from app.tasks.shared.datasets import Batch
from app.tasks.shared.parts_module import OfParts, PartsConfigT


class ComparingModule(OfParts[PartsConfigT, RetrievalTaskConfig], ABC, Generic[PartsConfigT]):
    """A network of parts that several images go through at once; prediction looks at one alone."""

    def initialize_model(self) -> nn.Module:
        """The network."""
        return self.network()

    def compared(self, batch: Batch, *others: str) -> list[dict[str, Tensor]]:
        """The model's outputs for the inputs, and then for each of the targets that are images of the same shape.

        All go through the model together, so that batch normalisation sees them alike.
        """
        images = [batch.inputs, *(batch.targets[name] for name in others)]
        outputs: dict[str, Tensor] = self(torch.cat(images))
        parts = {name: torch.split(output, len(batch.inputs)) for name, output in outputs.items()}
        return [{name: part[place] for name, part in parts.items()} for place in range(len(images))]


class PairwiseModule(ComparingModule[PartsConfig]):
    """Embeddings of pairs."""

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs, and `other_embedding` of the other image of a pair."""
        outputs, other = self.compared(batch, "other_input")
        return {**outputs, "other_embedding": other["embedding"]}


class TripletModule(ComparingModule[PartsConfig]):
    """Embeddings of triplets."""

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs, whose embedding is the `anchor` too, and the `positive` and `negative` embedding."""
        outputs, positive, negative = self.compared(batch, "positive_input", "negative_input")
        return {
            **outputs,
            "anchor": outputs["embedding"],
            "positive": positive["embedding"],
            "negative": negative["embedding"],
        }


class SimCLRModule(ComparingModule[SimCLRConfig]):
    """Embeddings of two views of each image, compared by a projection of them."""

    def initialize_model(self) -> nn.Module:
        """The parts, and the projection beside them."""
        parts = self.network()
        embedding_dim: int = self.model_config.head.embedding_dim  # type: ignore[attr-defined]  # a rule sees to it
        projection = MLP(
            (embedding_dim,),
            self.model_config.projection_dim,
            hidden_dims=(self.model_config.projection_hidden_dim,),
            dropout=0.0,
        )
        return SimCLRNetwork(parts, projection)

    def model_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """The model's outputs, and the `projection` and `other_projection` of the two views' embeddings."""
        outputs, other = self.compared(batch, "other_view")
        project = cast(SimCLRNetwork, self.model).projection
        return {
            **outputs,
            "projection": project(outputs["embedding"]),
            "other_projection": project(other["embedding"]),
        }
