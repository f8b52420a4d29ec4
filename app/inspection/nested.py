"""What stands at a path of nested values, and whether setting some of them concerns it."""

from collections.abc import Iterator
from typing import Any

from app.inspection.facts import ABSENT
from app.schemas.problems import Path
from app.schemas.schema import is_schema


def value_at(value: Any, path: Path) -> Any:
    """What stands at a path in a tree, or in a schema object, `ABSENT` for nothing; list positions may be texts."""
    for part in path:
        if isinstance(value, dict):
            value = next((value[key] for key in (part, str(part)) if key in value), ABSENT)
        elif isinstance(value, list | tuple):
            value = value[int(part)] if str(part).isdecimal() and int(part) < len(value) else ABSENT
        else:
            value = getattr(value, str(part), ABSENT) if is_schema(type(value)) else ABSENT
    return value


def concerns(values: Any, path: Path) -> bool:
    """Whether setting these values sets the one at the path: it, something in it, or all that is around it."""
    for place, part in enumerate(path):
        if not isinstance(values, dict):
            return True
        if part not in values and str(part) not in values:
            return values == {} and place > 0  # an empty mapping takes away what was in it, an empty root sets nothing
        values = next(values[key] for key in (part, str(part)) if key in values)
    return True


def prefixes(path: Path) -> Iterator[Path]:
    """The paths from the root to this one, which is the last."""
    return (path[:length] for length in range(1, len(path) + 1))
