"""The process that checks shapes: pickled configs on stdin, a line of JSON for each report on stdout.

It is one of its own because torch takes seconds to import and what a module does is its own affair: it may print, use
up memory, run for ever, or end the process. So each config is named before it is looked at.
"""

import json
import os
import pickle
import resource
import signal
import sys
from typing import IO, Any, Final

from app.shapes import SECONDS, SECONDS_TO_START
from app.shapes.quick_imports import quick_imports

MEMORY: Final = 8 * 2**30
"""Bytes that the process may take; tensors without values take none."""


def main() -> None:
    """Check every config that stands on stdin."""
    configs: dict[str, dict[str, Any]] = pickle.load(sys.stdin.buffer)
    lines = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed is no report
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard), hard))
    signal.alarm(SECONDS_TO_START)
    with quick_imports():
        import torch

        from app.schemas.validation import from_plain
        from app.shapes.report import to_json
        from app.shapes.trial import shape_report
        from app.tasks import import_task_configs
    torch.set_num_threads(1)
    import_task_configs()
    for name, plain in configs.items():
        signal.alarm(SECONDS)
        _write(lines, {"begun": name})
        _write(lines, {"name": name, "report": to_json(shape_report(from_plain(plain)))})


def _write(lines: IO[str], line: dict[str, Any]) -> None:
    lines.write(f"{json.dumps(line)}\n")
    lines.flush()


if __name__ == "__main__":
    main()
