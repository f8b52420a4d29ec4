"""An experiment as the Python that it stands for, from its values as they are written: what is wrong stays wrong.

Every value has a line of its own, so that what a type checker says of a line is about one value of the YAML. Only what
an experiment and its bases set is written, and what its options need. What cannot be said in Python, an option that
does not exist or an interpolation of nothing, is left to the gate: it is of type `Any` here. So is a secret.
"""

import dataclasses
import keyword
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, get_origin

from app.compose import compose_tree
from app.composing.experiments import Experiment, merge
from app.inspection.python_code import imports, literal
from app.schemas.annotations import alternatives, element_type, field_types, is_secret
from app.schemas.presets import with_presets
from app.schemas.problems import FileSource, Path
from app.schemas.registry import group_of, option_at, options
from app.schemas.resolution import resolve
from app.schemas.run import RunConfig
from app.schemas.schema import MISSING, is_schema, required_fields
from app.tasks import import_task_configs

_UNKNOWN: Final = "unknown"
_HEAD: Final = f"from typing import Any\n\n{{imports}}\n\n{_UNKNOWN}: Any\n"


class Argument(NamedTuple):
    """A field, as an argument of a schema's class."""

    name: str
    """As the YAML has it."""

    source: str


@dataclass(frozen=True)
class Line:
    """What a line of the rendered Python is about."""

    path: Path
    source: str
    """`file:line:column` of the value, or else of what it stands in, or of something in it."""

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    """The fields that are set of the schema made in this line, those included that it does not have."""


@dataclass(frozen=True)
class WrittenPython:
    """A module's text, and what each of its lines is about; lines count from 1."""

    text: str
    lines: Mapping[int, Line]


def written_python(experiments: Sequence[Experiment]) -> WrittenPython | None:
    """The Python for an experiment with its bases, as `with_bases` gives them; None when its options make no config."""
    import_task_configs()
    tree = compose_tree([], [dataclasses.replace(experiment, values={}) for experiment in experiments], None, [])
    if tree is None:
        return None
    for experiment in experiments:
        merge(experiment.values, tree)
    places = {path: place for experiment in experiments for path, place in experiment.places.items()}
    writer = _Writer(places, otherwise=FileSource(experiments[-1].shown, 1, 1))
    writer.value("config = ", resolve(with_presets(tree, RunConfig))[0], RunConfig, (), "")
    head = _HEAD.format(imports=imports(writer.names)).splitlines()
    lines = {len(head) + number: line for number, line in enumerate(writer.about, start=1)}
    return WrittenPython("\n".join([*head, *writer.lines]) + "\n", lines)


class _Writer:
    def __init__(self, places: Mapping[Path, str], otherwise: str) -> None:
        self.lines: list[str] = []
        self.about: list[Line] = []
        self.names: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
        self._places = places
        self._inside = {path[:length]: place for path, place in places.items() for length in range(len(path) + 1)}
        self._otherwise = otherwise
        self._classes: dict[str, type] = {}

    def value(self, prefix: str, value: object, annotation: Any, path: Path, end: str) -> None:
        """Write a value of a field of this type, or of one that it should be."""
        if is_secret(annotation):
            self._line(f"{prefix}{_stand_in(value)}{end}", path)
        elif isinstance(value, dict):
            base = next((member for member in alternatives(annotation) if is_schema(member)), None)
            cls = None if base is None else _class_of(value, base)
            if cls is None and base is not None and "id" in value:
                self._line(f"{prefix}{_UNKNOWN}{end}", path)
            elif cls is None:
                self._mapping(prefix, value, annotation, path, end)
            else:
                reserved = {"_target_"} if cls is base or "_target_" in value else {"id"}
                fields = {str(key): item for key, item in value.items() if key not in reserved}
                self._schema(prefix, fields, cls, path, end)
        elif isinstance(value, list):
            self._line(f"{prefix}(", path)
            for place, item in enumerate(value):
                self.value("", item, element_type(annotation, place), (*path, place), ",")
            self._line(f"){end}", path)
        else:
            self._line(f"{prefix}{literal(value) or _UNKNOWN}{end}", path)

    def _schema(self, prefix: str, fields: Mapping[str, object], cls: type, path: Path, end: str) -> None:
        types = field_types(cls)
        needed = required_fields(cls)
        written = {
            key: item
            for key, item in fields.items()
            if item != MISSING and (key in needed or (*path, key) in self._inside)
        }
        arguments = {_argument(key): Argument(key, self._source((*path, key))) for key in written}
        self._line(f"{prefix}{self._name(cls)}(", path, arguments)
        for key, item in written.items():
            # Of a field that is not there the name alone is wrong, and what nobody wrote is not to be judged.
            if key in types and (*path, key) in self._inside:
                self.value(f"{key}=", item, types[key], (*path, key), ",")
            else:
                self._line(f"{_argument(key)}={_UNKNOWN},", (*path, key))
        self._line(f"){end}", path)

    def _mapping(self, prefix: str, value: dict[Any, object], annotation: Any, path: Path, end: str) -> None:
        self._line(f"{prefix}{{", path)
        inner = next((member for member in alternatives(annotation) if get_origin(member) is dict), None)
        for key, item in value.items():
            self.value(f"{literal(key)}: ", item, element_type(inner, key), (*path, key), ",")
        self._line(f"}}{end}", path)

    def _line(self, text: str, path: Path, arguments: Mapping[str, Argument] | None = None) -> None:
        self.lines.append(text)
        self.about.append(Line(path, self._source(path), arguments or {}))

    def _source(self, path: Path) -> str:
        around = (path[:length] for length in range(len(path), 0, -1))
        nearest = next((self._places[each] for each in around if each in self._places), None)
        return nearest or self._inside.get(path, self._otherwise)

    def _name(self, cls: type) -> str:
        """What the class is called in this module: its own name, unless another class has that too."""
        name, count = cls.__name__, 1
        while self._classes.setdefault(name, cls) is not cls:
            count += 1
            name = f"{cls.__name__}{count}"
        self.names[cls.__module__].add((cls.__name__, name))
        return name


def _class_of(value: dict[Any, object], base: type) -> type | None:
    """The schema that a mapping is for, where one like `base` is expected; None when it does not say."""
    group = group_of(base)
    if group is None or group.presets_only:
        return base
    if (option := option_at(value.get("_target_"))) is not None:
        return option.schema
    name = value.get("id")
    if not isinstance(name, str):
        return None
    # An option of another group is what a type checker can tell from one of this group.
    found = options[group.name].get(name) or next((each[name] for each in options.values() if name in each), None)
    return None if found is None else found.schema


def _argument(name: str) -> str:
    """The name of a field as that of an argument; one that Python does not take is no field of any schema."""
    return name if name.isidentifier() and not keyword.iskeyword(name) else re.sub(r"\W", "_", f"_{name}_")


def _stand_in(secret: object) -> str:
    """What is of the same type as a secret, which must not be written."""
    if secret is None:
        return "None"
    stand_ins = {dict: "{}", list: "()", int: "0", float: "0.0", bool: "False"}
    return stand_ins.get(type(secret), _UNKNOWN)
