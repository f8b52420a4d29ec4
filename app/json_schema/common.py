"""The definitions that the documents of all tasks share: of every option and field that knows of no task.

They do not change with a task, as long as it brings along no options for others, nor with an experiment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, get_args

from app.json_schema.definitions import Definitions
from app.json_schema.own_choices import OwnChoices
from app.json_schema.types import Json, of_type
from app.json_schema.writing import has_references, written
from app.schemas.annotations import field_types
from app.schemas.registry import Group, group_of, options
from app.schemas.run import RunConfig, groups_in_order
from app.schemas.schema import is_schema
from app.tasks import import_task_configs

_ABOUT: Final = "Options and fields that are the same for every task: each task's own file refers to them."


@dataclass(frozen=True, kw_only=True)
class Common:
    """The definitions by name, and the file of each."""

    definitions: Definitions
    files: Mapping[str, str]

    def documents(self) -> dict[str, str]:
        """The texts of the files, by name: one for each group that has definitions of its own, one for the rest."""
        return {file: self._document(file) for file in sorted({*self.files.values()})}

    def _document(self, file: str) -> str:
        made = self.definitions.made
        kept = [name for name in made if self.files[name] == file and not name.startswith("if-")]
        own = {name: made[name] for name in made if self.files[name] == file or not has_references(made[name])}
        return written({"description": _ABOUT}, own, self.files, kept)


def common_definitions() -> Common:
    """All of them."""
    import_task_configs()
    found = Definitions(None)
    own = OwnChoices(found)
    files: dict[str, str] = {}
    of_groups = groups_in_order()
    for group in of_groups:
        if not _knows_tasks(group.base):
            _choices(group, found, own)
            files |= {name: f"{group.name}.schema.json" for name in found.made if name not in files}
    for group in of_groups:
        if _knows_tasks(group.base):
            _fields(group, found)
    for annotation in field_types(RunConfig).values():
        for anew in (True, False):
            of_type(annotation, partial(_part, found, anew=anew))
    files |= {name: "run.schema.json" for name in found.made if name not in files}
    return Common(definitions=found, files=files)


def _choices(group: Group, found: Definitions, own: OwnChoices) -> None:
    """All that there is to say of a group whose options serve every task."""
    found.choice(group)
    if not group.several:
        own.part(group)
        return
    own.entries(group, found.choices(group))
    own.entries_anew(group, found.choices(group))


def _fields(group: Group, found: Definitions) -> None:
    """What there is for every task in a group that tasks have options of: its base's fields, and some options."""
    for anew in (True, False):
        for name, annotation in field_types(group.base).items():
            if not _knows_tasks(annotation):
                found.field(group.base, name, {}, anew=anew)
        for option in found.choices(group).values():
            if not _knows_tasks(option.schema):
                found.fields_of(option, anew=anew)


def _part(found: Definitions, cls: type, *, listed: bool, anew: bool) -> Json:
    return {} if _knows_tasks(cls) else found.part(cls, anew=anew or listed)


def _of_tasks(group: Group) -> bool:
    """Whether what may be chosen differs from task to task."""
    its_own = group.base.__module__.startswith("app.tasks.")
    return its_own or group.name == "task" or any(option.owner for option in options[group.name].values())


def _knows_tasks(annotation: Any, seen: set[type] | None = None) -> bool:
    """Whether what a field takes, or a schema, differs from task to task."""
    seen = set() if seen is None else seen
    if not is_schema(annotation):
        return any(_knows_tasks(inner, seen) for inner in get_args(annotation))
    if annotation in seen:
        return False
    seen.add(annotation)
    group = group_of(annotation)
    if group is not None and _of_tasks(group):
        return True
    if group is not None and not group.presets_only:
        return any(_knows_tasks(option.schema, seen) for option in options[group.name].values())
    return any(_knows_tasks(field, seen) for field in field_types(annotation).values())
