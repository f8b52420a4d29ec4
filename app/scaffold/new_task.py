"""`app new task NAME`: a folder that trains as it is, with its tests, to be changed piece by piece."""

from pathlib import Path

from app.json_schema.command import options_folder
from app.scaffold.files import SCHEMA_FILE, app_says, checked_root, written
from app.scaffold.filling import TEMPLATES, filled, names_of_task
from app.scaffold.layout import ADVICE, find_ruff
from app.scaffold.names import checked_task_name
from app.schemas.problems import shown_path


def new_task(name: str) -> str:
    """Write the task and its tests, and say what to change in them.

    Raises:
        ConfigError: when no task can have the name.
        AppError: when the files cannot be written; nothing is left of them then.
    """
    checked_task_name(name)
    root = checked_root()
    task, tests = root / "app" / "tasks" / name, root / "tests" / "tasks" / name
    with written(_files(name, task, tests), {}, [task / SCHEMA_FILE, *options_folder().glob("*.schema.json")]):
        app_says("schema", name)
        app_says("check", name)
    return "\n".join([f"wrote {shown_path(task)} and {shown_path(tests)}", *_next(name, task, tests)])


def _files(name: str, task: Path, tests: Path) -> dict[Path, str]:
    names = names_of_task(name)
    found = {tests / "__init__.py": ""}
    for template in sorted((TEMPLATES / "new_task").rglob("*.*")):
        relative = template.relative_to(TEMPLATES / "new_task")
        file = (tests if template.name.startswith("test_") else task) / relative
        if template.suffix == ".py":
            found[file] = filled(f"new_task/{relative}", names, file)
        elif template.suffix == ".yaml":
            # In a folder of the name they are an experiment's, and would be checked as what they are not yet.
            found[task / "experiments" / template.name] = filled(f"new_task/{relative}", names)
    return found


def _next(name: str, task: Path, tests: Path) -> list[str]:
    here = shown_path(task)
    steps = {
        f"{here}/datamodule.py": "read your data in `_read`, and say in `setup` what is the test split",
        f"{here}/config.py": "the shape of an input, the classes, the metrics; any text as test_fingerprint:",
        "": "the first test run names the one it found",
        f"{here}/model.py": "your network; config.py has its hyperparameters, module.py makes it",
        shown_path(tests): "what holds for every task is tested already; add what is your own",
    }
    width = max(map(len, steps))
    return [
        f"It trains as it is, on flowers that scikit-learn carries: app task={name}",
        "To make it your own:",
        *(f"  {place:{width}}  {step}" for place, step in steps.items()),
        "`make docs` lists it in the README and docs/options.md; then make test",
        *([] if find_ruff() else [ADVICE]),
    ]
