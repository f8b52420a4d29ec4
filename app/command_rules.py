"""What a config that is right in itself lacks for a command, or has to no purpose."""

from collections.abc import Iterator
from typing import Final

from app.schemas.codes import Code
from app.schemas.export import missing_packages
from app.schemas.own_folder import OwnFolderTaskConfig
from app.schemas.problems import Problem, dotted
from app.schemas.run import RunConfig
from app.schemas.user_paths import user_path

_MEASURING: Final = ("train", "test")
"""The commands that compute metrics."""

_READING: Final = ("train", "find-lr", "test", "predict", "check")
"""The commands that read the task's data, and the one that says beforehand whether they could."""

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
    if command in _READING and not (command == "predict" and config.predictions.inputs):
        yield from _folders(config)
    if command in _MEASURING:
        yield from _metrics(config)
    if command == "predict" and (missing := config.predictions.missing_package()):
        yield Problem(path="predictions.format", message=missing, code=Code.ENVIRONMENT)
    if config.load_checkpoint is not None and config.resume_path is None:
        for path, file in config.load_checkpoint.files().items():
            if "://" not in file and not user_path(file).is_file():
                where = dotted(("load_checkpoint", *path))
                yield Problem(path=where, message=f"no file '{file}'", code=Code.ENVIRONMENT)


def _metrics(config: RunConfig) -> Iterator[Problem]:
    fixed = [("task", metric) for metric in config.task.fixed_metrics().values()]
    chosen = [(dotted(("metrics", name)), metric) for name, metric in config.metrics.items()]
    for path, metric in [*fixed, *chosen]:
        if missing := metric.missing_package():
            yield Problem(path=path, message=missing, code=Code.ENVIRONMENT)


def _folders(config: RunConfig) -> Iterator[Problem]:
    """Nothing is looked at in them: that is for who reads it."""
    own = config.task.folder if isinstance(config.task, OwnFolderTaskConfig) else None
    if own is not None and not (folder := user_path(own)).is_dir():
        found = "is a file" if folder.is_file() else "is not there"
        message = f"expected a folder of your own data, and '{own}' {found}"
        yield Problem(path="task.folder", message=message, code=Code.ENVIRONMENT)
    data_dir = getattr(config.datamodule, "data_dir", None)
    if isinstance(data_dir, str) and user_path(data_dir).is_file():
        message = f"expected a folder, one to be made too, and '{data_dir}' is a file"
        yield Problem(path="datamodule.data_dir", message=message, code=Code.ENVIRONMENT)


def _export(config: RunConfig) -> Iterator[Problem]:
    if config.model is not None:
        yield Problem(path="model", message="is exported already; app export takes checkpoint=<file>")
    if missing := missing_packages(config.export.format):
        message = f"{missing}; export.format=torch_export needs no package"
        yield Problem(path="export.format", message=message, code=Code.ENVIRONMENT)
