"""From a checked `RunConfig` to the live objects of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

from lightning import LightningDataModule, LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from app.builders.callbacks import build_callbacks
from app.builders.checkpointing import safety_callbacks
from app.builders.loggers import build_loggers
from app.builders.targets import keyword_arguments, live_class
from app.builders.trainer import build_trainer, route_lightning_logging
from app.callbacks.stop_at_batch_end import StopRequest
from app.checkpoints.contents import KEY, description
from app.run_directory import CONFIG_FILE, new_run_directory, write_record
from app.schemas.plain import to_plain
from app.schemas.run import RunConfig
from app.schemas.validation import check

PARTS_OF_A_MODULE: Final = ("optimizer_spec", "scheduler_spec", "optimizers", "task", "joint_loss", "metrics")
"""The parts of a run's config that a module takes beside its own."""

DONE_BY_THE_MODULE: Final = ("accumulate_grad_batches", "gradient_clip_val", "gradient_clip_algorithm")
"""What a trainer's config says that the module itself does when there are several optimizers."""


class Run(NamedTuple):
    """The live objects of a run: `trainer, module, datamodule = load_from_config(config)`."""

    trainer: Trainer
    module: LightningModule
    datamodule: LightningDataModule


def load_from_config(config: RunConfig) -> Run:
    """Build a run from a config, ready for `trainer.fit(model=module, datamodule=datamodule)`.

    Nothing is created on disk until the fit starts; `trainer.default_root_dir` is where the run will leave its files.

    Raises:
        ConfigError: when the config was changed into one that may not run.
    """
    config = check(config, RunConfig)
    run_directory = new_run_directory(config)
    loggers = build_loggers(config.logger, run_directory=run_directory, run_config=to_plain(config))
    return build_run(config, run_directory=run_directory, loggers=loggers)


def build_run(
    config: RunConfig,
    *,
    run_directory: Path,
    loggers: Sequence[Logger],
    overrides: tuple[str, ...] = (),
    sources: Mapping[str, str] | None = None,
    stop: StopRequest | None = None,
) -> Run:
    """Build a run that leaves its files in `run_directory`; the config is trusted to be checked.

    The loggers are the caller's, who closes them in the end: a Trainer forgets them in `fast_dev_run`.

    A training ends at the end of a batch once `stop` asks for it. The random generators are seeded first: the model's
    initial weights are the seed's.
    """
    route_lightning_logging()
    seed_everything(config.seed_params.seed, workers=config.seed_params.workers, verbose=False)
    record = RunRecord(run_directory, config, overrides=overrides, sources=sources)
    trainer = build_trainer(
        config.trainer,
        without=frozenset(DONE_BY_THE_MODULE if config.optimizers else ()),
        callbacks=[
            record,
            *build_callbacks(
                config.callbacks,
                run_directory=run_directory,
                describe=lambda: description(config, overrides=overrides),
            ),
            *safety_callbacks(stop),
        ],
        loggers=loggers,
        run_directory=run_directory,
    )
    return Run(trainer=trainer, module=build_module(config), datamodule=build_datamodule(config))


def build_module(config: RunConfig) -> LightningModule:
    """The task's module: its own fields, and the other parts of the run that it is trained with."""
    module: LightningModule = live_class(config.module)(
        **keyword_arguments(config.module),
        **{name: getattr(config, name) for name in PARTS_OF_A_MODULE},
    )
    if config.optimizers:
        cast(Any, module).optimize_manually(**{name: getattr(config.trainer, name) for name in DONE_BY_THE_MODULE})
    return module


def build_datamodule(config: RunConfig) -> LightningDataModule:
    """The task's datamodule."""
    datamodule: LightningDataModule = live_class(config.datamodule)(config.datamodule, config.task)
    return datamodule


class RunRecord(Callback):
    """Writes what a run is made of into its folder, once, as it starts."""

    def __init__(
        self,
        run_directory: Path,
        config: RunConfig,
        *,
        overrides: tuple[str, ...] = (),
        sources: Mapping[str, str] | None = None,
    ) -> None:
        self.run_directory = run_directory
        self.config = config
        self.overrides = overrides
        self.sources = sources

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:  # noqa: ARG002  # Lightning's signature
        """Write the record, in the first process only, before the first batch is read."""
        if trainer.is_global_zero and not (self.run_directory / CONFIG_FILE).exists():
            write_record(self.run_directory, self.config, overrides=self.overrides, sources=self.sources)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002  # Lightning's signature
        """Let every checkpoint say what made it."""
        checkpoint[KEY] = description(self.config, overrides=self.overrides)
