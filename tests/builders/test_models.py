"""Models built from their parts: every combination, wired by itself, with a gradient for every parameter."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from app.builders.models import build_network
from app.models.conv import ConvBackbone
from app.models.heads import LinearHead, SegmentationHead
from app.models.network import PartsNetwork
from app.models.poolings import AveragePooling
from app.schemas.parts.backbones import ConvConfig, ConvMixerConfig, MLPBackboneConfig, SmallResNetConfig
from app.schemas.parts.heads import (
    ArcFaceHeadConfig,
    EmbeddingHeadConfig,
    LinearHeadConfig,
    MultiHeadConfig,
    SegmentationHeadConfig,
)
from app.schemas.parts.kinds import BackboneConfig, HeadConfig, NeckConfig, PoolingConfig
from app.schemas.parts.necks import FPNConfig, UNetConfig
from app.schemas.parts.parts import PartsConfig
from app.schemas.parts.poolings import AveragePoolingConfig, GeMPoolingConfig, MaxPoolingConfig
from app.schemas.problems import ConfigError
from app.schemas.registry import options

BACKBONES: dict[str, BackboneConfig] = {
    "small_resnet": SmallResNetConfig(depth=8, width=4),
    "conv": ConvConfig(channels=(4, 6, 5), num_convolutions=1),
    "conv_mixer": ConvMixerConfig(width=6, depth=1),
    "mlp": MLPBackboneConfig(hidden_dims=(7, 6)),
}
NECKS: dict[str, NeckConfig | None] = {"none": None, "fpn": FPNConfig(width=7), "unet": UNetConfig()}
POOLINGS: dict[str, PoolingConfig] = {
    "average": AveragePoolingConfig(),
    "max": MaxPoolingConfig(),
    "gem": GeMPoolingConfig(),
}
HEADS: dict[str, HeadConfig] = {
    "linear": LinearHeadConfig(num_classes=3),
    "embedding": EmbeddingHeadConfig(embedding_dim=5),
    "arcface": ArcFaceHeadConfig(num_classes=3, embedding_dim=5),
    "multi": MultiHeadConfig(
        heads={"digit": LinearHeadConfig(num_classes=3), "view": EmbeddingHeadConfig(embedding_dim=5)}
    ),
    "segmentation": SegmentationHeadConfig(num_classes=3),
}
# Nor is there anything to learn from, for a pooling of the one pixel that an MLP gives.
NOTHING_TO_JOIN = (("conv_mixer", "unet"), ("mlp", "unet"))
SHAPES: dict[str, tuple[int, ...]] = {
    "logits": (4, 3),
    "embedding": (4, 5),
    "digit_logits": (4, 3),
    "view_embedding": (4, 5),
}


def combinations() -> list[tuple[str, str, str, str]]:
    vectors = [head for head in HEADS if head != "segmentation"]
    pooled = [parts for parts in product(BACKBONES, NECKS, POOLINGS, vectors) if parts[::2][:2] != ("mlp", "gem")]
    dense = list(product(BACKBONES, NECKS, ["none"], ["segmentation"]))
    return [parts for parts in [*pooled, *dense] if parts[:2] not in NOTHING_TO_JOIN]


def config_of(backbone: str, neck: str, pooling: str, head: str) -> PartsConfig:
    return PartsConfig(backbone=BACKBONES[backbone], neck=NECKS[neck], pooling=POOLINGS.get(pooling), head=HEADS[head])


def test_every_option_is_combined() -> None:
    assert {*BACKBONES, "timm"} == set(options["backbone"])
    assert {*NECKS} - {"none"} == set(options["neck"])
    assert set(POOLINGS) == set(options["pooling"])
    assert set(HEADS) == set(options["head"])
    assert len(combinations()) == 4 * 3 * 3 * 4 + 4 * 3 - 2 * (3 * 4 + 1) - 2 * 4


@pytest.mark.parametrize(("backbone", "neck", "pooling", "head"), combinations())
def test_parts_fit_and_every_parameter_is_trained(backbone: str, neck: str, pooling: str, head: str) -> None:
    torch.manual_seed(0)
    config = config_of(backbone, neck, pooling, head)
    network = build_network(config, (2, 8, 8))
    # Convolutions take images of any size.
    for size in ((8, 8),) if config.backbone.any_shape else ((8, 8), (32, 32), (13, 9)):
        outputs: dict[str, Tensor] = network(torch.rand(4, 2, *size), torch.tensor([0, 1, 2, 0]))
        assert tuple(outputs) == config.output_keys()
        assert {name: tuple(output.shape) for name, output in outputs.items()} == {
            name: (4, 3, *size) if head == "segmentation" else SHAPES[name] for name in outputs
        }
        network.zero_grad()
        torch.autograd.backward(random_sum(outputs))
    assert untrained(network) == []


def test_the_channels_of_a_grey_or_a_colour_image_are_all_that_is_told() -> None:
    for in_channels in (1, 3):
        network = build_network(config_of("conv", "none", "average", "linear"), (in_channels, 8, 8))
        assert network(torch.rand(2, in_channels, 8, 8))["logits"].shape == (2, 3)


def test_an_mlp_takes_inputs_of_any_shape() -> None:
    for shape in ((30,), (3, 5), (1, 8, 8)):
        network = build_network(config_of("mlp", "none", "average", "linear"), shape)
        assert network(torch.rand(4, *shape))["logits"].shape == (4, 3)
        assert network.backbone.out_channels == (6,)


def test_submodules_are_called_as_the_parts() -> None:
    network = build_network(config_of("conv", "fpn", "gem", "multi"), (1, 8, 8))
    assert [name for name, _ in network.named_children()] == ["backbone", "neck", "pooling", "head"]
    assert [name for name, _ in network.head.named_children()] == ["digit", "view"]
    network = build_network(config_of("conv", "none", "none", "segmentation"), (1, 8, 8))
    assert [name for name, _ in network.named_children()] == ["backbone", "head"]


def test_values_reach_the_parts() -> None:
    config = PartsConfig(
        backbone=SmallResNetConfig(depth=14, width=3),
        pooling=GeMPoolingConfig(power=2.5, learnable=False),
        head=LinearHeadConfig(num_classes=7, dropout=0.25),
    )
    network = build_network(config, (1, 8, 8))
    assert network.backbone.out_channels == (3, 6, 12)
    power = dict(network.named_parameters())["pooling.power"]
    assert (power.item(), power.requires_grad) == (2.5, False)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == [0.25]


def test_without_a_neck_the_coarsest_map_is_pooled_and_with_one_each_of_its_maps() -> None:
    plain = build_network(config_of("conv", "none", "average", "linear"), (1, 8, 8))
    pyramid = build_network(config_of("conv", "fpn", "average", "linear"), (1, 8, 8))
    assert [parameter.shape[1] for name, parameter in plain.head.named_parameters() if "weight" in name] == [5]
    assert [parameter.shape[1] for name, parameter in pyramid.head.named_parameters() if "weight" in name] == [21]


def test_targets_reach_the_heads_that_need_them() -> None:
    head = MultiHeadConfig(heads={"a": ArcFaceHeadConfig(num_classes=3, target="person")})
    config = PartsConfig(backbone=BACKBONES["conv"], pooling=AveragePoolingConfig(), head=head)
    network = build_network(config, (1, 8, 8))
    images, persons = torch.rand(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])
    with_margin = network(images, {"person": persons})["a_logits"]
    assert bool((with_margin.gather(1, persons[:, None]) < network.eval()(images)["a_logits"].max()).all())
    with pytest.raises(ValueError, match="'person'"):
        network.train()(images, persons)


def test_a_key_that_every_module_has_is_refused() -> None:
    config = PartsConfig(
        backbone=ConvConfig(),
        pooling=AveragePoolingConfig(),
        head=MultiHeadConfig(heads={"type": LinearHeadConfig(num_classes=2)}),
    )
    with pytest.raises(ConfigError) as caught:
        build_network(config, (1, 8, 8))
    assert str(caught.value) == (
        "module.model_config.head.heads.type: expected another key: torch's modules have a 'type' themselves"
    )


def test_a_network_made_by_hand_refuses_a_pooling_too_many_or_too_few() -> None:
    backbone = ConvBackbone(1, channels=(4,))
    with pytest.raises(ValueError, match="SegmentationHead takes maps as they are"):
        PartsNetwork(backbone=backbone, pooling=AveragePooling(), head=SegmentationHead((4,), num_classes=2))
    with pytest.raises(ValueError, match="LinearHead needs a pooling"):
        PartsNetwork(backbone=backbone, head=LinearHead(4, num_classes=2))


def random_sum(outputs: dict[str, Tensor]) -> Tensor:
    """A number on which every output has an effect: the square of a normalised one would be constant."""
    return torch.stack([(output * torch.rand_like(output)).sum() for output in outputs.values()]).sum()


def untrained(network: nn.Module) -> list[str]:
    return [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
