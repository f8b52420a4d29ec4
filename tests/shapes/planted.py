"""Modules with one mistake each, and right ones that do what is unusual, all of the task `workbench`.

The fixture `planted` makes them known as `module=workbench/<name>`, the class's name in lower case.
"""

import re
import sys
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import numpy as np
import pytest
import torch
from hydra.core.config_store import ConfigStore
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC, MulticlassConfusionMatrix

from app.schemas.phases import Phase
from app.schemas.registry import options, register
from app.schemas.schema import import_path, schema
from app.tasks.shared.module import BaseModule
from tests.tasks.workbench import WorkbenchDataModule, WorkbenchModelConfig, WorkbenchModuleConfig, WorkbenchTaskConfig

ClassT = TypeVar("ClassT", bound=type)

PLANTED: Final[dict[str, type]] = {}


def plant(cls: ClassT) -> ClassT:
    PLANTED[re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()] = cls
    return cls


@pytest.fixture(scope="module")
def planted(workbench: None) -> Iterator[None]:  # noqa: ARG001  # the task is known meanwhile
    entries = ConfigStore.instance().repo["module"]["workbench"]
    for name, cls in PLANTED.items():
        config: type[WorkbenchModuleConfig] = schema(
            type(f"{cls.__name__}Config", (WorkbenchModuleConfig,), {"__module__": __name__})
        )
        register("module", f"workbench/{name}", target=import_path(cls))(config)
    yield
    for name, cls in PLANTED.items():
        del options._registered["module"][f"workbench/{name}"]
        del options._by_schema[f"{__name__}.{cls.__name__}Config"]
        del entries[f"{name}.yaml"]


class Small(nn.Module):
    def __init__(self, *, width: int = 8, head: int = 8, outputs: int = 3, last: nn.Module | None = None) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, width), nn.ReLU())
        self.head = nn.Linear(head, outputs)
        self.last = last or nn.Identity()

    def forward(self, inputs: Tensor) -> Tensor:
        scores: Tensor = self.last(self.head(self.body(inputs)))
        return scores


class Planted(BaseModule[WorkbenchModelConfig, WorkbenchTaskConfig]):
    def initialize_model(self) -> nn.Module:
        return Small()


@plant
class Right(Planted):
    pass


@plant
class OtherWidth(Planted):
    def initialize_model(self) -> nn.Module:
        return Small(width=8, head=6)


@plant
class OtherInput(Planted):
    def initialize_model(self) -> nn.Module:
        return nn.Conv2d(1, 3, kernel_size=3)


@plant
class TooManyClasses(Planted):
    def initialize_model(self) -> nn.Module:
        return Small(outputs=7)


@plant
class Column(Planted):
    output = "prediction"

    def initialize_model(self) -> nn.Module:
        return Small(outputs=1)


@plant
class ColumnInTorch(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"extra": functional.poisson_nll_loss(outputs["logits"][:, :1], batch[1]["count"])}


@plant
class ColumnInEvaluation(Planted):
    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        functional.smooth_l1_loss(self.model(batch[0])[:, :1], batch[1]["value"])
        super().test_step(batch, batch_idx, dataloader_idx)


@plant
class ColumnByHand(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"extra": (outputs["logits"][:, :1] - batch[1]["value"]).square().mean()}


@plant
class AllPairs(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:  # noqa: ARG002
        scores = outputs["logits"][:, 0]
        return {"extra": (scores[:, None] - scores).square().mean()}


@plant
class RealClasses(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"extra": functional.cross_entropy(outputs["logits"], batch[1]["value"])}


@plant
class Softmax(Planted):
    def initialize_model(self) -> nn.Module:
        return Small(last=nn.Softmax(dim=1))


@plant
class LogSoftmax(Planted):
    def initialize_model(self) -> nn.Module:
        return Small(last=nn.LogSoftmax(dim=1))


@plant
class SoftmaxInTheLoss(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"extra": functional.cross_entropy(outputs["logits"].softmax(dim=1), batch[1]["target"])}


@plant
class Idle(Planted):
    def initialize_model(self) -> nn.Module:
        model = Small()
        model.idle = nn.Linear(3, 3)
        return model


@plant
class Detached(Planted):
    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.model(inputs).detach()}


