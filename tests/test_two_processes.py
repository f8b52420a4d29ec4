"""Two processes act as one: one told to stop, or diverging, stops both, and both go on to the same end.

`tests/two_processes.py` does the work in a process of its own, from which trainings are forked.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_what_happens_to_one_process_alone_stops_both(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.two_processes", str(tmp_path)]

    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-2000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "weights agree": True,
        "on_before_backward": [143, 143],
        "on_before_backward, resumed": [[], []],
        "on_validation_batch_start": [143, 143],
        "on_validation_batch_start, resumed": [[], []],
        "diverges": [[1, 2], [1, 2]],
    }
