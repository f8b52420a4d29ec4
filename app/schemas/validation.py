"""The gate: a composed tree, a stored config or a schema object becomes a checked one, or every problem is reported.

`check` is the only way from values that somebody wrote to a config that a builder may use. It creates schema objects
of this project and nothing else.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar, cast, get_args, get_origin

from app.schemas.annotations import alternatives, element_type, field_types, nesting_fields
from app.schemas.codes import Code
from app.schemas.expectations import expected
from app.schemas.faults import Fault
from app.schemas.presets import with_presets
from app.schemas.problems import ConfigError, Path, Problem, did_you_mean, dotted, show
from app.schemas.registry import Group, choices_around, group_at, group_of, leaf_fields, option_at, options
from app.schemas.resolution import UNRESOLVED, resolve
from app.schemas.schema import MISSING, fill, import_path, is_schema, schemas

T = TypeVar("T")

RESERVED: Final = frozenset({"_target_", "_partial_", "_args_", "_recursive_", "_convert_"})
"""Keys with which Hydra would call things. Only the registry sets `_target_`; users choose options."""

NAME: Final = "[A-Za-z][A-Za-z0-9_]*"
"""What an entry of a group of several may be called, as a pattern."""

_MOST_OPTIONS: Final = 4
"""Options that are listed as having a field."""

_BAD: Final = object()


class Sources:
    """Where the values of a config were set, in the order in which they took effect."""

    def __init__(self, assignments: Iterable[tuple[Path, str]] = ()) -> None:
        self._exact: dict[tuple[str, ...], tuple[int, str]] = {}
        self._inside: dict[tuple[str, ...], tuple[int, str]] = {}
        for place, (set_at, source) in enumerate(assignments):
            path = _typed(set_at)
            self._exact[path] = (place, source)
            self._inside.update({path[:length]: (place, source) for length in range(len(path))})

    def start_from(self, source: str) -> None:
        """Say what set whatever nothing else sets."""
        self._exact.setdefault((), (-1, source))

    def of(self, path: Path) -> str | None:
        """What last set the value at `path`: it, something around it, or else something inside it."""
        asked = _typed(path)
        prefixes = (asked[:length] for length in range(len(asked) + 1))
        around = [self._exact[prefix] for prefix in prefixes if prefix in self._exact]
        _, source = max(around) if around else self._inside.get(asked, (0, None))
        return source


def check(config: object, schema: type[T], sources: Sources | None = None) -> T:
    """Check a whole config, whatever it comes as: a composed DictConfig, plain containers, or a `schema` object.

    Returns:
        A `schema` object that holds what was written, nothing coerced.

    Raises:
        ConfigError: with every problem found.
    """
    found, problems = inspect(config, schema, sources)
    if problems or found is None:
        raise ConfigError(problems)
    return found


def inspect(
    config: object,
    schema: type[T],
    sources: Sources | None = None,
    *,
    interpolated: bool = False,
    refused: Collection[Path] = (),
) -> tuple[T | None, list[Problem]]:
    """The config, as far as it can be made, and all that is wrong: `check` for who has other problems to add.

    `interpolated` says that texts in a tree of plain containers may interpolate, as they may in a DictConfig. What
    stands at a `refused` path is known to be wrong: nothing is said of it, nor judged by it.
    """
    reader = _Reader(refused)
    if not isinstance(config, dict) and not is_schema(type(config)):
        from omegaconf import DictConfig, OmegaConf  # slow to import, which whoever has a DictConfig has done

        if isinstance(config, DictConfig):
            config, interpolated = OmegaConf.to_container(config, resolve=False), True
    if interpolated:
        config, unresolved = resolve(cast(dict[str, Any], with_presets(config, schema)))
        reader.faults.extend(fault for fault in unresolved if not any(_below(fault.path, path) for path in refused))
    found = reader.read_part(config, schema, ())
    origin = sources or Sources()
    return (None if found is _BAD else cast(T, found)), problems_of(reader.faults, origin)


def problems_of(faults: Iterable[Fault], sources: Sources) -> list[Problem]:
    """What was found wrong, each thing once and with where it was set."""
    problems = (
        Problem(path=dotted(fault.path), message=fault.message, source=_source(fault, sources), code=fault.code)
        for fault in faults
    )
    return list(dict.fromkeys(problems))


def from_plain(plain: Mapping[str, Any]) -> Any:
    """The schema object that `to_plain` wrote: `_target_` names its schema.

    Raises:
        ConfigError: when the mapping names no schema of this project, or does not pass the gate.
    """
    cls = schemas.get(str(plain.get("_target_")))
    if cls is None:
        raise ConfigError(
            [
                Problem(
                    path="_target_", message=f"expected a schema of this project, found {show(plain.get('_target_'))}"
                )
            ]
        )
    return check(plain, cls)


def _source(fault: Fault, sources: Sources) -> str | None:
    candidates = [fault.path, *(fault.path[: len(fault.path) - fault.depth] + read for read in fault.reads)]
    return next((source for path in candidates if path and (source := sources.of(path)) is not None), None)


class _Reader:
    """Reads a tree by the types of the schemas, noting every fault with its path from the root."""

    def __init__(self, refused: Collection[Path] = ()) -> None:
        self.faults: list[Fault] = []
        self.refused = refused

    def read_part(self, value: object, cls: type, path: Path) -> object:
        """Read a schema object of class `cls`, or of an option when `cls` is a group's base."""
        if is_schema(type(value)):
            value = {"_target_": import_path(type(value)), **leaf_fields(value)}
        if not isinstance(value, dict):
            return self._fault(path, f"expected {_part(cls)}, found {show(value)}")
        leaf = self._schema_of(value, cls, path)
        if leaf is None:
            return _BAD
        values: dict[str, object] = {}
        bad: list[Path] = []
        types, nesting = field_types(leaf), nesting_fields(leaf)
        for key, item in value.items():
            if key == "_target_" or (key == "id" and "_target_" not in value and _chosen_by_id(cls)):
                continue
            if not isinstance(key, str):
                self._fault(
                    (*path, str(key)),
                    f"{leaf.__name__} has no such field: its fields are texts, not {show(key)}",
                    Code.UNKNOWN_FIELD,
                )
                continue
            read = item
            if key in types:
                read_by_type = self.read if key in nesting else self.read_single
                read = read_by_type(item, types[key], (*path, key))
            if read is _BAD:
                bad.append((key,))
            else:
                values[key] = read
        wrong = [*(fault.path for fault in self.faults), *self.refused]
        known = [*bad, *(each[len(path) :] for each in wrong if _below(each, path))]
        instance: Any = object.__new__(leaf)
        faults, usable = fill(instance, values, known)
        for fault in faults:
            self.faults.append(_with_choices(fault._replace(path=path + fault.path, depth=len(fault.path))))
        return instance if usable else _BAD

    def read(self, value: object, annotation: Any, path: Path) -> object:
        """Read a field: parts become schema objects, lists tuples."""
        if self.read_single(value, annotation, path) is _BAD:
            return _BAD
        for member in alternatives(annotation):
            if is_schema(member) and value is not None:
                return self.read_part(value, member, path)
            if get_origin(member) is tuple and isinstance(value, list | tuple):
                items = [
                    self.read(item, element_type(member, place), (*path, place)) for place, item in enumerate(value)
                ]
                return _BAD if any(item is _BAD for item in items) else tuple(items)
            if get_origin(member) is dict and isinstance(value, dict):
                return self._read_mapping(value, member, path)
        return value

    def read_single(self, value: object, annotation: Any, path: Path) -> object:
        """Read a field that holds nothing to go into; its value waits for its schema's verdict."""
        if value is UNRESOLVED or path in self.refused:
            return _BAD
        if isinstance(value, str):
            if value == MISSING:
                return self._fault(path, f"needs a value: {expected(annotation)}", Code.MISSING)
            if not _is_text(value):
                return self._fault(path, "contains characters that no text has")
        return value

    def _read_mapping(self, value: dict[Any, object], annotation: Any, path: Path) -> object:
        read: dict[object, object] = {}
        key_type, item_type = get_args(annotation)
        group = group_of(item_type)
        chosen = [str(key) for key, item in value.items() if isinstance(item, dict) and "_target_" in item]
        for key, item in value.items():
            if type(key) is not key_type or (isinstance(key, str) and not _is_text(key)):
                return self._fault(path, f"expected {expected(key_type)} as each key, found {show(key)}")
            if group and group.several and (message := _not_chosen(group, key, item, chosen, path)):
                read[key] = self._fault((*path, key), message, Code.UNKNOWN_OPTION)
                continue
            read[key] = self.read(item, element_type(annotation, key), (*path, key))
        return _BAD if any(item is _BAD for item in read.values()) else read

    def _schema_of(self, value: dict[Any, object], cls: type, path: Path) -> type | None:
        group = group_of(cls)
        target = value.get("_target_")
        if group is None or group.presets_only:
            if target in (None, import_path(cls)):
                return cls
            self._fault(path, f"expected {_part(cls)}, found {_name(target)}")
            return None
        if target is not None:
            option = option_at(target)
            if option is None or not issubclass(option.schema, cls):
                self._fault(path, f"expected {_part(cls)}, found {_name(target)}")
                return None
            return option.schema
        if not path or isinstance(path[-1], int) or "id" in value:
            return self._schema_by_id(value, group, path)
        fields = [key for key in value if isinstance(key, str)]
        fitting = [
            name for name, option in options[group.name].items() if {*fields} <= field_types(option.schema).keys()
        ]
        which = f"; with {' and '.join(fields)} there is {', '.join(fitting)}" if fitting and fields else ""
        message = f"no option is chosen, as by {group.name}=<option>{which or f'; {_choices(group)}'}"
        self._fault(path, message, Code.UNKNOWN_OPTION)
        return None

    def _schema_by_id(self, value: dict[Any, object], group: Group, path: Path) -> type | None:
        name = value.get("id")
        found = options[group.name].get(name) if isinstance(name, str) else None
        if found is None:
            wrong = "needs an id" if "id" not in value else f"no {group.name} {show(name)}"
            spelling = did_you_mean(name, options[group.name]) if isinstance(name, str) else ""
            self._fault((*path, "id"), f"{wrong}{spelling or f'; {_choices(group)}'}", Code.UNKNOWN_OPTION)
            return None
        return found.schema

    def _fault(self, path: Path, message: str, code: Code = Code.WRONG_VALUE) -> object:
        self.faults.append(Fault(path, message, code=code))
        return _BAD


