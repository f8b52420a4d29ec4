"""What the experiments of a task bring along for those that build on them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.composing.experiments import experiment_names, merge, read_experiment, with_bases
from app.schemas.problems import Path
from app.schemas.registry import Group


@dataclass(kw_only=True)
class Base:
    """An experiment, with all that it builds on itself."""

    name: str
    """As it stands in `defaults`."""

    choices: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def ids(self, group: Group) -> dict[str | None, str | None]:
        """The options that it chooses by `id` at the place of a group, by the entry's name; None without one.

        An option is None when it cannot be told: something around the place is chosen by `id` or interpolated.
        """
        found: dict[str | None, str | None] = dict(_ids(self.values, group.path))
        if not group.several or None in found:
            return found
        entries: Any = self.values
        for part in group.path:
            entries = entries.get(part, {}) if isinstance(entries, dict) else {}
        named = entries.items() if isinstance(entries, dict) else ()
        return {name: option for name, entry in named for _, option in _ids({"": entry}, ("",))}


def _ids(values: Any, path: Path) -> Iterator[tuple[None, str | None]]:
    for place in range(len(path) + 1):
        if isinstance(values, str):
            yield None, None
        if not isinstance(values, dict):
            return
        if isinstance(name := values.get("id"), str):
            yield None, name if place == len(path) and "${" not in name else None
            return
        if place < len(path):
            values = values.get(path[place])


def bases_of(task: str) -> list[Base]:
    """What each experiment of a task is as a base, in alphabetical order; what is wrong in one, the gate says."""
    found: list[Base] = []
    for name in experiment_names():
        owner, _, leaf = name.partition("/")
        if owner == task:
            base = Base(name=leaf)
            for part in with_bases(read_experiment(name))[0]:
                base.choices |= part.choices
                merge(part.values, base.values)
            found.append(base)
    return found
