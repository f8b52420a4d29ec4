"""What each task's default experiment reaches on the whole of its default data, over three seeds.

Every run is a command line of its own, `app task=<task> seed_params.seed=<seed>`, and its score stands in its
`result.json`. The tasks whose data is downloaded are left out: their data is not everywhere.

    python -m benchmarks.scores
    python -m benchmarks.scores --tasks digits tabular --seeds 0 1 2 3 4
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory
from typing import Final

STATED: Final = {
    "digits": ("test/accuracy", 0.99),
    "tabular": ("test/accuracy", 0.96),
    "segmentation": ("test/iou", 0.90),
    "retrieval": ("test/recall_at_1", 0.95),
    "detection": ("test/map_50", 0.80),
}
"""The metric of each task, and what its mean over the seeds has to reach."""

LONGEST: Final = 300.0
"""Seconds that a run may take on two cores."""


def measured(task: str, seed: int, folder: Path) -> tuple[float, float]:
    """A run's score, and the seconds that it took."""
    start = time.monotonic()
    words = [f"task={task}", f"seed_params.seed={seed}", f"hydra.run.dir={folder}"]
    subprocess.run([sys.executable, "-m", "app", *words], check=True, capture_output=True)
    result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return float(result["test"][STATED[task][0]]), time.monotonic() - start


def main() -> int:
    """Print a row for each task; 1 when a score is missed or a run takes too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(STATED), choices=list(STATED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    missed = False
    for task in arguments.tasks:
        metric, stated = STATED[task]
        with TemporaryDirectory() as folder:
            runs = [measured(task, seed, Path(folder) / str(seed)) for seed in arguments.seeds]
        scores, seconds = zip(*runs, strict=True)
        good = mean(scores) >= stated and max(seconds) <= LONGEST
        missed |= not good
        listed = "  ".join(f"{score:.4f}" for score in scores)
        verdict = "" if good else "   MISSED"
        print(
            f"{task:13} {metric:14} {listed}   mean {mean(scores):.4f}, at least {stated:.2f}"
            f"   {max(seconds):.0f} s{verdict}",
            flush=True,
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
