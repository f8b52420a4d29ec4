"""What can be configured about the MNIST task. Nothing here imports torch."""

from dataclasses import field
from typing import Final, Literal

from app.schemas.datamodule import DataLoaderConfig
from app.schemas.downloaded_images import (
    SMALL_CNN,
    IDXFilesConfig,
    IDXImagesConfig,
    PublishedImagesTaskConfig,
    published_as_idx,
)
from app.schemas.modules import MLPModuleConfig, PartsModuleConfig
from app.schemas.registry import register
from app.schemas.schema import schema

_MIRRORS: Final = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)

register(
    "module",
    "mnist/default",
    target="app.tasks.shared.mlp_module.MLPModule",
    model_config={"hidden_dims": (), "dropout": 0.0},
)(MLPModuleConfig)
register(
    "module",
    "mnist/cnn",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config=SMALL_CNN,
)(PartsModuleConfig)


@register("task", "mnist", target="app.tasks.mnist.config.MNISTTaskConfig")
@schema
class MNISTTaskConfig(PublishedImagesTaskConfig):
    """Handwritten digits (LeCun, Bottou, Bengio and Haffner, 1998): 60,000 grey images to train on, 10,000 to test."""

    name: Literal["mnist"] = "mnist"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `mnist/...`."""

    input_shape: tuple[Literal[1], Literal[28], Literal[28]] = (1, 28, 28)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    test_fingerprint: Literal["fc4ad2928469b062b04de83eeb03d9a9368e93e5c0fa488affd0729f7e16c3ec"] = (
        "fc4ad2928469b062b04de83eeb03d9a9368e93e5c0fa488affd0729f7e16c3ec"
    )
    """SHA-256 of the test split; testing on anything else is refused."""


@register("datamodule", "mnist/default", target="app.tasks.shared.downloaded_images.IDXDataModule")
@schema
class MNISTDataModuleConfig(IDXImagesConfig):
    """The four published files; the original test split, and a random tenth of the others as val."""

    files: IDXFilesConfig = field(
        default_factory=lambda: published_as_idx(
            *_MIRRORS,
            train_images="440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            train_labels="3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            test_images="8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            test_labels="f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        )
    )
    """The files, each with its name, where it comes from and the digest that it must have."""

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=128))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""
