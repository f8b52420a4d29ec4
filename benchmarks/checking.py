"""How long checking many experiments takes: each of them, on one core, whether there are ten of them or a thousand.

Generated experiments, all of them right, are checked by `app check` in a process that may use one core. What counts is
the processor's time for the command, less that for starting Python and importing; with `--types`, mypy's too, with a
cache that holds the schemas and none of the experiments.

    python -m benchmarks.checking
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.generated_experiments import write_experiments

ROOT: Final = Path(__file__).parent.parent
COUNTS: Final = (10, 100, 1000)
TARGET: Final = 0.025
"""Seconds for each experiment, at most."""

WITH_TYPES: Final = 2 * TARGET
"""The same when mypy looks too, less what it takes to start."""

STEEPEST: Final = 2.0
"""How many times as long a further one may take among many as among few; ten, if each were compared with all."""

_CHECK: Final = """\
import gc, json, os, sys
from pathlib import Path
gc.disable()  # as the command does
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import app.composing.experiments
from app.checks.command import answer
from app.tasks import import_task_configs
app.composing.experiments.task_folders = lambda: {"digits": Path(sys.argv[1])}
import_task_configs()
before = sum(os.times()[:4])
text, status = answer(sys.argv[2:])
print(json.dumps({"seconds": sum(os.times()[:4]) - before, "status": status, "text": text}))
"""


def main() -> int:
    """Print the time for each count.

    Returns:
        1 when it is over the target.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--types", action="store_true", help="let mypy look at the experiments too")
    types: bool = parser.parse_args().types
    print(f"{platform.machine()}, one of {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(f"{'experiments':>11} {'seconds':>9} {'ms each':>9}")
    taken: dict[int, float] = {}
    with TemporaryDirectory() as cache:
        if types:
            checked(1, cache, types=True)
        for count in COUNTS:
            taken[count] = checked(count, cache, types=types)
            print(f"{count:>11} {taken[count]:>9.2f} {taken[count] / count * 1e3:>9.2f}")
    fewest, most = COUNTS[0], COUNTS[-1]
    ratio = (taken[most] / most) / (taken[fewest] / fewest)
    # What is done once, as making the validators, is a large part of what few experiments take.
    further = (taken[most] - taken[COUNTS[-2]]) / (most - COUNTS[-2])
    growth = further / ((taken[COUNTS[-2]] - taken[fewest]) / (COUNTS[-2] - fewest))
    print(f"\neach of {most} takes {ratio:.2f} times as long as each of {fewest}")
    print(f"each further one {further * 1e3:.2f} ms, {growth:.2f} times as long from {COUNTS[-2]} on as up to there")
    slow = further > WITH_TYPES if types else taken[most] / most > TARGET
    if slow:
        print(f"over the target of {(WITH_TYPES if types else TARGET) * 1e3:.0f} ms")
    if steep := max(ratio, growth) > STEEPEST:
        print(f"grows faster than the number of experiments, over the limit of {STEEPEST}")
    return int(slow or steep)


def checked(count: int, cache: str, *, types: bool) -> float:
    """How many seconds so many experiments take, in a process of their own; other counts have others."""
    with TemporaryDirectory() as folder:
        write_experiments(Path(folder) / "experiments", count, seed=count)
        done = subprocess.run(
            [sys.executable, "-c", _CHECK, folder, *(["--types"] if types else [])],
            cwd=ROOT,
            env={**os.environ, "XDG_CACHE_HOME": cache},
            capture_output=True,
            text=True,
            check=True,
        )
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer["status"] == 0, f"the generated experiments should be right:\n{answer['text'][:2000]}"
    return float(answer["seconds"])


if __name__ == "__main__":
    sys.exit(main())