@plant
class BesideTheModel(Planted):
    def initialize_model(self) -> nn.Module:
        self.scale = nn.Parameter(torch.ones(()))
        return Small()

    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"logits": self.model(inputs) * self.scale}


@plant
class Frozen(Planted):
    def initialize_model(self) -> nn.Module:
        model = Small()
        model.requires_grad_(False)
        return model


@plant
class ReadsValues(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        return loss * 2 if loss.item() > 100 else loss


@plant
class LeavesTorch(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:  # noqa: ARG002
        return {"extra": torch.from_numpy(np.abs(outputs["logits"].detach().numpy())).mean()}


@plant
class ReadsWhatItLogged(Planted):
    def on_train_start(self) -> None:
        super().on_train_start()
        logger: Any = self.logger
        logger.experiment.add_text("begun", "now")

    def on_validation_epoch_end(self) -> None:
        super().on_validation_epoch_end()
        self.log("val/twice", 2 * self.trainer.callback_metrics["val/loss"])


@plant
class WaitsForWhatItLogged(Planted):
    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "monitor": "val/loss"}}

    def on_train_epoch_end(self) -> None:
        super().on_train_epoch_end()
        logged: Any = self.trainer.callback_metrics.get("val/loss")
        assert logged < 1.0


@plant
class LooksUpCallbacks(Planted):
    def on_train_epoch_end(self) -> None:
        trainer: Any = self.trainer
        assert trainer.checkpoint_callback.best_model_path == ""
        assert trainer.early_stopping_callback.patience > 0
        assert trainer.logger.log_dir == trainer.log_dir
        trainer.logger.experiment.log_metrics({"mine": 1.0})
        trainer.logger.save()


@plant
class LooksAtItsData(Planted):
    def on_fit_start(self) -> None:
        datamodule: Any = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        dataset = datamodule.train_dataloader().dataset
        assert len(dataset) == len(list(dataset)) == len(datamodule.datasets["train"]) > 1
        assert dataset[0].inputs.shape == (4,)
        assert dataset[len(dataset) - 1].targets["value"].shape == ()
        assert next(iter(datamodule.predict_dataloader())).inputs.shape == (8, 4)
        datamodule.verify_test_split()


