"""The backbones: three families for small images, everything that timm has, and one for inputs of any shape."""

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from typing import Annotated, ClassVar

from annotated_types import Ge, MinLen

from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText, NonNegativeInt, PartialShare, PositiveInt
from app.schemas.parts.kinds import BackboneConfig
from app.schemas.problems import missing_extra, show
from app.schemas.registry import register
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema


@register("backbone", "small_resnet", target="app.models.small_resnet.SmallResNet")
@schema
class SmallResNetConfig(BackboneConfig):
    """The residual network for small images (He et al., 2016, section 4.2); three maps, the last a quarter as wide."""

    depth: Annotated[int, Ge(8)] = 20
    """Layers with weights, 6n + 2 of them; the paper has 20, 32, 44, 56 and 110."""

    width: PositiveInt = 16
    """Channels of the first stage; each of the other two has twice the one before's."""

    @rule("depth")
    def _stages_are_equally_deep(self) -> Iterator[Finding]:
        if self.depth % 6 != 2:
            below = self.depth - (self.depth - 2) % 6
            yield "depth", f"expected 6n + 2, such as {below} or {below + 6}, found {self.depth}"

    def num_maps(self) -> int:
        """One for each stage."""
        return 3


@register("backbone", "conv", target="app.models.conv.ConvBackbone")
@schema
class ConvConfig(BackboneConfig):
    """Plain convolutions in the manner of VGG (Simonyan and Zisserman, 2015); a map for each block."""

    channels: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (32, 64)
    """Channels of each block; from one block to the next the image is halved."""

    num_convolutions: PositiveInt = 2
    """3 by 3 convolutions in a block, each with batch normalisation and ReLU."""

    def num_maps(self) -> int:
        """One for each block."""
        return len(self.channels)


@register("backbone", "conv_mixer", target="app.models.conv_mixer.ConvMixer")
@schema
class ConvMixerConfig(BackboneConfig):
    """Depthwise and pointwise convolutions over patches (Trockman and Kolter, 2022); a single map."""

    width: PositiveInt = 64
    """Channels of every layer."""

    depth: PositiveInt = 4
    """How many times space and channels are mixed."""

    kernel_size: PositiveInt = 5
    """Extent of the depthwise convolutions, in patches: how far they look."""

    patch_size: PositiveInt = 2
    """Pixels along each side of a patch; larger ones are faster and see less detail."""

    @rule("kernel_size")
    def _kernels_have_a_middle(self) -> Iterator[Finding]:
        if self.kernel_size % 2 == 0:
            near = f"{self.kernel_size - 1} or {self.kernel_size + 1}"
            yield "kernel_size", f"expected an odd number, such as {near}, found {self.kernel_size}"

    def num_maps(self) -> int:
        """All layers have the same size."""
        return 1


@register("backbone", "mlp", target="app.models.mlp.MLPBackbone")
@schema
class MLPBackboneConfig(BackboneConfig):
    """Fully connected layers over all values of an input, an image or a row of a table; a single map of one pixel."""

    any_shape: ClassVar = True

    hidden_dims: Annotated[tuple[PositiveInt, ...], MinLen(1)] = (128, 128)
    """Width of each layer; the last is what the next part gets."""

    dropout: PartialShare = 0.1
    """Chance that an activation is dropped in training."""

    batch_norm: bool = False
    """Normalise the sums of each layer over the batch (Ioffe and Szegedy, 2015), before ReLU."""

    def num_maps(self) -> int:
        """What all pixels say together."""
        return 1


@register("backbone", "timm", target="app.models.timm_backbone.TimmBackbone")
@schema
class TimmConfig(BackboneConfig):
    """A backbone of PyTorch Image Models, by name; `timm.list_models()` lists them."""

    model_name: NonEmptyText
    """The model, and after a dot whose weights, as in `resnet18.a1_in1k`; without a dot timm's first choice."""

    pretrained: bool = False
    """Start from the published weights, fetched from the Hugging Face hub (`HF_ENDPOINT`) and cached (`HF_HOME`)."""

    checkpoint_path: NonEmptyText | None = None
    """A local file with weights of this model to start from, where the hub is out of reach or the weights are yours."""

    out_indices: Annotated[tuple[NonNegativeInt, ...], MinLen(1)] | None = None
    """The stages to take maps from, in rising order; later ones are cut off, which suits small images; null is all."""

    image_size: tuple[PositiveInt, PositiveInt] | None = None
    """Height and width of the images, for models made for one size, such as vision transformers; null is timm's."""

    @rule(code=Code.ENVIRONMENT)
    def _package_is_installed(self) -> Iterator[Finding]:
        if find_spec("timm") is None or find_spec("torchvision") is None:
            from importlib.metadata import version  # slow to import

            # Each torchvision takes one torch only, and an open range would replace the one that is there.
            kept = f"torch=={version('torch').partition('+')[0]}"
            missing = missing_extra("timm, or the torchvision that it imports,", "timm")
            yield (), f"{missing} {kept} (with the --index-url that torch came from, if it had one)"

    @rule("model_name")
    def _model_is_named(self) -> Iterator[Finding]:
        if not re.fullmatch(r"[a-z0-9_]+(\.[a-z0-9_]+)?", self.model_name, re.ASCII):
            wanted = "expected a name such as 'resnet18' or 'resnet18.a1_in1k'"
            elsewhere = "weights from elsewhere go into checkpoint_path"
            yield "model_name", f"{wanted}, found {show(self.model_name)}; {elsewhere}"

    @rule("pretrained", "checkpoint_path")
    def _weights_come_from_one_place(self) -> Iterator[Finding]:
        if self.pretrained and self.checkpoint_path is not None:
            yield "checkpoint_path", "cannot be combined with pretrained=true; both say where the weights come from"

    @rule("out_indices")
    def _stages_rise(self) -> Iterator[Finding]:
        if self.out_indices is not None and list(self.out_indices) != sorted(set(self.out_indices)):
            yield "out_indices", f"expected stages in rising order, each once, found {show(self.out_indices)}"

    def num_maps(self) -> int | None:
        """Only timm knows how many stages a model has."""
        return None if self.out_indices is None else len(self.out_indices)

    def without_weights(self) -> "TimmConfig":
        """Fetches nothing, and needs no file."""
        return replace(self, pretrained=False, checkpoint_path=None)
