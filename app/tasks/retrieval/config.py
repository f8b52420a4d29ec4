"""What can be configured about the retrieval task. Nothing here imports torch."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Annotated, ClassVar, Final, Literal

from annotated_types import Ge, Le, MinLen

from app.schemas.augmentations.augmentation import AugmentationConfig
from app.schemas.augmentations.images import RandomAffineConfig
from app.schemas.batch import BatchSpec, TensorSpec
from app.schemas.constraints import NonEmptyText, PositiveInt
from app.schemas.image_files import IMAGE_ENDINGS
from app.schemas.metrics.gallery import GalleryMAPConfig, PrecisionAtKConfig, RecallAtKConfig
from app.schemas.metrics.metric import MetricConfig
from app.schemas.module import ModuleConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.phases import Mode, Phase
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.splitting import SplitConfig
from app.schemas.task import TaskConfig, TaskKind

Sampling = Literal["single", "pairs", "triplets", "views"]
"""What an image comes with."""

Digit = Annotated[int, Ge(0), Le(9)]

_IMAGES: Final[Mapping[Sampling, tuple[str, ...]]] = {
    "single": (),
    "pairs": ("other_input",),
    "triplets": ("positive_input", "negative_input"),
    "views": ("other_view",),
}
"""The targets that are images, to compare with the input."""

_MEASURED: Final[tuple[Phase, ...]] = ("val", "test")

_PARTS: Final = {"backbone": {"id": "conv"}, "pooling": {"id": "average"}, "head": {"id": "embedding"}}


@register("task", "retrieval", target="app.tasks.retrieval.config.RetrievalTaskConfig")
@schema
class RetrievalTaskConfig(TaskConfig):
    """Digits found by embedding: for each query, the images of its digit among those of a gallery.

    Queries and gallery are the two halves of the fixed test split of the task digits: in the order of the file, the
    first, third, … image of each digit is a query, the second, fourth, … in the gallery. Val is divided alike.
    """

    name: Literal["retrieval"] = "retrieval"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `retrieval/...`."""

    kind: Literal["multiclass"] = "multiclass"
    """Each image shows one digit; images of one digit are alike."""

    input_shape: tuple[Literal[1], Literal[8], Literal[8]] = (1, 8, 8)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    num_classes: Literal[10] = 10
    """One class for each digit."""

    test_fingerprint: Literal["31b0ccfe26798cf67f2096d60248d30ff658642a17c4a80058d95991713190d9"] = (
        "31b0ccfe26798cf67f2096d60248d30ff658642a17c4a80058d95991713190d9"
    )
    """SHA-256 of the test split's images, digits and division; testing on anything else is refused."""

    monitor: NonEmptyText = "val/mean_average_precision"
    """The logged value that picks the best checkpoint; it sees the whole order, while many epochs tie in recall@1."""

    mode: Mode = "max"
    """Whether the monitored value should be small (`min`) or large (`max`)."""

    def fixed_metrics(self) -> dict[str, MetricConfig]:
        """Recall@1 and @5, precision@5 and mean average precision, by the cosine, over all queries of a split."""
        return {
            "recall_at_1": RecallAtKConfig(k=1, phases=_MEASURED),
            "recall_at_5": RecallAtKConfig(k=5, phases=_MEASURED),
            "precision_at_5": PrecisionAtKConfig(k=5, phases=_MEASURED),
            "mean_average_precision": GalleryMAPConfig(phases=_MEASURED),
        }


@schema
class ComparingModuleConfig(ModuleConfig):
    """A network of exchangeable parts whose embeddings of two or three images are compared in training."""

    abstract: ClassVar = True
    compared: ClassVar[tuple[str, ...]]
    """The targets that are images to compare with the input."""

    further_outputs: ClassVar[tuple[str, ...]]
    """What a step puts out of those."""

    model_config: PartsConfig
    """The parts; each can also be chosen through a group of its own."""

    @rule("model_config")
    def heads_look_at_no_class(self) -> Iterator[Finding]:
        """The class of what an image is compared with is not told."""
        if self.model_config.head.target_keys():
            found = "looks at the class of each image in training, which is not told of those it is compared with"
            yield ("model_config", "head"), f"{found}; choose module=parts and datamodule=retrieval/single with it"

    def model_outputs(self) -> tuple[str, ...]:
        """What the head gives."""
        return self.model_config.output_keys()

    def model_targets(self) -> tuple[str, ...]:
        """The images to compare with."""
        return self.compared

    def output_keys(self, kind: TaskKind) -> tuple[str, ...]:
        """The outputs for the input, and for what it is compared with."""
        return (*super().output_keys(kind), *self.further_outputs)


@register("module", "retrieval/default", target="app.tasks.retrieval.module.PairwiseModule", model_config=_PARTS)
@register("module", "retrieval/pairwise", target="app.tasks.retrieval.module.PairwiseModule", model_config=_PARTS)
@schema
class PairwiseModuleConfig(ComparingModuleConfig):
    """Learns from pairs, alike or not (Hadsell et al., 2006): the default, and the most accurate here."""

    default_losses: ClassVar[Mapping[str, Mapping[str, object]]] = {"contrastive": {"mapping": {"target": "same"}}}
    compared: ClassVar[tuple[str, ...]] = ("other_input",)
    further_outputs: ClassVar[tuple[str, ...]] = ("other_embedding",)


