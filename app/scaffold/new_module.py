"""`app new module TASK/NAME`: a model, its schema and its module, added to the files of a task."""

from pathlib import Path
from typing import Final

from app.checks.experiment_rules import default_identity
from app.compose import compose
from app.json_schema.command import options_folder
from app.scaffold.files import SCHEMA_FILE, app_says, checked_root, written
from app.scaffold.filling import filled, names_of_model
from app.scaffold.layout import ADVICE, find_ruff, laid_out
from app.scaffold.merging import merged
from app.scaffold.names import checked_name, checked_place, class_name, refused
from app.schemas.downloads import is_downloaded
from app.schemas.problems import ConfigError, shown_path
from app.schemas.registry import options
from app.tasks import import_task_configs, task_folders

_ABOUT: Final = {"model": "The networks", "module": "The modules"}
"""What a file is about that the task does not have yet."""


def new_module(word: str) -> str:
    """Add a module to a task, and say what to change in it.

    Raises:
        ConfigError: when there is no such task, its modules cannot have the name, or the module would not suit it.
        AppError: when the files cannot be changed, or what they say is wrong then; they are as before.
    """
    import_task_configs()
    task, name = checked_place(word, "module")
    taken = [option.name.removeprefix(f"{task}/") for option in options["module"].values() if option.owner == task]
    checked_name(word, name, taken)
    _require_plain_scores(task, word)
    root = checked_root()
    folder = task_folders()[task]
    names = names_of_model(task, name)
    new: dict[Path, str] = {}
    changed: dict[Path, str] = {}
    for part in ("config", "model", "module"):
        file = folder / f"{part}.py"
        addition = filled(f"new_model/{part}.py", names)
        if file.is_file():
            changed[file] = laid_out(merged(file, addition), file)
        else:
            rest = addition.partition("\n")[2]
            new[file] = laid_out(f'"""{_ABOUT[part]} of the task `{task}`."""\n{rest}', file)
    test = root / "tests" / "tasks" / task / f"test_{name}_module.py"
    if with_test := _can_be_tested(task, test):
        new[test] = _test(task, names, test)
    with written(new, changed, [folder / SCHEMA_FILE, *options_folder().glob("*.schema.json")]):
        app_says("schema", task)
        app_says("check", f"task={task}", f"module={word}")
    files = ", ".join(map(shown_path, (*changed, *new)))
    model = class_name(name)
    return "\n".join(
        [
            f"wrote {files}",
            f"It trains as it is: app task={task} module={word}",
            f"To make it your own, change {model} in model.py, {model}Config in config.py, {model}Module in module.py",
            *([] if with_test else [f"Its tests are for you to add: a ModuleContract in tests/tasks/{task}"]),
            "`make docs` lists it in the README and docs/options.md; then make test",
            *([] if find_ruff() else [ADVICE]),
        ]
    )


def _require_plain_scores(task: str, word: str) -> None:
    """The new model scores a whole sample, as `module=mlp` does: a task that cannot take this one cannot take it.

    Nothing is said of a task whose default is wrong itself; `app check` judges that.
    """
    if default_identity(task) is None:
        return
    try:
        compose([f"task={task}", "module=mlp"])
    except ConfigError as error:
        why = "a new module scores each sample as a whole, which this task's losses and metrics do not take"
        raise refused(word, f"{why}; {_example(task)}") from error


def _example(task: str) -> str:
    """What to start from instead, with the files that it stands in."""
    option = options["module"][f"{task}/default"]
    folder = shown_path(task_folders()[task])
    module, _, live = option.target.rpartition(".")
    own = f" and its {live} in {folder}/module.py" if module == f"app.tasks.{task}.module" else ""
    return f"copy its {option.schema.__name__} in {folder}/config.py{own}"


def _can_be_tested(task: str, test: Path) -> bool:
    """Whether the task's default data is there without a download, so that a test can train on it."""
    datamodule = options["datamodule"][f"{task}/default"].schema
    configs = {datamodule.__module__, options["task"][task].schema.__module__}
    return test.parent.is_dir() and not is_downloaded(datamodule) and configs == {f"app.tasks.{task}.config"}


def _test(task: str, names: dict[str, str], test: Path) -> str:
    schemas = {
        "NewTaskDataModuleConfig": options["datamodule"][f"{task}/default"].schema.__name__,
        "NewTaskTaskConfig": options["task"][task].schema.__name__,
    }
    return filled("new_model/test_module.py", {**schemas, **names}, test)
