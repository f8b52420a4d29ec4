"""`app new experiment TASK/NAME [overrides]`: a file that composes to what the overrides do."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import yaml

from app.checks.experiment_rules import Identity, default_identity, identity
from app.checks.lint import Subject, lint
from app.compose import Composed, compose, taken_away
from app.composing.experiments import experiment_names, merge, read_experiment
from app.composing.overrides import Override, read_overrides
from app.json_schema.command import HEADER, options_folder
from app.json_schema.command import answer as write_schemas
from app.scaffold.files import SCHEMA_FILE, checked_root, written
from app.scaffold.names import checked_name, checked_place
from app.schemas.codes import Code
from app.schemas.plain import secrets_of
from app.schemas.problems import ConfigError, Problem, shown_path
from app.tasks import import_task_configs, task_folders

_START: Final = f"# @package _global_\n{HEADER}\n"
_WIDTH: Final = 100
_SKELETON: Final = """\
# … (options are chosen in defaults, values are set below it)
#
# defaults:
#   - override /optimizer_spec: sgd
#   - override /scheduler_spec: cosine_annealing
#
# optimizer_spec:
#   lr: 0.05
trainer:
  max_epochs: {epochs}
"""


def new_experiment(word: str, overrides: Sequence[str]) -> str:
    """Write the experiment, and say how it is run, and what `app check` has to say of it.

    Raises:
        ConfigError: when the overrides make no right config, one that is there already, or one that no experiment can
            hold.
        AppError: when the file cannot be written; nothing is left of it then.
    """
    import_task_configs()
    task, name = checked_place(word, "experiment")
    others = [other for other in experiment_names() if other.startswith(f"{task}/")]
    checked_name(word, name, [other.partition("/")[2] for other in others])
    checked_root()
    file = task_folders()[task] / "experiments" / f"{name}.yaml"
    known = _known(task, others)
    # What is wrong with the overrides is said of them as they were typed, before there is a file.
    wanted = compose([f"task={task}", *overrides]) if overrides else _unlike(task, known)
    text = _text(task, overrides, wanted) if overrides else _skeleton(wanted)
    if (same := known.get(identity(wanted))) is not None:
        raise _refused(
            f"gives the same config as {same}; expected overrides that change it", " ".join([word, *overrides])
        )
    with written({file: text}, {}, [task_folders()[task] / SCHEMA_FILE, *options_folder().glob("*.schema.json")]):
        if compose([], word).config != wanted.config:
            raise _refused("these overrides do in order what no experiment does; write it by hand", " ".join(overrides))
        report = lint([Subject(experiment=read_experiment(one)) for one in (*others, word)])
        write_schemas([task])
    lines = [f"wrote {shown_path(file)}; its third line is for what it shows", f"Run it: app experiment={word}"]
    lines += [str(each) for each in report.found if each.file == shown_path(file)]
    return "\n".join(lines)


def _text(task: str, overrides: Sequence[str], wanted: Composed) -> str:
    """The file that stands for overrides."""
    read, _ = read_overrides(overrides)
    if problems := [problem for override in read for problem in _unfit(override, task, wanted)]:
        raise ConfigError(problems)
    bases: list[str] = []
    choices: dict[str, object] = {}
    values: dict[str, Any] = {}
    for place, override in enumerate(read):
        if override.kind == "experiment" and override.value:
            bases.append(override.value.partition("/")[2])
        elif override.kind == "choice" and override.key != "task":
            choices[override.key] = override.value
        elif override.kind == "value" and not taken_away(override.path, read[place:]):
            nested: Any = override.value
            for part in reversed(override.path):
                nested = {part: nested}
            merge(nested, values)
    defaults = [*(f"{base}\n" for base in bases), *(_yaml({f"override /{key}": choices[key]}) for key in choices)]
    sections = [_yaml({part: value}) for part, value in values.items()]
    if defaults:
        sections.insert(0, "".join(["defaults:\n", *(f"  - {entry}" for entry in defaults)]))
    body = "\n".join(sections)
    return f"{_START}# …\n{body}"


def _unfit(override: Override, task: str, wanted: Composed) -> list[Problem]:
    """What no experiment can hold, although it is right on the command line."""
    message = None
    if override.kind == "hydra":
        message = "is for the command line alone; an experiment holds nothing of Hydra"
    elif override.kind == "experiment" and override.value and override.value.partition("/")[0] != task:
        message = f"is of another task; an experiment of {task} builds on one of {task}"
    elif override.key == "task" and override.value != task:
        message = f"is another task than the experiment's, {task}"
    elif override.kind == "value" and "${" not in override.text:
        if any(path[: len(override.path)] == override.path for path in secrets_of(wanted.config)):
            message = "is a secret, which belongs in no file: ${oc.env:NAME} reads it from the environment"
        elif any(isinstance(_at(wanted.tree, override.path[:end]), list) for end in range(1, len(override.path))):
            message = "sets a position of a list; in an experiment the list is written whole"
    if message is None:
        return []
    return [Problem(path=override.key, message=message, source=override.typed, code=Code.OVERRIDE)]


def _refused(message: str, source: str) -> ConfigError:
    return ConfigError([Problem(path="", message=message, source=source or None, code=Code.OVERRIDE)])


def _at(tree: Mapping[str, Any], path: Sequence[object]) -> object:
    node: Any = tree
    for part in path:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _known(task: str, others: Sequence[str]) -> dict[Identity, str]:
    """The configs that need no further experiment, each with what gives it: a task's default, and its experiments."""
    known = {identity(found): f"experiment={other}" for other in others if (found := _composed(other)) is not None}
    default = default_identity(task)
    return known if default is None else {**known, default: f"task={task}"}


def _unlike(task: str, known: Collection[Identity]) -> Composed:
    """A config of a task that is like none of the known ones: it trains for another number of epochs."""
    epochs = compose([f"task={task}"]).config.trainer.max_epochs
    while True:
        epochs += 10
        composed = compose([f"task={task}", f"trainer.max_epochs={epochs}"])
        if identity(composed) not in known:
            return composed


def _skeleton(wanted: Composed) -> str:
    return f"{_START}{_SKELETON.format(epochs=wanted.config.trainer.max_epochs)}"


def _composed(experiment: str) -> Composed | None:
    """What an experiment composes to; None for one that is wrong."""
    try:
        return compose([], experiment)
    except ConfigError:
        return None


class _Dumper(yaml.SafeDumper):
    """Lists, and mappings that choose an option by `id`, stand on one line."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # experiments hold none
        return True


def _list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    plain = not any(isinstance(item, dict) and "id" not in item for item in value)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=plain)


def _mapping(dumper: yaml.SafeDumper, value: dict[Any, Any]) -> yaml.Node:
    flow = "id" in value or not value
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=flow)


_Dumper.add_representer(list, _list)
_Dumper.add_representer(dict, _mapping)


def _yaml(section: Mapping[str, Any]) -> str:
    text: str = yaml.dump(dict(section), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text
