"""What the shape check of a model with a billion parameters costs: `python benchmarks/shape_check.py`.

Measured is all of it: the process that is started, what that imports, and the steps on tensors without values. It is
done a few times and the fastest counts, as others on the machine can only slow it down. Exits with 1 when that takes
longer, or any of them more memory, than it may.
"""

import resource
import sys
import time
from typing import Final

from app.checks.shapes import shape_reports
from app.compose import load_config
from app.shapes.report import ShapeReport, report_text

SECONDS: Final = 5.0
MEGABYTES: Final = 1500
ROUNDS: Final = 3
PARAMETERS: Final = 1_000_000_000


def main() -> int:
    """Check one config in a process of its own."""
    config = load_config(["module=mlp", "module.model_config.hidden_dims=[16384,16384,16384,16384,16384]"])
    report, seconds = ShapeReport(), float("inf")
    for _ in range(ROUNDS):
        start = time.perf_counter()
        report = shape_reports({"large": config}, processes=1)["large"]
        seconds = min(seconds, time.perf_counter() - start)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Linux counts in kilobytes, macOS in bytes.
    megabytes = used.ru_maxrss / (1000 if sys.platform == "linux" else 1_000_000)
    print(report_text(report))
    print(
        f"{seconds:.2f} s of at most {SECONDS:g}, and {(used.ru_utime + used.ru_stime) / ROUNDS:.2f} s of a processor"
    )
    print(f"{megabytes:.0f} MB of at most {MEGABYTES}")
    for problem in report.problems:
        print(f"{problem.path}: {problem.message}")
    right = report.parameters >= PARAMETERS and not report.problems
    return 0 if right and seconds <= SECONDS and megabytes <= MEGABYTES else 1


if __name__ == "__main__":
    sys.exit(main())
