"""Two processes, each with batches of its own, against one with all of them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from app.builders.metrics import build_metrics
from app.metrics.split_metrics import SplitMetrics
from tests.metrics.cases import batches, default_cases

NO_UNION = ("running_mean", "running_sum")
"""What looks back over the last batches of each process has no counterpart in one."""

IN_ORDER_OF_BATCHES = ("cat",)

WAYS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "more batches in one": ((0, 2, 3), (1,)),
    "no batch in one": ((), (0, 1, 2)),
}
"""Which batches the first and the second process see."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of the processes computed."""
    folder = tmp_path_factory.mktemp("processes")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-W", "error", "-m", "tests.metrics.test_distributed", str(folder)]
    processes = [subprocess.Popen([*command, str(rank)], env=environment, cwd=root) for rank in range(2)]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


@pytest.mark.parametrize("way", WAYS)
def test_values_are_those_of_all_processes_together(way: str, found: list[dict[str, Any]]) -> None:
    one, other = found[0][way], found[1][way]
    seen = sorted(index for share in WAYS[way] for index in share)
    expected = measured(seen)

    assert len(expected["numbers"]) > 150
    assert len(expected["tables"]) > 10
    torch.testing.assert_close(one, other, rtol=0, atol=0, equal_nan=True)
    torch.testing.assert_close(one, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


def measured(indices: list[int] | tuple[int, ...]) -> dict[str, dict[str, Any]]:
    configs = {str(case): case.config for case in default_cases() if case.option not in NO_UNION}
    metrics = SplitMetrics("val", build_metrics(configs))
    available = epoch()
    for index in indices:
        metrics.update({f"loss_{index}": torch.tensor(1.0 * index), "loss": torch.tensor(1.0)}, available[index], 3)
    tables = metrics.tables()
    for name, table in tables.items():
        if name.startswith(tuple(f"val/{option}(" for option in IN_ORDER_OF_BATCHES)):
            table["values"] = table["values"].sort().values
    return {"numbers": metrics.compute(), "tables": tables}


def epoch() -> list[dict[str, Tensor]]:
    made = batches(sizes=(16, 16, 16, 5))
    for index, outputs in enumerate(made):
        outputs["indexes"] += 100 * index  # each batch has queries of its own
    return made


def main(folder: Path, rank: int) -> None:
    """One of the processes."""
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    torch.distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2)
    torch.save({way: measured(shares[rank]) for way, shares in WAYS.items()}, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
