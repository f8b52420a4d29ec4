"""`app new module TASK/NAME`: a model, its schema and its module, added to the files of a task."""

from pathlib import Path
from typing import Final

from app.json_schema.command import options_folder
from app.scaffold.files import SCHEMA_FILE, app_says, checked_root, written
from app.scaffold.filling import filled, names_of_model
from app.scaffold.layout import ADVICE, find_ruff, laid_out
from app.scaffold.merging import merged
from app.scaffold.names import checked_name, checked_place, class_name
from app.schemas.downloads import is_downloaded
from app.schemas.problems import shown_path
from app.schemas.registry import options
from app.tasks import import_task_configs, task_folders

_ABOUT: Final = {"model": "The networks", "module": "The modules"}
"""What a file is about that the task does not have yet."""


def new_module(word: str) -> str:
    """Add a module to a task, and say what to change in it.

    Raises:
        ConfigError: when there is no such task, or its modules cannot have the name.
        AppError: when the files cannot be changed, or the module does not suit the task; they are as before then.
    """
    import_task_configs()
    task, name = checked_place(word, "module")
    taken = [option.name.removeprefix(f"{task}/") for option in options["module"].values() if option.owner == task]
    checked_name(word, name, taken, python=True)
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
