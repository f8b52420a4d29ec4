"""Print a composed config: `app show [experiment=<name>] [overrides] [--python]`.

Without a flag, it is YAML as it is written, interpolations included; `--resolve` puts in what they stand for, and
`--package PART` prints a part alone. `--python` prints the typed Python that the config stands for: a module that
defines `config`, equal to the composed one.
"""

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import yaml

from app.commands import COMMANDS
from app.compose import Composed, compose
from app.flags import split
from app.inspection.python_source import python_source
from app.schemas.codes import Code
from app.schemas.plain import MASK, secrets_of, to_plain
from app.schemas.problems import ConfigError, Problem, did_you_mean


def answer(words: Sequence[str]) -> str:
    """What `app show` prints for the words behind it: overrides, and `--python`, or `--resolve` and `--package PART`.

    Raises:
        ConfigError: when the config is wrong, or a word is no flag and no override.
    """
    flags, overrides, names, problems = split(words, COMMANDS["show"].flags)
    for name in names:
        problems.append(Problem(path="", message="expected key=value", source=name, code=Code.OVERRIDE))
    if "--python" in flags and len(flags) > 1:
        message = "--python writes the whole config, and resolved: leave out --resolve and --package"
        problems.append(Problem(path="", message=message, source="--python", code=Code.OVERRIDE))
    if problems:
        raise ConfigError(problems)
    composed = compose(overrides)
    if "--python" in flags:
        return python_source(composed.config, composed.tree).rstrip("\n")
    return shown(composed, package=flags.get("--package"), resolved="--resolve" in flags).rstrip("\n")


def shown(composed: Composed, *, package: str | None = None, resolved: bool = False) -> str:
    """The composed tree as YAML, or a part of it, as it was written but for secrets; or with all that it refers to."""
    tree: Any = to_plain(composed.config) if resolved else deepcopy(dict(composed.tree))
    for path in secrets_of(composed.config):
        node = tree
        for part in path[:-1]:
            node = node[part]
        node[path[-1]] = MASK
    for place, part in enumerate(package.split(".") if package else ()):
        if not isinstance(tree, dict) or part not in tree:
            there = did_you_mean(part, tree) if isinstance(tree, dict) else ""
            where = ".".join(str(package).split(".")[: place + 1])
            message = f"the config has no part '{where}'{there}"
            raise ConfigError([Problem(path="", message=message, source=f"--package {package}")])
        tree = tree[part]
    return yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
