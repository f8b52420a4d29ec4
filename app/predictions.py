"""Predictions on their way from a module's `predict_step` into files: which outputs, in which columns."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from app.builders.run import Run
from app.prediction_files import ArraysFile, CsvFile, ParquetFile, PredictionFile
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean
from app.schemas.task import TaskKind

CLASS: Final = "class"
"""What a module's scores decide on, beside the outputs under their own names."""

_ENDINGS: Final[Mapping[str, type[PredictionFile]]] = {"csv": CsvFile, "parquet": ParquetFile, "npz": ArraysFile}


def write_predictions(run: Run, config: PredictionsConfig, *, kind: TaskKind, folder: Path) -> dict[str, Any]:
    """Predict the whole predict split with the module as it is, and write what comes out into `folder`.

    The trainer must use one device: several would each write a share of the samples.

    Returns:
        For the run's result: the `files`, as paths, and the number of `samples`.

    Raises:
        ConfigError: when an output is asked for that the module does not have.
        AppError: when `predict_step` gives something else than named outputs, one row for each sample.
    """
    assert run.trainer.world_size == 1, "predictions are written by one process"
    writer = PredictionWriter(folder, config, kind=kind)
    run.trainer.callbacks.append(writer)  # type: ignore[attr-defined]  # set by a connector
    try:
        run.trainer.predict(model=run.module, datamodule=run.datamodule, return_predictions=False)
        files = writer.finish()
    finally:
        run.trainer.callbacks.remove(writer)  # type: ignore[attr-defined]  # set by a connector
        writer.discard()
    return {"predictions": [str(file) for file in files], "samples": writer.samples}


class PredictionWriter(Callback):
    """Writes each batch of predictions as it is made, so that memory holds one batch at a time.

    The columns are `index`, the sample's place in the predict split (after `dataloader`, if there are several);
    `class`; and the outputs: `name` where a sample has one value, `name_0`, `name_1`, … where it has several. Outputs
    of more dimensions go into the `.npz` file, as arrays.

    For `class` see `decided`.
    """

    def __init__(self, folder: Path, config: PredictionsConfig, *, kind: TaskKind) -> None:
        self.config = config
        self.kind: TaskKind = kind
        self.samples = 0
        ending = config.format
        self._table = _ENDINGS[ending](folder / f"{config.file}.{ending}")
        self._arrays = self._table if ending == "npz" else ArraysFile(folder / f"{config.file}.npz")
        self._used: dict[PredictionFile, None] = {}
        self._next: dict[int, int] = {}

    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002  # Lightning's signature
        outputs: Any,
        batch: Any,  # noqa: ARG002  # Lightning's signature
        batch_idx: int,  # noqa: ARG002  # Lightning's signature
        dataloader_idx: int = 0,
    ) -> None:
        """Write what `predict_step` returned."""
        chosen = self._chosen(_named(outputs))
        size = len(next(iter(chosen.values())))
        begin = self._next.get(dataloader_idx, 0)
        self._next[dataloader_idx] = begin + size
        self.samples += size
        place: dict[str, NDArray[Any]] = {"index": np.arange(begin, begin + size)}
        if len(trainer.num_predict_batches) > 1:
            place = {"dataloader": np.full(size, dataloader_idx), **place}
        arrays = {name: value for name, value in chosen.items() if value.ndim > 2 or self._table is self._arrays}
        columns = {
            column: values
            for name, value in chosen.items()
            if name not in arrays
            for column, values in _columns(name, value).items()
        }
        if columns:
            self._write(self._table, place | columns)
        if arrays:
            self._write(self._arrays, place | arrays)

    def finish(self) -> list[Path]:
        """Put the files in their places; none when nothing was predicted."""
        for file in self._used:
            file.finish()
        files = [file.path for file in self._used]
        self._used = {}
        return files

    def discard(self) -> None:
        """Remove what is not finished."""
        for file in self._used:
            file.discard()
        self._used = {}

    def _write(self, file: PredictionFile, columns: Mapping[str, NDArray[Any]]) -> None:
        self._used[file] = None
        file.write(columns)

    def _chosen(self, outputs: Mapping[str, Tensor | Sequence[Any]]) -> dict[str, NDArray[Any]]:
        available = dict(outputs)
        if (chosen_class := decided(outputs, self.kind)) is not None:
            available = {CLASS: chosen_class, **available}
        if self.config.outputs is None:
            names = [name for name in available if name != "logits" or "probabilities" not in available]
        else:
            names = list(self.config.outputs)
            unknown = [place for place, name in enumerate(names) if name not in available]
            if unknown:
                raise ConfigError(
                    Problem(
                        path=f"predictions.outputs[{place}]",
                        message=f"the module does not put out '{names[place]}'"
                        + (did_you_mean(names[place], available) or f"; there is {', '.join(available)}"),
                    )
                    for place in unknown
                )
        arrays = {name: _array(name, available[name]) for name in names}
        sizes = {name: len(array) for name, array in arrays.items()}
        if len(set(sizes.values())) != 1:
            found = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise AppError(f"predict_step must put out one row for each sample, found different numbers: {found}")
        return arrays


def decided(outputs: Mapping[str, Any], kind: TaskKind) -> Tensor | None:
    """The class of each sample (or pixel), by its `probabilities` or else `logits`; None without either.

    For `multiclass` the class of the highest score along the second dimension. For `binary` and `multilabel` 1 where
    the probability is above one half and 0 elsewhere.
    """
    name, limit = ("probabilities", 0.5) if "probabilities" in outputs else ("logits", 0.0)
    scores = outputs.get(name)
    if not isinstance(scores, Tensor) or CLASS in outputs:
        return None
    if kind != "multiclass":
        return (scores > limit).to(torch.int64)
    return scores.argmax(dim=1) if scores.ndim > 1 else None


def _named(outputs: object) -> Mapping[str, Tensor | Sequence[Any]]:
    """What a step returned, by name."""
    if isinstance(outputs, Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping) and outputs and all(isinstance(name, str) for name in outputs):
        return outputs
    raise AppError(f"predict_step must return outputs by name, found a {type(outputs).__name__}")


def _array(name: str, value: object) -> NDArray[Any]:
    """An output as NumPy keeps it."""
    if isinstance(value, Tensor):
        if value.ndim == 0:
            raise AppError(f"predict_step must put out one row for each sample, but '{name}' is a single number")
        value = value.detach().cpu()
        return np.asarray((value.float() if value.dtype == torch.bfloat16 else value).numpy())
    if isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        return np.asarray(value, dtype=str if any(isinstance(item, str) for item in value) else np.int64)
    raise AppError(f"predict_step must put out tensors, or lists of names, but '{name}' is a {type(value).__name__}")


def _columns(name: str, value: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """An output of one or two dimensions as columns; the probability of class 3 is `probability_3`."""
    if value.ndim == 1:
        return {name: value}
    single = "probability" if name == "probabilities" else name
    if value.shape[1] == 1:
        return {single: value[:, 0]}
    return {f"{single}_{place}": value[:, place] for place in range(value.shape[1])}
