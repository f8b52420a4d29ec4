"""What a config that is right in itself lacks for a command, or has to no purpose."""

from collections.abc import Iterator
from typing import Final

from app.schemas.codes import Code
from app.schemas.export import missing_packages
from app.schemas.problems import Problem, dotted
from app.schemas.run import RunConfig
from app.schemas.user_paths import user_path

_USES: Final = {"test": "measure", "predict": "predict with", "export": "export"}


def problems_for(command: str, config: RunConfig) -> Iterator[Problem]:
    """What keeps a command from taking the config."""
    if command in ("test", "predict", "export"):
        if config.checkpoint is None and (command == "export" or config.model is None):
            yield Problem(
                path="checkpoint", message=f"needs a file to {_USES[command]}: app {command} checkpoint=<file>"
            )
        if command == "export":
            yield from _export(config)
        if config.resume_path is not None:
            message = f"is where a training goes on; app {command} takes the file as checkpoint=<file>"
            yield Problem(path="resume_path", message=message)
    elif command in ("train", "find-lr") and config.checkpoint is not None:
        message = "is for `app test` and `app predict`; a training goes on from resume_path=<file or run directory>"
        yield Problem(path="checkpoint", message=message)
    elif command in ("train", "find-lr") and config.model is not None:
        yield Problem(path="model", message="is for `app test` and `app predict`: an exported model cannot be trained")
    elif command == "find-lr" and config.resume_path is not None:
        message = (
            "brings a learning rate of its own; load_checkpoint.base_ckpt_path=<file> searches one for its weights"
        )
        yield Problem(path="resume_path", message=message)
    elif command == "checkpoint plan" and config.load_checkpoint is None:
        message = "needs the files to plan with: load_checkpoint.base_ckpt_path=<file>"
        yield Problem(path="load_checkpoint", message=message)
    if config.load_checkpoint is not None and config.resume_path is None:
        for path, file in config.load_checkpoint.files().items():
            if "://" not in file and not user_path(file).is_file():
                where = dotted(("load_checkpoint", *path))
                yield Problem(path=where, message=f"no file '{file}'", code=Code.ENVIRONMENT)


def _export(config: RunConfig) -> Iterator[Problem]:
    if config.model is not None:
        yield Problem(path="model", message="is exported already; app export takes checkpoint=<file>")
    if missing := missing_packages(config.export.format):
        message = f"{missing}; export.format=torch_export needs no package"
        yield Problem(path="export.format", message=message, code=Code.ENVIRONMENT)
