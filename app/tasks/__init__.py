"""Who is trained on what: one folder for each task.

A folder with a `config.py` is a task; nothing else has to know of it. Importing this imports no torch.
"""

from functools import cache
from importlib import import_module
from pathlib import Path


@cache
def task_folders() -> dict[str, Path]:
    """The folder of every task by its name, in alphabetical order."""
    here = Path(__file__).parent
    return {config.parent.name: config.parent for config in sorted(here.glob("*/config.py"))}


@cache
def import_task_configs() -> None:
    """Import every task's `config.py`, which registers its options, and the modules that serve every task."""
    import_module("app.schemas.modules")
    for name in task_folders():
        import_module(f"{__name__}.{name}.config")
