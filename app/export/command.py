"""`app export`: the model of a checkpoint as a file that runs without this project."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from app.checkpoints.contents import description, read_contents
from app.checkpoints.data_state import load_data_state
from app.checkpoints.weights import load_weights
from app.compose import Composed
from app.export.exporting import export_model, samples_of
from app.run_directory import value_sources, write_record
from app.running import running
from app.schemas.trainer import TrainerConfig


def export(composed: Composed, run_directory: str) -> None:
    """Write the model into the run directory, once it computes on the val split what it does in torch.

    Raises:
        AppError: when the checkpoint does not fit, or the model cannot be exported within the tolerance.
    """
    config = composed.config
    assert config.checkpoint is not None, "the command line asks for it"
    # Nothing is trained or logged, and the file is made on the CPU.
    trainer = TrainerConfig(accelerator="cpu", devices=1)
    untrained: dict[str, Any] = {
        "scheduler_spec": None,
        "optimizers": {name: replace(spec, scheduler_spec=None) for name, spec in config.optimizers.items()},
    }
    alone = replace(composed, config=replace(config, trainer=trainer, callbacks={}, logger={}, **untrained))
    folder = Path(run_directory)
    with running(alone, run_directory) as (run, result):
        write_record(folder, config, overrides=composed.overrides, sources=value_sources(config, composed.sources))
        load_weights(run.module, config.checkpoint)
        load_data_state(run.datamodule, config.checkpoint)
        result["checkpoint"] = config.checkpoint
        run.datamodule.prepare_data()
        run.datamodule.setup("validate")
        exported = export_model(
            run.module,
            samples_of(run.datamodule.val_dataloader()),
            config.export,
            folder=folder,
            description={**description(config, overrides=composed.overrides), **_age(config.checkpoint)},
        )
        result["export"] = exported.as_result()


def _age(checkpoint: str) -> dict[str, int | None]:
    """How long the weights were trained."""
    contents = read_contents(checkpoint)
    return {"epoch": contents.epoch, "global_step": contents.global_step}