def _with_choices(fault: Fault) -> Fault:
    """For a field that a choice was mounted at, or would be, or that other options have: what to choose with it."""
    if fault.code is not Code.UNKNOWN_FIELD:
        return fault
    found = fault.message.partition(";")[0]
    if (group := group_at(fault.path)) and (around := choices_around(group)):
        return fault._replace(message=f"{found}; {group.name}=<option> goes with {' or '.join(around)}")
    if having := _options_with(fault.path):
        return fault._replace(message=f"{found}; {having}")
    return fault


def _options_with(path: Path) -> str | None:
    """The other options of a part that have the field at `path`, in words; those for every task alone."""
    group = group_at(path[:-1])
    if group is None or group.several or group.presets_only:
        return None
    every = [option for option in options[group.name].values() if option.owner is None]
    names = [option.name for option in every if path[-1] in field_types(option.schema)]
    if not names:
        return None
    shown = names[:_MOST_OPTIONS] + (["others"] if len(names) > _MOST_OPTIONS else [])
    listed = " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
    return f"{group.name}={listed} {'have' if len(shown) > 1 else 'has'} it"


def _chosen_by_id(cls: type) -> bool:
    group = group_of(cls)
    return group is not None and not group.presets_only


def _part(cls: type) -> str:
    group = group_of(cls)
    return f"an option of {group.name}" if group and not group.presets_only else f"a mapping ({cls.__name__})"


