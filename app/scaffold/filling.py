"""Templates with their placeholders replaced: what stands in `templates`, for a task or a model of some name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from app.scaffold.layout import laid_out
from app.scaffold.names import class_name

TEMPLATES: Final = Path(__file__).with_name("templates")


def names_of_task(task: str) -> dict[str, str]:
    """What stands for the placeholders of a task, in the order in which they are replaced."""
    return {
        "app.scaffold.templates.new_task": f"app.tasks.{task}",
        "new_task": task,
        "NewTask": class_name(task),
    }


def names_of_model(task: str, model: str) -> dict[str, str]:
    """What stands for the placeholders of a model, those of its task included."""
    return {
        "app.scaffold.templates.new_model": f"app.tasks.{task}",
        "new_model": model,
        "NewModel": class_name(model),
        **names_of_task(task),
    }


def filled(template: str, names: Mapping[str, str], file: Path | None = None) -> str:
    """A template with its placeholders replaced; as Python for `file`, laid out as that has to be."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    for placeholder, name in names.items():
        text = text.replace(placeholder, name)
    return text if file is None else laid_out(text, file)
