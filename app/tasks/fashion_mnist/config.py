"""What can be configured about the Fashion-MNIST task. Nothing here imports torch."""

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
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)

register(
    "module",
    "fashion_mnist/default",
    target="app.tasks.shared.parts_module.PartsModule",
    model_config=SMALL_CNN,
)(PartsModuleConfig)
# One hidden layer, ten times as wide as the 784 values of an image.
register(
    "module",
    "fashion_mnist/wide_mlp",
    target="app.tasks.shared.mlp_module.MLPModule",
    model_config={"hidden_dims": (7840,), "dropout": 0.0},
)(MLPModuleConfig)


@register("task", "fashion_mnist", target="app.tasks.fashion_mnist.config.FashionMNISTTaskConfig")
@schema
class FashionMNISTTaskConfig(PublishedImagesTaskConfig):
    """Photos of clothes (Xiao, Rasul and Vollgraf, 2017): 60,000 grey images to train on, 10,000 to test."""

    name: Literal["fashion_mnist"] = "fashion_mnist"
    """The task's folder in `app/tasks`; its modules, datamodules and experiments are named `fashion_mnist/...`."""

    input_shape: tuple[Literal[1], Literal[28], Literal[28]] = (1, 28, 28)
    """Channels, height and width of an image; its values lie between 0 and 1."""

    test_fingerprint: Literal["0d25a63b0c214130bbe93c375f7ee8eafb85e54148882a9ee9cc60844b2e0cd9"] = (
        "0d25a63b0c214130bbe93c375f7ee8eafb85e54148882a9ee9cc60844b2e0cd9"
    )
    """SHA-256 of the test split; testing on anything else is refused."""

    def class_names(self) -> tuple[str, ...]:
        """The kinds of clothes, from 0 on."""
        return ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")


@register("datamodule", "fashion_mnist/default", target="app.tasks.fashion_mnist.datamodule.FashionMNISTDataModule")
@schema
class FashionMNISTDataModuleConfig(IDXImagesConfig):
    """The four published files; the original test split, and a random tenth of the others as val."""

    files: IDXFilesConfig = field(
        default_factory=lambda: published_as_idx(
            *_MIRRORS,
            train_images="3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            train_labels="a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            test_images="346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            test_labels="67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        )
    )
    """The files, each with its name, where it comes from and the digest that it must have."""

    dataloader: DataLoaderConfig = field(default_factory=lambda: DataLoaderConfig(batch_size=128))
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""
