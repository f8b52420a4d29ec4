"""A run that is killed loses nothing that it had saved, and ends as if nothing had happened.

`tests/killing.py` does the work in a process of its own, from which trainings are forked.
"""

import json
import os
import subprocess
import sys

import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "stride"), [("best and last", 2), ("last is a link", 3), ("within epochs", 6), ("on a thread", 5)]
)
def test_killed_at_any_file_operation_a_run_goes_on_to_the_same_end(name: str, stride: int) -> None:
    command = [sys.executable, "-m", "tests.killing", name, str(stride)]

    done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == {}
    assert report["operations"] > 20
