"""A model's parts as configs: what each refuses, and what they may not be together."""

import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from app.schemas.parts.backbones import ConvConfig, ConvMixerConfig, MLPBackboneConfig, SmallResNetConfig, TimmConfig
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
from app.schemas.parts.poolings import AveragePoolingConfig, GeMPoolingConfig
from app.schemas.plain import to_plain
from app.schemas.problems import ConfigError, Path
from app.schemas.registry import groups, options
from app.schemas.rules import remarks
from app.schemas.validation import check, from_plain

LINEAR: dict[str, Any] = {"id": "linear", "num_classes": 10}
MASKS: dict[str, Any] = {"id": "segmentation", "num_classes": 2}


def problems_of(config: dict[str, Any]) -> list[str]:
    whole = {"backbone": {"id": "conv"}, "pooling": {"id": "average"}, "head": LINEAR, **config}
    with pytest.raises(ConfigError) as caught:
        check(whole, PartsConfig)
    return [str(problem) for problem in caught.value.problems]


def test_a_model_is_written_as_one_expression() -> None:
    config = PartsConfig(
        backbone=SmallResNetConfig(depth=20),
        pooling=AveragePoolingConfig(),
        head=LinearHeadConfig(num_classes=10),
    )
    assert config.neck is None
    assert from_plain(to_plain(config)) == config


def test_a_model_is_written_as_plain_containers() -> None:
    plain = {"backbone": {"id": "conv", "channels": [8]}, "pooling": {"id": "gem", "power": 2.0}, "head": LINEAR}
    assert check(plain, PartsConfig) == PartsConfig(
        backbone=ConvConfig(channels=(8,)),
        pooling=GeMPoolingConfig(power=2.0),
        head=LinearHeadConfig(num_classes=10),
    )


@pytest.mark.parametrize("kind", ["backbone", "neck", "pooling", "head"])
def test_each_kind_of_part_stands_in_the_modules_model_config(kind: str) -> None:
    assert groups[kind].mount == f"module.model_config.{kind}"
    assert len(options[kind]) > 1


