import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Models this small gain nothing from more, and on a busy machine the threads wait for each other.
    torch.set_num_threads(1)
