"""One step towards a value of a config: what took effect, where that is written, and what held after it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from app.composing.experiments import Experiment
from app.composing.overrides import Override
from app.schemas.problems import Path, shown_path

Kind = Literal["choice", "default", "preset", "stored", "experiment", "override", "filled"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """One step towards a value."""

    kind: Kind
    value: object
    """What held after it, as it was written: interpolations unresolved. For a choice the words that make it."""

    by: str
    """What took effect, in words: `default of SGDSpec`."""

    place: str
    """Where that is written: `file:line:column`, or the override as it was typed."""


@dataclass(frozen=True)
class Step:
    """An experiment or an override that sets values."""

    values: Mapping[str, Any]
    """What it sets, nested from the root of the config."""

    tree: Mapping[str, Any]
    """The config's tree after it."""

    source: Experiment | Override

    def origin(self, value: object, path: Path, *, kind: Kind | None = None) -> Origin:
        """The step as what set `value` at or around a path."""
        if isinstance(self.source, Override):
            return Origin(kind=kind or "override", value=value, by="override", place=self.source.typed)
        texts = {tuple(map(str, at)): place for at, place in self.source.places.items()}
        around = (tuple(map(str, path[:length])) for length in range(len(path), 0, -1))
        place = next((texts[at] for at in around if at in texts), shown_path(self.source.file))
        return Origin(kind=kind or "experiment", value=value, by=f"experiment {self.source.name}", place=place)
