"""The module that learns to detect: a detector's locations are matched with objects, and its best candidates found."""

from dataclasses import replace
from typing import Final

from torch import Tensor, nn

from app.builders.models import build_part, refusals_at
from app.models.part import Backbone, Neck
from app.tasks.detection.config import DetectionTaskConfig, DetectorConfig
from app.tasks.detection.decoding import detections
from app.tasks.detection.matching import match
from app.tasks.detection.model import Detector, num_fine_maps
from app.tasks.shared.datasets import Batch
from app.tasks.shared.module import BaseModule, Outputs

_MODEL: Final = ("module", "model_config")
"""Where the network's config stands."""


class DetectorModule(BaseModule[DetectorConfig, DetectionTaskConfig]):
    """A single-stage detector without anchors.

    `forward` gives what the network says of each location, which is what is exported; evaluation and `predict_step`
    make boxes of it.
    """

    model: Detector

    def initialize_model(self) -> nn.Module:
        """A `Detector` for the task's images."""
        config = self.model_config
        backbone: Backbone = build_part("backbone", config.backbone, in_channels=self.task.input_shape[0])
        with refusals_at(_MODEL):
            unused = num_fine_maps(backbone, config.finest_step)
        channels, reductions = backbone.out_channels[unused:], backbone.reductions[unused:]
        neck: Neck = build_part("neck", config.neck, in_channels=channels, reductions=reductions)
        with refusals_at(_MODEL):
            return Detector(
                backbone,
                neck,
                self.task.input_shape,
                self.task.num_classes,
                num_unused=unused,
                head_depth=config.head_depth,
                object_size=config.object_size,
            )

    def kept_model_config(self) -> DetectorConfig:
        """The config without first weights: a checkpoint brings all weights, and those may be gone by then."""
        return replace(self.model_config, backbone=self.model_config.backbone.without_weights())

    def step_outputs(self, batch: Batch) -> dict[str, Tensor]:
        """What the network says, what each location is to find, and outside training the boxes found."""
        outputs = super().step_outputs(batch)
        matches = match(
            self.model.locations, outputs["boxes"], outputs["labels"], radius=self.model_config.center_radius
        )
        outputs |= {f"location_{name}": values for name, values in matches._asdict().items()}
        return outputs if self.training else outputs | self._detected(outputs)

    def predict_step(self, batch: Batch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Tensor]:  # noqa: ARG002  # Lightning's signature
        """The boxes found, how sure each is, and its class, `(batch, max_detections, …)`; -1 for unused rows."""
        return self._detected(self(batch[0]))

    def _detected(self, outputs: Outputs) -> dict[str, Tensor]:
        config = self.model_config
        # Far from the middle of an object, boxes are less exact.
        central = outputs["centerness_logits"].sigmoid()[..., None]
        found = detections(
            outputs["candidate_boxes"].detach(),
            (outputs["class_logits"].sigmoid() * central).sqrt().detach(),
            image_size=self.task.input_shape[1:],
            min_score=config.min_score,
            max_overlap=config.max_overlap,
            max_candidates=config.max_candidates,
            max_detections=config.max_detections,
        )
        return {f"detected_{name}": values for name, values in found._asdict().items()}
