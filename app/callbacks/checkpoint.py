"""`RunCheckpoint`: Lightning's `ModelCheckpoint`, whose `last.ckpt` is the last state and not the last improvement."""

from functools import cached_property
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor


class RunCheckpoint(ModelCheckpoint):
    """Saves `last.ckpt` whenever it looks for a new best one, also if there is none.

    Lightning 2.6 writes it only together with a best one: a run that is killed would lose every epoch since.
    """

    @cached_property
    def state_key(self) -> str:
        """What its state goes by in a checkpoint; Lightning asks for it at every hook, and makes it anew each time."""
        return super().state_key

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where steps or time say so; where neither does, Lightning would find that out anew at each step."""
        if self._every_n_train_steps or self._train_time_interval is not None:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def _save_topk_checkpoint(self, trainer: Trainer, monitor_candidates: dict[str, Tensor]) -> None:
        super()._save_topk_checkpoint(trainer, monitor_candidates)
        # By this Lightning knows whether there is something to save as the last.
        self._last_global_step_saved = trainer.global_step
