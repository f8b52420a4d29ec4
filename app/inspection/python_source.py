"""A config as the typed Python it stands for: `config = RunConfig(task=DigitsTaskConfig(), …)`.

Only what differs from the schemas' defaults is written, presets of options among it. Executed, the text gives a config
equal to the one it was made from. Nothing here imports torch.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import SecretStr

from app.inspection.python_code import Entry, Expression, imports, laid_out, literal, quoted
from app.schemas.presets import with_presets
from app.schemas.problems import Path
from app.schemas.run import RunConfig
from app.schemas.schema import MADE_FROM_OTHERS, default_of, frozen, is_schema

_LONGEST_COMMENT: Final = 60
_FROM_ENVIRONMENT: Final = re.compile(r"\$\{oc\.env:\s*(\w+)\s*\}")


def python_source(config: RunConfig, tree: Mapping[str, Any] | None = None) -> str:
    """A module's text that defines `config`.

    Args:
        config: What to write.
        tree: What it was composed from, as `Composed.tree`: interpolations stand in comments beside what they gave.

    Secrets are never written: the text reads them from the environment, from the variable that the config reads them
    from, or else one named after option and field, such as `WANDB_API_KEY`.
    """
    writer = _Writer()
    raw = None if tree is None else with_presets(dict(tree), RunConfig)
    value = writer.expression(config, (), raw)
    code = laid_out("config = ", value)
    # What was looked at in vain, to compare a value with its default, needs no import.
    used = set(re.findall(r"\w+", code))
    names: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for cls, name in writer.names.items():
        if name in used:
            names["pydantic" if cls is SecretStr else cls.__module__].add((cls.__name__, name))
    sections = ["import os"] if "os.environ[" in code else []
    if "pydantic" in names:
        sections.append(imports({"pydantic": names.pop("pydantic")}))
    return "\n\n".join([*sections, imports(names), code]) + "\n"


class _Writer:
    def __init__(self) -> None:
        self.names: dict[type, str] = {}
        """The classes that were met, by the names that they have in the text."""

    def expression(self, value: object, path: Path, raw: Any = None) -> Expression:
        """The value at a path; `raw` is what it was composed from."""
        if (text := literal(value)) is not None:
            return Expression(text)
        if isinstance(value, SecretStr):
            return Expression(f"{self._name(SecretStr)}(os.environ[{quoted(_variable(path, raw))}])")
        if isinstance(value, dict):
            entries = [
                self._entry(f"{literal(key)}: ", item, (*path, key), _inside(raw, key)) for key, item in value.items()
            ]
            return Expression("{", entries, "}")
        if isinstance(value, tuple):
            entries = [self._entry("", item, (*path, place), _inside(raw, place)) for place, item in enumerate(value)]
            return Expression("(", entries, ")")
        assert is_schema(type(value)), f"{type(value).__name__} is no type that a schema's field has"
        return Expression(f"{self._name(type(value))}(", self._arguments(value, path, raw), ")")

    def _arguments(self, config: object, path: Path, raw: Any) -> list[Entry]:
        """The fields that are not as they start."""
        entries: list[Entry] = []
        before: dict[str, object] = {}
        for field in dataclasses.fields(cast(Any, config)):
            value = getattr(config, field.name)
            entry = self._entry(f"{field.name}=", value, (*path, field.name), _inside(raw, field.name))
            default = default_of(field)
            if default is MADE_FROM_OTHERS:
                default = cast(Any, field.default_factory)(dict(before))
            # As text, true and 1 and 1.0 are three things.
            if default is dataclasses.MISSING or self.expression(frozen(default), ()).flat() != entry.value.flat():
                entries.append(entry)
            before[field.name] = value
        return entries

    def _entry(self, prefix: str, value: object, path: Path, raw: Any) -> Entry:
        written = self.expression(value, path, raw)
        interpolated = isinstance(raw, str) and "${" in raw and raw.isprintable() and not isinstance(value, SecretStr)
        shown = interpolated and not written.entries and len(raw) <= _LONGEST_COMMENT
        return Entry(prefix, written, raw if shown else "")

    def _name(self, cls: type) -> str:
        """The name of a class in the text: its own, or one with a number where two classes share it."""
        if cls not in self.names:
            taken = set(self.names.values())
            name, count = cls.__name__, 1
            while name in taken:
                count += 1
                name = f"{cls.__name__}{count}"
            self.names[cls] = name
        return self.names[cls]


def _inside(raw: Any, part: str | int) -> Any:
    if isinstance(raw, dict):
        return raw.get(part)
    return raw[part] if isinstance(raw, list) and isinstance(part, int) and part < len(raw) else None


def _variable(path: Path, raw: Any) -> str:
    """The environment's variable that holds a secret."""
    named = _FROM_ENVIRONMENT.fullmatch(raw) if isinstance(raw, str) else None
    return named[1] if named else re.sub(r"\W", "_", "_".join(map(str, path[-2:]))).upper()