@plant
class NeedsItsData(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        weights: Tensor = self.trainer.datamodule.train_dataset.weights  # type: ignore[attr-defined]  # what it is planted for
        return weights.mean() * super().training_step(batch, batch_idx)


@plant
class NeedsItsKindOfData(Planted):
    def on_fit_start(self) -> None:
        assert isinstance(self.trainer.datamodule, WorkbenchDataModule)  # type: ignore[attr-defined]  # as above


@plant
class MisspellsItsTrainer(Planted):
    def on_validation_start(self) -> None:
        self.log("epoch", self.trainer.curent_epoch)  # type: ignore[attr-defined]  # what it is planted for


@plant
class DrawsInATable(Planted):
    def on_train_start(self) -> None:
        logger: Any = self.logger
        logger.experiment.add_scalar("begun", 1.0)


@plant
class TextForAModel(Planted):
    def initialize_model(self) -> nn.Module:
        return "small"  # type: ignore[return-value]  # what it is planted for


@plant
class NothingForAModel(Planted):
    def initialize_model(self) -> nn.Module:  # type: ignore[return]  # what it is planted for
        Small()


@plant
class ForgetsItsLoss(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # type: ignore[return]  # what it is planted for
        super().training_step(batch, batch_idx)


@plant
class SkipsABatch(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return super().training_step(batch, batch_idx) if batch_idx == 0 else None


@plant
class FailsAfterAnEpoch(Planted):
    def on_train_epoch_end(self) -> None:
        raise ValueError("epoch 0 is odd")


@plant
class HasNoLogits(Planted):
    def forward(self, inputs: Tensor) -> dict[str, Tensor]:
        return {"scores": self.model(inputs)}


@plant
class ReadsValuesAndIsLarge(ReadsValues):
    def initialize_model(self) -> nn.Module:
        return Small(width=8_000_000, head=8_000_000)


@plant
class Talks(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        print(f"batch {batch_idx}", batch)  # noqa: T201  # what it is planted for
        return super().training_step(batch, batch_idx)


@plant
class Quits(Planted):
    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002
        sys.exit("enough")


@plant
class RaisesInItsMaking(Planted):
    def initialize_model(self) -> nn.Module:
        return {"small": Small()}["large"]


@plant
class FailsInValidation(Planted):
    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:  # noqa: ARG002
        self.model(batch[0].unsqueeze(1).repeat(1, 1, 2))


@plant
class MetricOfOtherClasses(Planted):
    def extra_metrics(self, phase: Phase) -> dict[str, Metric]:  # noqa: ARG002
        return {"theirs": MulticlassConfusionMatrix(num_classes=2)}


@plant
class OwnMetrics(Planted):
    """Made, updated and computed by the module itself, and of kinds that look at values."""

    def initialize_model(self) -> nn.Module:
        self.area = MulticlassAUROC(num_classes=3, thresholds=None)
        self.both = MetricCollection([MulticlassAccuracy(num_classes=3), MulticlassConfusionMatrix(num_classes=3)])
        return Small()

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        outputs = self.step_outputs(batch)
        self.area.update(outputs["logits"], outputs["target"])
        self.both(outputs["logits"], outputs["target"])
        self.log("val/area", self.area)
        super().validation_step(batch, batch_idx, dataloader_idx)

    def on_validation_epoch_end(self) -> None:
        assert self.area.compute().ndim == 0
        self.log_dict(self.both.compute())
        self.both.reset()
        super().on_validation_epoch_end()


@plant
class Extras(Planted):
    def extra_losses(self, outputs: Any, batch: Any) -> dict[str, Tensor]:
        return {"size": outputs["logits"].square().mean() * (1 + 0 * batch[0].mean())}

    def extra_metrics(self, phase: Phase) -> dict[str, Metric]:  # noqa: ARG002
        return {"theirs": MulticlassAccuracy(num_classes=3)}


@plant
class Adversarial(LightningModule):
    """None of ours: manual optimization with two optimizers, as a user of Lightning writes it."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.critic = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        self.rate = config["optimizer_spec"].lr

    def training_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        optimizers: Any = self.optimizers()
        generator, critic = optimizers
        real = batch[0]
        made = self.generator(torch.randn_like(real))
        self.toggle_optimizer(critic)
        found = self.critic(torch.cat([real, made.detach()]))
        right = torch.cat([torch.ones(len(real), 1), torch.zeros(len(real), 1)]).type_as(found)
        loss = functional.binary_cross_entropy_with_logits(found, right)
        self.manual_backward(loss)
        critic.step()
        critic.zero_grad()
        self.untoggle_optimizer(critic)
        self.toggle_optimizer(generator)
        self.manual_backward(-self.critic(made).mean())
        self.clip_gradients(generator, gradient_clip_val=1.0, gradient_clip_algorithm="norm")
        generator.step()
        generator.zero_grad()
        self.untoggle_optimizer(generator)
        self.log("train/loss", loss)

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002
        self.log("val/loss", self.critic(batch[0]).mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def configure_optimizers(self) -> Any:
        return [torch.optim.Adam(part.parameters(), lr=self.rate) for part in (self.generator, self.critic)]


@plant
class FewerClassesByHand(LightningModule):
    def __init__(self, **config: Any) -> None:  # noqa: ARG002
        super().__init__()
        self.model = nn.Linear(4, 2)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002
        return functional.cross_entropy(self.model(batch[0]), batch[1]["target"])

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)
