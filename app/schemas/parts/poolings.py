"""The poolings, for heads that take one vector for each image."""

from app.schemas.constraints import AtLeastOne, PositiveFloat
from app.schemas.parts.kinds import PoolingConfig
from app.schemas.registry import register
from app.schemas.schema import schema


@register("pooling", "average", target="app.models.poolings.AveragePooling")
@schema
class AveragePoolingConfig(PoolingConfig):
    """The mean of each channel over the image (Lin et al., 2014)."""


@register("pooling", "max", target="app.models.poolings.MaxPooling")
@schema
class MaxPoolingConfig(PoolingConfig):
    """The largest value of each channel over the image."""


@register("pooling", "gem", target="app.models.poolings.GeMPooling")
@schema
class GeMPoolingConfig(PoolingConfig):
    """Generalised mean of each channel (Radenović et al., 2019), between the mean and the maximum; for retrieval."""

    power: AtLeastOne = 3.0
    """The mean's exponent: 1 is the average, and the larger the closer to the maximum."""

    learnable: bool = True
    """Train the exponent with the weights, from `power` on."""

    eps: PositiveFloat = 1e-6
    """Values below it count as it: a power needs positive ones."""