def test_the_options_of_parts_are_imported_once_they_are_looked_at() -> None:
    code = (
        "import sys, app.schemas.parts.parts as parts;"
        "families = [f'app.schemas.parts.{name}' for name in ('backbones', 'necks', 'poolings', 'heads')];"
        "assert not sys.modules.keys() & {*families, 'torch'};"
        "from app.schemas.registry import options;"
        "assert list(options['pooling']) == ['average', 'max', 'gem'];"
        "assert 'app.schemas.parts.heads' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("neck", [None, FPNConfig(), UNetConfig()])
def test_a_head_that_takes_a_vector_needs_a_pooling(neck: NeckConfig | None) -> None:
    with pytest.raises(ConfigError) as caught:
        PartsConfig(backbone=ConvConfig(), neck=neck, head=LinearHeadConfig(num_classes=10))
    assert str(caught.value) == (
        "PartsConfig.pooling: head=linear takes one vector for each image: expected a pooling, as by pooling=average"
    )


def test_a_mean_of_one_value_needs_no_power() -> None:
    def found(backbone: BackboneConfig, pooling: PoolingConfig) -> list[Path]:
        config = PartsConfig(backbone=backbone, pooling=pooling, head=LinearHeadConfig(num_classes=2))
        return [fault.path for fault in remarks(config)]

    assert found(MLPBackboneConfig(), GeMPoolingConfig()) == [("pooling",)]
    assert found(MLPBackboneConfig(), AveragePoolingConfig()) == found(ConvConfig(), GeMPoolingConfig()) == []


def test_a_dense_head_wants_no_pooling() -> None:
    assert problems_of({"head": MASKS}) == [
        "pooling: leaves no maps for head=segmentation, which scores every pixel; expected null"
    ]


def test_a_unet_needs_maps_to_join() -> None:
    message = "neck: has nothing to join, as the backbone gives a single map; expected null, or another backbone"
    assert problems_of({"backbone": {"id": "conv_mixer"}, "neck": {"id": "unet"}}) == [message]
    assert problems_of({"backbone": {"id": "conv", "channels": [8]}, "neck": {"id": "unet"}}) == [message]


@pytest.mark.parametrize("channels", [[8], [8, 8, 8]])
def test_a_unet_has_a_width_for_each_step_up(channels: list[int]) -> None:
    (problem,) = problems_of({"backbone": {"id": "small_resnet"}, "neck": {"id": "unet", "channels": channels}})
    assert problem == (
        "neck.channels: expected as many entries as steps: 2, one for each step up the backbone's 3 maps;"
        f" found {len(channels)}"
    )


def test_a_mixers_kernel_has_a_middle() -> None:
    assert problems_of({"backbone": {"id": "conv_mixer", "kernel_size": 4}}) == [
        "backbone.kernel_size: expected an odd number, such as 3 or 5, found 4"
    ]


def test_a_part_of_another_kind_is_refused() -> None:
    config: Any = FPNConfig()
    assert problems_of({"backbone": config}) == ["backbone: expected an option of backbone, found FPNConfig"]


def test_everything_wrong_with_a_model_is_told_at_once() -> None:
    assert problems_of(
        {"backbone": {"id": "small_resnet", "depth": 19}, "neck": {"id": "unte"}, "head": {"id": "linear"}}
    ) == [
        "backbone.depth: expected 6n + 2, such as 14 or 20, found 19",
        "head.num_classes: needs a value: a whole number of at least 1",
        "neck.id: no neck 'unte'; did you mean 'unet'?",
    ]


def test_heads_among_several_take_a_vector_and_have_names() -> None:
    several = {"id": "multi", "heads": {"a": LINEAR}}
    assert problems_of({"head": {"id": "multi", "heads": {"masks": MASKS, "more": several, "a b": LINEAR}}}) == [
        "head.heads.masks: segmentation scores every pixel, and takes no vector; expected another head",
        "head.heads.more: multi is several heads itself; expected another head",
        "head.heads[a b]: expected a key of letters, digits and underscores: it becomes part of names",
    ]
    assert problems_of({"head": {"id": "multi"}}) == [
        "head.heads: needs a head at least, as by heads={digit: {id: linear}} with main=digit"
    ]


def test_the_main_head_is_one_of_them() -> None:
    several = {"id": "multi", "heads": {"digit": LINEAR, "view": {"id": "embedding"}}}
    assert problems_of({"head": {**several, "main": "digits"}}) == [
        "head.main: there is no head 'digits'; did you mean 'digit'?"
    ]
    assert problems_of({"head": {**several, "main": "other"}}) == [
        "head.main: there is no head 'other'; expected 'digit' or 'view'"
    ]


OUTPUTS: list[tuple[HeadConfig, tuple[str, ...], tuple[str, ...]]] = [
    (LinearHeadConfig(num_classes=3), ("logits",), ()),
    (EmbeddingHeadConfig(), ("embedding",), ()),
    (ArcFaceHeadConfig(num_classes=3, target="person"), ("logits", "embedding"), ("person",)),
    (SegmentationHeadConfig(num_classes=3), ("logits",), ()),
    (
        MultiHeadConfig(heads={"person": ArcFaceHeadConfig(num_classes=3), "view": EmbeddingHeadConfig()}),
        ("person_logits", "person_embedding", "view_embedding"),
        ("target",),
    ),
    (
        MultiHeadConfig(heads={"digit": LinearHeadConfig(num_classes=3), "view": EmbeddingHeadConfig()}, main="digit"),
        ("logits", "view_embedding"),
        (),
    ),
]


@pytest.mark.parametrize(("head", "outputs", "targets"), OUTPUTS)
def test_a_model_declares_its_outputs_and_the_targets_it_needs(
    head: HeadConfig, outputs: tuple[str, ...], targets: tuple[str, ...]
) -> None:
    pooling = None if head.dense else AveragePoolingConfig()
    config = PartsConfig(backbone=ConvConfig(), pooling=pooling, head=head)
    assert config.output_keys() == outputs
    assert config.target_keys() == targets


@pytest.mark.parametrize(
    ("backbone", "num_maps"), [(SmallResNetConfig(), 3), (ConvConfig(channels=(4, 4)), 2), (ConvMixerConfig(), 1)]
)
def test_our_own_backbones_know_their_number_of_maps(backbone: BackboneConfig, num_maps: int) -> None:
    assert backbone.num_maps() == num_maps


@pytest.mark.parametrize("installed", [(), ("timm",)])
def test_timm_has_to_be_there(installed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.parts.backbones.find_spec", lambda name: name if name in installed else None)
    torch = version("torch").partition("+")[0]
    assert problems_of({"backbone": {"id": "timm", "model_name": "resnet18"}}) == [
        (
            "backbone: timm, or the torchvision that it imports, is not installed; type:"
            f" pip install 'typed-lightning-app[timm]' torch=={torch}"
            " (with the --index-url that torch came from, if it had one)"
        )
    ]


@pytest.fixture
def _with_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.schemas.parts.backbones.find_spec", lambda name: name)


@pytest.mark.usefixtures("_with_timm")
class TestTimm:
    @pytest.mark.parametrize("name", ["resnet18", "resnet18.a1_in1k", "vit_tiny_patch16_224"])
    def test_a_model_is_chosen_by_name(self, name: str) -> None:
        assert TimmConfig(model_name=name).num_maps() is None
        assert TimmConfig(model_name=name, out_indices=(0, 2)).num_maps() == 2

    @pytest.mark.parametrize("name", ["hf-hub:someone/model", "local-dir:/tmp", "../resnet18", "ResNet18"])
    def test_a_model_from_elsewhere_is_refused(self, name: str) -> None:
        (problem,) = problems_of({"backbone": {"id": "timm", "model_name": name}})
        assert problem == (
            "backbone.model_name: expected a name such as 'resnet18' or 'resnet18.a1_in1k',"
            f" found '{name}'; weights from elsewhere go into checkpoint_path"
        )

    def test_weights_come_from_one_place(self) -> None:
        backbone = {"id": "timm", "model_name": "resnet18", "pretrained": True, "checkpoint_path": "resnet18.pth"}
        assert problems_of({"backbone": backbone}) == [
            "backbone.checkpoint_path: cannot be combined with pretrained=true; both say where the weights come from"
        ]

    @pytest.mark.parametrize("stages", [[1, 0], [1, 1]])
    def test_stages_rise(self, stages: list[int]) -> None:
        assert problems_of({"backbone": {"id": "timm", "model_name": "resnet18", "out_indices": stages}}) == [
            f"backbone.out_indices: expected stages in rising order, each once, found the list {stages}"
        ]

    @pytest.mark.parametrize("weights", [{"pretrained": True}, {"checkpoint_path": "resnet18.pth"}])
    def test_a_checkpoint_needs_no_other_weights(self, weights: dict[str, Any]) -> None:
        backbone = TimmConfig(model_name="resnet18", out_indices=(0, 1), **weights)
        config = PartsConfig(
            backbone=backbone, pooling=AveragePoolingConfig(), head=LinearHeadConfig(num_classes=2)
        ).without_weights()
        assert config.backbone == TimmConfig(model_name="resnet18", out_indices=(0, 1))
        assert config.without_weights() == config
