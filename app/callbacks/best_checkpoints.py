"""Lets a resumed run go on ranking its checkpoints with those of the run that it goes on from.

Lightning forgets the ranking when the folder is another one, and then takes the first new checkpoint for the best.
"""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from app.checkpoints.opening import is_remote


class KeepBestCheckpoints(Callback):
    """Carries the ranking over to another folder; files that are not there any more drop out of it."""

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002  # Lightning's signature
        """Change what the checkpoint callbacks are about to be given."""
        states = checkpoint.get("callbacks", {})
        for callback in trainer.checkpoint_callbacks:
            state = states.get(callback.state_key)
            if isinstance(callback, ModelCheckpoint) and state and state["dirpath"] != callback.dirpath:
                _carry_over(state, callback, str(trainer.ckpt_path))


def _carry_over(state: dict[str, Any], callback: ModelCheckpoint, resumed: str) -> None:
    state["dirpath"] = callback.dirpath
    ranked = {found: score for path, score in state["best_k_models"].items() if (found := _found(path, resumed))}
    state["best_k_models"] = ranked
    first, last = (min, max) if callback.mode == "min" else (max, min)
    best = _found(state["best_model_path"], resumed) or first(ranked, key=lambda path: float(ranked[path]), default="")
    worst = last(ranked, key=lambda path: float(ranked[path]), default="")
    if best != state["best_model_path"] and Path(best).name != Path(state["best_model_path"]).name:
        state["best_model_score"] = ranked.get(best)
    state["best_model_path"], state["kth_best_model_path"] = best, worst
    state["kth_value"] = ranked.get(worst, callback.kth_value)
    # It is never this run's to remove.
    state["last_model_path"] = ""


def _found(path: str, resumed: str) -> str | None:
    """Where a checkpoint is now: where it was, or beside the one that is resumed if the folder was moved."""
    if not path or is_remote(path):
        return path or None
    for place in (Path(path), Path(resumed).parent / Path(path).name):
        if place.is_file():
            return str(place)
    return None
