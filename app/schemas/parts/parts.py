"""`PartsConfig`: a model as a chain of parts, and the rules that span them."""

from collections.abc import Iterator
from dataclasses import replace

from app.schemas.codes import Code
from app.schemas.parts.kinds import BackboneConfig, HeadConfig, NeckConfig, PoolingConfig, option_name
from app.schemas.rules import Finding, remark, rule
from app.schemas.schema import schema


@schema
class PartsConfig:
    """Backbone, neck, pooling and head; each takes as many channels as the part before it gives."""

    backbone: BackboneConfig
    """Turns images into feature maps."""

    neck: NeckConfig | None = None
    """Joins the backbone's maps; null hands them on as they are."""

    pooling: PoolingConfig | None = None
    """Makes one vector of the maps; null for a head that takes maps, such as segmentation.

    Without a neck only the coarsest map is pooled, as it has seen what all others have; of a neck's maps, each.
    """

    head: HeadConfig
    """Makes the outputs."""

    @rule("pooling", "head")
    def _head_gets_what_it_takes(self) -> Iterator[Finding]:
        """A dense head needs the maps whole, any other one vector for each image."""
        head = f"head={option_name(self.head)}"
        if self.head.dense and self.pooling is not None:
            yield "pooling", f"leaves no maps for {head}, which scores every pixel; expected null"
        if not self.head.dense and self.pooling is None:
            yield "pooling", f"{head} takes one vector for each image: expected a pooling, as by pooling=average"

    @rule("backbone", "neck")
    def _neck_has_maps_to_join(self) -> Iterator[Finding]:
        """Known for our own backbones; for the others it shows when the model is built."""
        num_maps = self.backbone.num_maps()
        if self.neck is not None and num_maps is not None:
            for path, message in self.neck.unfit(num_maps):
                yield ("neck", *(path.split(".") if isinstance(path, str) else path)), message

    @remark(Code.UNUSED)
    def _pooling_has_something_to_pool(self) -> Iterator[Finding]:
        """The power of a generalised mean drops out where that is of one value."""
        if getattr(self.pooling, "power", None) is not None and self.backbone.any_shape:
            found = f"backbone={option_name(self.backbone)} gives a single value for each channel"
            yield "pooling", f"{found}, whose generalised mean is the same for every power; pooling=average does less"

    def output_keys(self) -> tuple[str, ...]:
        """The names of the model's outputs, which losses and metrics may be computed from."""
        return self.head.output_keys()

    def target_keys(self) -> tuple[str, ...]:
        """The batch's targets that the model needs in training, in its forward."""
        return self.head.target_keys()

    def without_weights(self) -> "PartsConfig":
        """The same model for weights from a checkpoint: with no network, and without the file it once started from."""
        return replace(self, backbone=self.backbone.without_weights())
