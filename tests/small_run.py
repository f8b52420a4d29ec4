"""The smallest run that has everything a resume could get wrong: it takes 50 ms."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule, Trainer
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import Callback, Checkpoint
from torch import Generator, Tensor, nn
from torch.nn import functional
from torch.optim.lr_scheduler import CosineAnnealingLR, OneCycleLR, ReduceLROnPlateau
from torch.utils.data import DataLoader

from app.callbacks.best_checkpoints import KeepBestCheckpoints
from app.callbacks.exact_resume import ExactResume
from app.callbacks.finite_loss import FiniteLoss
from app.checkpoints.storage import VerifiedCheckpointIO
from app.metrics.split_metrics import SplitMetrics
from app.tasks.shared.datasets import Batch, InMemoryDataset, ShuffledSampler, collate, with_seeded_batches

SAMPLES, BATCH, EPOCHS = 19, 4, 3
BATCHES = -(-SAMPLES // BATCH)


class Data(LightningDataModule):
    def __init__(self, workers: int = 0) -> None:
        super().__init__()
        self.workers = workers

    def train_dataloader(self) -> DataLoader[Any]:
        dataset = InMemoryDataset(points(), labels(), augmentation=noise)
        assert self.trainer is not None
        share = {"rank": self.trainer.global_rank, "num_replicas": self.trainer.world_size}
        loader = DataLoader(
            dataset,
            BATCH,
            sampler=ShuffledSampler(SAMPLES, 5, **share),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            collate_fn=collate,
            generator=Generator().manual_seed(5),
        )
        return with_seeded_batches(loader)

    def val_dataloader(self) -> DataLoader[Any]:
        return DataLoader(InMemoryDataset(points(), labels()), 10, collate_fn=collate, generator=Generator())


def points() -> Tensor:
    return torch.randn(SAMPLES, 3, generator=Generator().manual_seed(0))


def labels() -> Tensor:
    return (points().sum(dim=1) > 0).long()


def noise(batch: Batch, generator: Generator) -> Batch:
    return batch._replace(inputs=batch.inputs + 0.1 * torch.randn(batch.inputs.shape, generator=generator))


class Model(LightningModule):
    """Draws from every global random generator, in training and in validation."""

    def __init__(self, scheduler: str = "") -> None:
        super().__init__()
        self.scheduler = scheduler
        self.layers = nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 2))
        self.train_metrics = SplitMetrics("train")
        self.val_metrics = SplitMetrics("val")

    def loss(self, batch: Batch) -> Tensor:
        scale = 1 + random.random() * float(np.random.rand())  # global on purpose
        return functional.cross_entropy(self.layers(batch.inputs) * scale, batch.targets)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002  # Lightning's signature
        loss = self.loss(batch)
        self.train_metrics.update({"loss": loss}, {}, len(batch.inputs))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002  # Lightning's signature
        self.val_metrics.update({"loss": self.loss(batch)}, {}, len(batch.inputs))

    def on_train_start(self) -> None:
        self.val_metrics.reset()

    def on_train_epoch_end(self) -> None:
        self.log_dict(self.train_metrics.compute())
        self.train_metrics.reset()

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        name, _, interval = self.scheduler.partition("/")
        match name:
            case "":
                return optimizer
            case "cosine":
                scheduler: Any = CosineAnnealingLR(optimizer, T_max=7)
            case "one_cycle":
                scheduler = OneCycleLR(optimizer, 0.2, total_steps=int(self.trainer.estimated_stepping_batches))
            case monitor:
                scheduler = ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
                split = "train" if monitor == "plateau_train" else "val"
                config = {"scheduler": scheduler, "interval": interval, "monitor": f"{split}/loss"}
                return {"optimizer": optimizer, "lr_scheduler": config}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": interval}}


class TwoOptimizers(Model):
    """Accumulates over two batches by itself."""

    def __init__(self, scheduler: str = "") -> None:
        super().__init__(scheduler)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        if batch_idx % 2 == 1 or self.trainer.is_last_batch:
            for optimizer in self.optimizers():  # type: ignore[union-attr]  # there are two
                optimizer.step()
                optimizer.zero_grad()
        return loss

    def configure_optimizers(self) -> Any:
        first, *rest = self.layers
        others = [parameter for layer in rest for parameter in layer.parameters()]
        return [torch.optim.SGD(first.parameters(), lr=0.1, momentum=0.9), torch.optim.Adam(others, lr=0.01)]


def trainer_in(folder: Path, callbacks: list[Callback], **settings: Any) -> Trainer:
    """A trainer with what is always on, as a run has it."""
    saves = any(isinstance(callback, Checkpoint) for callback in callbacks)
    given = {
        "max_epochs": EPOCHS,
        "logger": False,
        "enable_checkpointing": saves,
        "enable_progress_bar": False,
        "plugins": [VerifiedCheckpointIO()],
    }
    return Trainer(
        **{**given, **settings},
        callbacks=[*callbacks, KeepBestCheckpoints(), FiniteLoss(), ExactResume()],
        accelerator="cpu",
        enable_model_summary=False,
        default_root_dir=folder,
    )
