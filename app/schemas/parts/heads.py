"""The heads, which give a model's named outputs."""

from collections.abc import Iterator
from dataclasses import field
from typing import Annotated, ClassVar

from annotated_types import Ge, Lt

from app.schemas.constraints import NonEmptyText, PartialShare, PositiveFloat, PositiveInt
from app.schemas.parts.kinds import HeadConfig, option_name
from app.schemas.problems import did_you_mean, one_of
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema

_TASKS_CLASSES = {"num_classes": "${task.num_classes}"}


@register("head", "linear", target="app.models.heads.LinearHead", **_TASKS_CLASSES)
@schema
class LinearHeadConfig(HeadConfig):
    """A linear layer: `logits`, one score for each class."""

    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    num_classes: PositiveInt
    """How many scores there are; 1 for a single yes or no."""

    dropout: PartialShare = 0.0
    """Chance that a feature is dropped in training, before the layer."""


@register("head", "embedding", target="app.models.heads.EmbeddingHead")
@schema
class EmbeddingHeadConfig(HeadConfig):
    """A linear layer onto the unit sphere: `embedding`, to compare images by angle."""

    outputs: ClassVar[tuple[str, ...]] = ("embedding",)

    embedding_dim: PositiveInt = 128
    """Length of the vector; longer ones hold more and cost more to store and to search."""


@register("head", "arcface", target="app.models.arcface.ArcFaceHead", **_TASKS_CLASSES)
@schema
class ArcFaceHeadConfig(HeadConfig):
    """Angles to a centre for each class (Deng et al., 2019): `logits`, and the `embedding` that they train.

    In training the angle to the right class is widened by a margin before it is scored, so that the embeddings of a
    class move closer together; in evaluation the scores are the plain cosines, scaled.
    """

    outputs: ClassVar[tuple[str, ...]] = ("logits", "embedding")

    num_classes: PositiveInt
    """How many classes, and so centres, there are."""

    embedding_dim: PositiveInt = 128
    """Length of the embedding; the paper has 512, for 85,000 faces."""

    scale: PositiveFloat = 64.0
    """Factor of the cosines, without which the softmax could not become sure; fewer classes need less."""

    margin: Annotated[float, Ge(0), Lt(3.14)] = 0.5
    """By how much the angle to the right class is widened in training, in radians."""

    target: NonEmptyText = "target"
    """The batch's target that names the right class, where a batch has several."""

    def target_keys(self) -> tuple[str, ...]:
        """The right class, for the margin."""
        return (self.target,)


@register("head", "segmentation", target="app.models.heads.SegmentationHead", **_TASKS_CLASSES)
@schema
class SegmentationHeadConfig(HeadConfig):
    """Scores of every pixel: `logits`, as large as the image, with a channel for each class.

    Each feature map is scored by itself; the scores are enlarged and added up (Long et al., 2015).
    """

    dense: ClassVar[bool] = True
    outputs: ClassVar[tuple[str, ...]] = ("logits",)

    num_classes: PositiveInt
    """How many classes a pixel can be of; 1 for an object and its background."""

    dropout: PartialShare = 0.0
    """Chance that a channel of a map is dropped in training, before it is scored."""


@register("head", "multi", target="app.models.heads.MultiHead")
@schema
class MultiHeadConfig(HeadConfig):
    """Several heads over the same features.

    What a head gives is called `<key>_<name>`: `view_embedding` for the embedding of the head `view`. So no output is
    taken for a target, which is often called as its head is.
    """

    heads: dict[str, HeadConfig] = field(default_factory=dict)
    """The heads by key: `{digit: {id: linear, num_classes: 10}, view: {id: embedding}}`."""

    main: NonEmptyText | None = None
    """The head whose outputs go by their plain names, such as `logits`, where the task's own metrics look for them."""

    @rule("heads")
    def _heads_take_a_vector(self) -> Iterator[Finding]:
        for key, head in self.heads.items():
            if head.dense or isinstance(head, MultiHeadConfig):
                why = "scores every pixel, and takes no vector" if head.dense else "is several heads itself"
                yield ("heads", key), f"{option_name(head)} {why}; expected another head"

    @rule("heads")
    def _there_is_a_head(self) -> Iterator[Finding]:
        if not self.heads:
            yield "heads", "needs a head at least, as by heads={digit: {id: linear}} with main=digit"

    @rule("heads")
    def _keys_are_names(self) -> Iterator[Finding]:
        for key in self.heads:
            if not key.isidentifier():
                yield ("heads", key), "expected a key of letters, digits and underscores: it becomes part of names"

    @rule("heads", "main")
    def _main_is_a_head(self) -> Iterator[Finding]:
        if self.heads and self.main is not None and self.main not in self.heads:
            choices = did_you_mean(self.main, self.heads) or f"; expected {one_of(list(self.heads))}"
            yield "main", f"there is no head '{self.main}'{choices}"

    def output_keys(self) -> tuple[str, ...]:
        """Those of each head in turn."""
        return tuple(
            name if key == self.main else f"{key}_{name}"
            for key, head in self.heads.items()
            for name in head.output_keys()
        )

    def target_keys(self) -> tuple[str, ...]:
        """What any of the heads needs."""
        return tuple(dict.fromkeys(name for head in self.heads.values() for name in head.target_keys()))
