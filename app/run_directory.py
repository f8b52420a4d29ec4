"""A run's folder: how it is named, and the record that is written into it. Nothing here imports torch."""

import json
import math
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

import yaml

from app.schemas.plain import to_plain
from app.schemas.problems import Path as ConfigPath
from app.schemas.problems import dotted, shown_path
from app.schemas.run import RunConfig
from app.schemas.validation import Sources

CONFIG_FILE: Final = "config.yaml"
OVERRIDES_FILE: Final = "overrides.yaml"
SOURCES_FILE: Final = "sources.yaml"
ENVIRONMENT_FILE: Final = "environment.yaml"
RESULT_FILE: Final = "result.json"
TRACEBACK_FILE: Final = "traceback.txt"


def run_name() -> str:
    """A name no other run has, not even one started in the same second: `2026-01-31_12-00-00_5f0c91d2ab`."""
    return f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{token_hex(5)}"


def new_run_directory(config: RunConfig) -> Path:
    """A path for a run that was not started from the command line; nothing is created."""
    return Path(config.run_directory.root, config.task.name, run_name())


def earlier_run(folder: Path) -> str | None:
    """Why no run can be recorded in a folder, None where one can: a record of two would be true of neither.

    A training's further processes find the folder of their own run.
    """
    is_main_process = os.environ.get("LOCAL_RANK", "0") == "0"
    if not is_main_process or not (folder / CONFIG_FILE).exists():
        return None
    return f"{shown_path(folder)} holds an earlier run; leave hydra.run.dir out, or name another folder"


def register_resolver() -> None:
    """Let `hydra.run.dir` ask for a run's name; every mention of it in one config means the same run."""
    from omegaconf import OmegaConf  # slow to import, and needed by Hydra alone

    if not OmegaConf.has_resolver("run_name"):
        OmegaConf.register_new_resolver("run_name", run_name, use_cache=True)


def write_record(
    folder: Path, config: RunConfig, *, overrides: tuple[str, ...] = (), sources: Mapping[str, str] | None = None
) -> None:
    """Write what a run is made of, so that it can be understood and repeated: secrets masked."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_yaml(folder / CONFIG_FILE, to_plain(config))
    _write_yaml(folder / OVERRIDES_FILE, list(overrides))
    _write_yaml(folder / SOURCES_FILE, dict(sources or {}))
    _write_yaml(folder / ENVIRONMENT_FILE, dict(environment()))


def value_sources(config: RunConfig, sources: Sources) -> dict[str, str]:
    """For every value of a config, by dotted path, what set it: a file and place, an override, or `default`."""

    def values(node: object, path: ConfigPath) -> Iterator[ConfigPath]:
        items: Iterable[tuple[str | int, object]] = ()
        if isinstance(node, dict):
            items = node.items()
        elif isinstance(node, list) and any(isinstance(item, dict) for item in node):
            items = enumerate(node)
        children = [found for key, item in items if key != "_target_" for found in values(item, (*path, key))]
        yield from children or [path]

    return {dotted(path): str(sources.of(path) or "default") for path in values(to_plain(config), ())}


def write_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write what came of a run; null stands for what is no number, which JSON does not know."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(_finite(result), indent=2, allow_nan=False)
    (folder / RESULT_FILE).write_text(f"{text}\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


@cache
def environment() -> Mapping[str, Any]:
    """The commit of this code and the version of every package, looked up once: they stay while a process runs."""
    return {"git": git_state(), "packages": package_versions()}


def package_versions() -> dict[str, str]:
    """Every installed distribution with its version."""
    from importlib.metadata import distributions  # needed by runs alone, and slow to import

    described = (dist.metadata for dist in distributions())  # which is read anew each time it is asked for
    found = {metadata["Name"]: metadata["Version"] for metadata in described}
    return dict(sorted(found.items(), key=lambda item: item[0].casefold()))


def git_state() -> dict[str, Any] | None:
    """The commit this code is at and whether it was changed since; None outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _write_yaml(file: Path, content: object) -> None:
    file.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