@register("module", "retrieval/triplet", target="app.tasks.retrieval.module.TripletModule", model_config=_PARTS)
@schema
class TripletModuleConfig(ComparingModuleConfig):
    """Learns from triplets: an image, one that is alike and one that is not (Schroff et al., 2015)."""

    default_losses: ClassVar[Mapping[str, Mapping[str, object]]] = {"triplet_margin": {"margin": 0.5}}
    compared: ClassVar[tuple[str, ...]] = ("positive_input", "negative_input")
    further_outputs: ClassVar[tuple[str, ...]] = ("anchor", "positive", "negative")


@schema
class SimCLRConfig(PartsConfig):
    """The parts of a model, and the projection that its loss looks at in place of the embedding."""

    projection_hidden_dim: PositiveInt = 128
    """Width of the projection's hidden layer."""

    projection_dim: PositiveInt = 64
    """Length of what is compared; the paper finds it to matter little."""

    @rule("head")
    def there_is_an_embedding(self) -> Iterator[Finding]:
        """The projection starts from it, and has to know its length."""
        if not hasattr(self.head, "embedding_dim"):
            yield "head", "gives no embedding for the projection to start from; expected one, as by head=embedding"


@register("module", "retrieval/simclr", target="app.tasks.retrieval.module.SimCLRModule", model_config=_PARTS)
@schema
class SimCLRModuleConfig(ComparingModuleConfig):
    """Learns without labels (Chen et al., 2020): two views of an image are to be told from those of other images.

    What is compared in training is a projection of the embedding, which nothing else needs.
    """

    default_losses: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "ntxent": {"temperature": 0.2, "mapping": {"input1": "projection", "input2": "other_projection"}}
    }
    compared: ClassVar[tuple[str, ...]] = ("other_view",)
    further_outputs: ClassVar[tuple[str, ...]] = ("projection", "other_projection")

    model_config: SimCLRConfig
    """The parts, and the projection."""


@register("datamodule", "retrieval/default", target="app.tasks.retrieval.datamodule.RetrievalDataModule")
@register(
    "datamodule", "retrieval/single", target="app.tasks.retrieval.datamodule.RetrievalDataModule", sampling="single"
)
@register(
    "datamodule", "retrieval/pairs", target="app.tasks.retrieval.datamodule.RetrievalDataModule", sampling="pairs"
)
@register(
    "datamodule", "retrieval/triplets", target="app.tasks.retrieval.datamodule.RetrievalDataModule", sampling="triplets"
)
@register(
    "datamodule", "retrieval/views", target="app.tasks.retrieval.datamodule.RetrievalDataModule", sampling="views"
)
@schema
class RetrievalDataModuleConfig(SplitConfig):
    """The images of digits with what each is compared with, drawn anew for each training batch."""

    input_endings: ClassVar[tuple[str, ...]] = IMAGE_ENDINGS

    sampling: Sampling = "pairs"
    """What an image comes with: nothing (`single`), another that is alike or not with equal chances (`pairs`), one of
    each (`triplets`), or another view of itself (`views`). Each is augmented by itself."""

    train_digits: Annotated[tuple[Digit, ...], MinLen(2)] = tuple(range(10))
    """The digits that training sees; val and test have all ten, so that leaving some out tries unseen ones."""

    augmentations: dict[str, AugmentationConfig] = field(
        default_factory=lambda: {"random_affine": RandomAffineConfig(max_rotation=8.0, max_shift=0.3, max_scale=0.08)}
    )
    """Small turns, moves and changes of size; without labels, they are all that tells what shall be alike."""

    @rule("train_digits")
    def digits_are_named_once(self) -> Iterator[Finding]:
        """Twice would be a slip of the pen for another digit."""
        for digit in dict.fromkeys(digit for digit in self.train_digits if self.train_digits.count(digit) > 1):
            yield "train_digits", f"names {digit} twice"

    @rule("sampling", "augmentations")
    def views_differ(self) -> Iterator[Finding]:
        """Two views that are the same image tell nothing."""
        if self.sampling == "views" and not self.augmentations:
            yield "augmentations", "leaves both views of an image the same; expected one at least"

    def compared_images(self) -> tuple[str, ...]:
        """The targets that are images to compare with the input."""
        return _IMAGES[self.sampling]

    def target_keys(self) -> tuple[str, ...]:
        """The digit, whether an image is a query, and what it comes with."""
        same = ("same",) if self.sampling == "pairs" else ()
        return ("target", "is_query", *self.compared_images(), *same)

    def batch(self, task: TaskConfig) -> BatchSpec:
        """Images `(1, 8, 8)`, and others like them."""
        image = TensorSpec(shape=task.input_shape)
        of_each = {
            "target": TensorSpec(shape=(), dtype="int64", low=0, high=task.num_classes - 1),
            "is_query": TensorSpec(shape=(), dtype="bool", low=0, high=1),
            "same": TensorSpec(shape=(), dtype="int64", low=0, high=1),
        }
        return BatchSpec(input=image, targets={name: of_each.get(name, image) for name in self.target_keys()})
