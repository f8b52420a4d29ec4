from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from app.schemas.datamodule import DataLoaderConfig
from app.schemas.problems import ConfigError
from app.schemas.registry import leaf_fields

_ABOUT_WORKERS: dict[str, Any] = {
    "persistent_workers": True,
    "prefetch_factor": 4,
    "timeout": 1.0,
    "multiprocessing_context": "spawn",
    "in_order": False,
}


@pytest.mark.parametrize("name", _ABOUT_WORKERS)
def test_what_is_about_workers_needs_workers(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DataLoaderConfig(**{name: _ABOUT_WORKERS[name]})

    [problem] = caught.value.problems
    assert problem.path == f"DataLoaderConfig.{name}"
    assert problem.message == "is about worker processes, and there are none; it needs num_workers of at least 1"
    assert getattr(DataLoaderConfig(num_workers=1, **{name: _ABOUT_WORKERS[name]}), name) == _ABOUT_WORKERS[name]


@pytest.mark.parametrize("config", [DataLoaderConfig(), DataLoaderConfig(num_workers=2, **_ABOUT_WORKERS)])
def test_torch_takes_every_setting(config: DataLoaderConfig) -> None:
    settings: dict[str, Any] = leaf_fields(config)
    loader = DataLoader(TensorDataset(torch.zeros(4)), **settings)

    assert loader.num_workers == config.num_workers
    assert loader.batch_size == config.batch_size


@pytest.mark.parametrize(("name", "value"), [("batch_size", 0), ("num_workers", -1), ("timeout", -1.0)])
def test_impossible_numbers_are_refused(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        DataLoaderConfig(**{name: value})

    assert [problem.path for problem in caught.value.problems] == [f"DataLoaderConfig.{name}"]