def _not_chosen(group: Group, name: str, item: object, chosen: list[str], path: Path) -> str | None:
    """What is wrong with an entry of a group of several, as far as its name and kind tell."""
    if is_schema(type(item)) or name in chosen:
        return None
    if isinstance(item, dict) and "id" in item:
        return None if re.fullmatch(NAME, name) else f"expected a name of letters, digits and _, found {show(name)}"
    if path != group.path:  # choices of the group are mounted elsewhere
        option = name if name in options[group.name] else "<option>"
        return f"needs to say what it is: {{id: {option}}}; {_choices(group)}"
    if name not in options[group.name]:
        meant = did_you_mean(name, options[group.name])
        own = "; a name of your own needs an id: {id: <option>}" if not meant else ""
        return f"no option '{name}'{f'{meant} ' if meant else '; '}{_choices(group)}{own}"
    if isinstance(item, dict):
        return f"is not chosen; to choose it: {group.name}=[{','.join([*chosen, name])}]"
    return f"expected a mapping of its fields, found {show(item)}; {group.name}=[…] says what is chosen"


def _choices(group: Group) -> str:
    return f"options: {', '.join(options[group.name])}"


def _name(target: object) -> str:
    return str(target).rpartition(".")[2]


def _typed(path: Path) -> tuple[str, ...]:
    """A path as overrides spell it, in which list positions are texts: `betas.1`."""
    return tuple(map(str, path))


def _below(path: Path, prefix: Path) -> bool:
    return path[: len(prefix)] == prefix


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
