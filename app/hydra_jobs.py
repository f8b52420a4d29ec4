"""Jobs as Hydra starts them: a single run, or each of a sweep's. Their configs have passed the gate before.

It also answers those flags that ask about Hydra itself.
"""

import gc
import os
import sys
from collections.abc import Callable
from typing import cast

import hydra
from hydra.conf import HydraConf
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from app.compose import CONFIG_NAME, compose
from app.composing.with_hydra import register_all
from app.schemas.problems import AppError


def start(command: str, words: list[str], overrides: list[str] | None = None) -> int:
    """Let Hydra make the run's folder and call the job, or print what a flag asks for.

    Without `overrides` the job's are those that Hydra gives it: one combination of a sweep's.

    Returns:
        The exit status.
    """
    register_all()
    started = False
    failure: AppError | None = None

    def job(_: DictConfig) -> float | None:
        nonlocal started, failure
        started = True
        gc.enable()
        settings = HydraConfig.get()
        composed = compose(_overrides_as_typed(settings) if overrides is None else overrides)
        # Lightning starts a run's other processes with these arguments, in this folder.
        sys.argv = [sys.argv[0], command, *composed.overrides]
        with read_write(cast(DictConfig, settings)):
            settings.run.dir = settings.runtime.output_dir
        from app.export.command import export
        from app.find_lr import find_lr
        from app.train import predict, test, train

        commands: dict[str, Callable[..., float | None]] = {
            "train": train,
            "test": test,
            "predict": predict,
            "export": export,
            "find-lr": find_lr,
        }
        try:
            return commands[command](composed, settings.runtime.output_dir)
        except AppError as error:
            if settings.mode is not RunMode.RUN:
                raise  # the launcher may be in another process, and has to know that the job failed
            failure = error
            return None

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors come to `main`, which knows which of them are messages to the user
    typed = sys.argv
    sys.argv = [typed[0], *words]
    try:
        hydra.main(config_path="pkg://app.schemas", config_name=CONFIG_NAME, version_base="1.3")(job)()
    except OSError as error:
        if started:
            raise
        raise AppError(f"cannot make the run's folder: {error}") from error
    finally:
        sys.argv = typed
    if failure is not None:
        raise failure
    return 0


def _overrides_as_typed(settings: HydraConf) -> list[str]:
    """A job's overrides with their interpolations unresolved: what they stand for may be secret."""
    overrides = OmegaConf.to_container(cast(DictConfig, settings.overrides), resolve=False)
    return [word.lstrip("+") for word in cast(dict[str, list[str]], overrides)["task"]]
