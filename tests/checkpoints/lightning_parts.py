"""The smallest Lightning module whose checkpoints have all that a real one's have."""

import warnings
from pathlib import Path

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric


class Net(LightningModule):
    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Linear(3, width)
        self.train_loss = MeanMetric()
        self.train_loss.persistent(mode=True)

    def training_step(self, batch: list[Tensor]) -> Tensor:
        loss: Tensor = self.model(batch[0]).square().mean()
        self.train_loss.update(loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=0.1)


def trained(folder: Path, **into: object) -> tuple[Net, Path]:
    """A module after one epoch and the checkpoint that Lightning wrote of it, with `into` put among its keys."""

    class Written(Net):
        def on_save_checkpoint(self, checkpoint: dict[str, object]) -> None:
            checkpoint.update(into)

    net = Written()
    trainer = Trainer(
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=folder,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(net, DataLoader(TensorDataset(torch.ones(8, 3)), batch_size=4))
    file = folder / "trained.ckpt"
    trainer.save_checkpoint(file)
    return net, file
