"""How long answers take before any training, against a plain Hydra program with a config of the same size.

Both sides are started as a user starts them, in turn, so that a busy moment of the machine meets both. The plain
program composes YAML groups that hold the very values of the default config, and checks nothing.

    python benchmarks/startup.py --rounds 20
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import yaml

from app.compose import load_config
from app.schemas.plain import to_plain
from app.schemas.registry import groups
from app.schemas.run import DEFAULT_OPTIONS

ROOT: Final = Path(__file__).parent.parent
PLAIN_PROGRAM: Final = """\
import hydra

@hydra.main(config_path="conf", config_name="config", version_base="1.3")
def main(cfg):
    pass

main()
"""


class Answer(NamedTuple):
    """One thing to ask both sides."""

    name: str
    ours: Sequence[str]
    plain: Sequence[str]
    status: int = 0
    """What ours exits with."""

    target: float = 2.0
    """How many times as long as the plain program it may take."""

    environment: Mapping[str, str] = {}


ANSWERS: Final = (
    Answer("--help", ["--help"], ["--help"]),
    Answer("--cfg job", ["--cfg", "job"], ["--cfg", "job"]),
    Answer("check", ["check"], ["--cfg", "job"]),
    Answer(
        "a refusal",
        ["check", "optimizer_spec.lr=banana"],
        ["--cfg", "job", "optimizer_spec.lr=banana"],
        status=2,
    ),
    Answer(
        "completion",
        ["-sc", "query=bash"],
        ["-sc", "query=bash"],
        target=1.5,
        environment={"COMP_LINE": "app optimizer_spec.l", "COMP_POINT": "20"},
    ),
)


def main() -> int:
    """Print the median times of both sides and their ratio.

    Returns:
        1 when an answer takes longer than its target.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=10, help="times that each side is asked each question")
    rounds: int = parser.parse_args().rounds
    with TemporaryDirectory() as folder:
        lines = write_plain_program(Path(folder))
        # What Python has compiled is kept, as it is for users, even where that is switched off or out of date.
        os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(Path(folder) / "compiled")}
        plain = [sys.executable, str(Path(folder) / "plain.py")]
        ours = [sys.executable, "-m", "app"]
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {rounds} rounds")
        print(f"the config has {lines} lines on both sides; times are medians in seconds\n")
        print(f"{'answer':<12} {'ours':>7} {'plain':>7} {'ratio':>7}")
        slow = False
        for answer in ANSWERS:
            times = measure(answer, ours, plain, rounds)
            first, second = (statistics.median(side) for side in times)
            over = first > answer.target * second
            slow = slow or over
            verdict = f"   over the target of {answer.target}" if over else ""
            print(f"{answer.name:<12} {first:>7.3f} {second:>7.3f} {first / second:>7.2f}{verdict}")
    return int(slow)


def measure(answer: Answer, ours: Sequence[str], plain: Sequence[str], rounds: int) -> tuple[list[float], list[float]]:
    """The times of both sides, asked in turn; the first round, which fills caches, does not count."""
    times: tuple[list[float], list[float]] = ([], [])
    for count in range(rounds + 1):
        for side, command, status in (
            (0, [*ours, *answer.ours], answer.status),
            (1, [*plain, *answer.plain], 0),
        ):
            taken = seconds(command, status, answer.environment)
            if count:
                times[side].append(taken)
    return times


def seconds(command: Sequence[str], status: int, environment: Mapping[str, str]) -> float:
    """How long a command takes that ends as it should."""
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - start
    assert done.returncode == status, f"{' '.join(command)} exited with {done.returncode}:\n{done.stderr}"
    return taken


def write_plain_program(folder: Path) -> int:
    """Write the program and its config, the composed default one: a file for each option that is chosen.

    Returns:
        The lines of the config.
    """
    (folder / "plain.py").write_text(PLAIN_PROGRAM)
    tree = to_plain(load_config())
    defaults: list[object] = []
    for group, chosen in DEFAULT_OPTIONS.items():
        if chosen is None:
            continue
        names = chosen if isinstance(chosen, list) else [chosen.rpartition("/")[2]]
        defaults.append({group: names if groups[group].several else names[0]})
        part = tree.pop(group)
        for name in names:
            values, package = (part[name], f"{group}.{name}") if groups[group].several else (part, group)
            file = folder / "conf" / group / f"{name}.yaml"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"# @package {package}\n{_yaml(values)}")
    (folder / "conf" / "config.yaml").write_text(_yaml({"defaults": [*defaults, "_self_"], **tree}))
    return len(_yaml(to_plain(load_config())).splitlines())


def _yaml(values: object) -> str:
    return yaml.safe_dump(json.loads(json.dumps(values)), sort_keys=False)


if __name__ == "__main__":
    sys.exit(main())
