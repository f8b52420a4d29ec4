"""Predictions on their way from a module's `predict_step` into files: which outputs, in which columns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from torch import Tensor

from app.builders.run import Run
from app.prediction.decisions import CLASS, decided, ids_of, names_of_classes
from app.prediction.files import ArraysFile, CsvFile, ParquetFile, PredictionFile
from app.prediction.picture import PredictionPicture
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import AppError, ConfigError, Problem, did_you_mean
from app.schemas.task import TaskKind
from app.tasks.shared.datamodule import BaseDataModule

_ENDINGS: Final[Mapping[str, type[PredictionFile]]] = {"csv": CsvFile, "parquet": ParquetFile, "npz": ArraysFile}


def write_predictions(
    run: Run,
    config: PredictionsConfig,
    *,
    kind: TaskKind,
    folder: Path,
    files: Sequence[Path] = (),
    dataset_names: Sequence[str] = (),
) -> dict[str, Any]:
    """Predict with the module as it is, and write what comes out into `folder`.

    The trainer must use one device: several would each write a share of the samples.

    Args:
        run: The run, whose datamodule reads the samples.
        config: What to write.
        kind: The task's, which says what scores decide on.
        folder: Where to write.
        files: What to predict instead of the whole predict split.
        dataset_names: The names of the predict split's datasets, where it has several.

    Returns:
        For the run's result: the files of `predictions`, as paths, and the number of `samples`.

    Raises:
        ConfigError: when an output is asked for that the module does not have.
        AppError: when a file cannot be read, or `predict_step` gives something else than named outputs, one row for
            each sample.
    """
    assert run.trainer.world_size == 1, "predictions are written by one process"
    datamodule = cast(BaseDataModule[Any, Any], run.datamodule)
    # Known once the data is there, or the checkpoint has said what was learnt from it.
    class_names = getattr(datamodule, "class_names", tuple)
    writer = PredictionWriter(folder, config, kind=kind, dataset_names=dataset_names, class_names=class_names)
    drawn = folder / f"{config.file}.png"
    picture = PredictionPicture(drawn, config.num_pictured, kind=kind, class_names=class_names)
    callbacks: list[Callback] = run.trainer.callbacks  # type: ignore[attr-defined]  # set by a connector
    callbacks += [writer, picture]
    samples: dict[str, Any] = (
        {"dataloaders": datamodule.inputs_dataloader(files)} if files else {"datamodule": datamodule}
    )
    try:
        run.trainer.predict(run.module, **samples, return_predictions=False)
        written = [*writer.finish(), *picture.finish()]
    finally:
        callbacks.remove(writer)
        callbacks.remove(picture)
        writer.discard()
    return {"predictions": [str(file) for file in written], "samples": writer.samples}


class PredictionWriter(Callback):
    """Writes each batch of predictions as it is made, so that memory holds one batch at a time.

    The columns are `index`, the sample's place in its dataset (after the `dataset`, if there are several); its `id`, if
    the dataset names its samples; `class`, and its `label` if the task names its classes (for boxes `detected_names`);
    and the outputs: `name` where a sample has one value, `name_0`, `name_1`, … where it has several. Outputs of more
    dimensions go into the `.npz` file, as arrays.

    For `class` see `app.prediction.decisions.decided`.
    """

    def __init__(
        self,
        folder: Path,
        config: PredictionsConfig,
        *,
        kind: TaskKind,
        dataset_names: Sequence[str] = (),
        class_names: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.config = config
        self.kind: TaskKind = kind
        self.dataset_names = dataset_names
        self.class_names = class_names
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
            place = {"dataset": np.full(size, self._dataset_name(dataloader_idx)), **place}
        of_each = [ids_of(trainer, number) for number in range(len(trainer.num_predict_batches))]
        if any(ids is not None for ids in of_each):  # one file has one set of columns
            ids = of_each[dataloader_idx]
            place["id"] = np.asarray([""] * size if ids is None else ids[begin : begin + size], dtype=str)
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

    def _dataset_name(self, dataloader_idx: int) -> str:
        """What a dataset is called: the split's own by the split, and those of a foreign datamodule by number."""
        named = len(self.dataset_names) > dataloader_idx
        return (self.dataset_names[dataloader_idx] or "predict") if named else str(dataloader_idx)

    def _write(self, file: PredictionFile, columns: Mapping[str, NDArray[Any]]) -> None:
        self._used[file] = None
        file.write(columns)

    def _chosen(self, outputs: Mapping[str, Tensor | Sequence[Any]]) -> dict[str, NDArray[Any]]:
        chosen_class = decided(outputs, self.kind)
        called = names_of_classes({**outputs, CLASS: chosen_class}, self.class_names())
        available: dict[str, Any] = {**({} if chosen_class is None else {CLASS: chosen_class}), **called, **outputs}
        if self.config.outputs is None:
            names = [name for name in available if not _said_in_probabilities(name, available)]
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


def _named(outputs: object) -> Mapping[str, Tensor | Sequence[Any]]:
    """What a step returned, by name."""
    if isinstance(outputs, Tensor):
        return {"output": outputs}
    if isinstance(outputs, Mapping) and outputs and all(isinstance(name, str) for name in outputs):
        return outputs
    raise AppError(f"predict_step must return outputs by name, found a {type(outputs).__name__}")


def _array(name: str, value: object) -> NDArray[Any]:
    """An output as NumPy keeps it."""
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, Tensor):
        if value.ndim == 0:
            raise AppError(f"predict_step must put out one row for each sample, but '{name}' is a single number")
        value = value.detach().cpu()
        return np.asarray((value.float() if value.dtype == torch.bfloat16 else value).numpy())
    if isinstance(value, list | tuple) and all(isinstance(item, str | int) for item in value):
        return np.asarray(value, dtype=str if any(isinstance(item, str) for item in value) else np.int64)
    raise AppError(f"predict_step must put out tensors, or lists of names, but '{name}' is a {type(value).__name__}")


def _said_in_probabilities(name: str, available: Mapping[str, Any]) -> bool:
    """Whether an output is scores that are there as probabilities too, of the model or of one of its heads."""
    return name.endswith("logits") and f"{name.removesuffix('logits')}probabilities" in available


def _columns(name: str, value: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """An output of one or two dimensions as columns; the probability of class 3 is `probability_3`."""
    if value.ndim == 1:
        return {name: value}
    single = f"{name.removesuffix('probabilities')}probability" if name.endswith("probabilities") else name
    if value.shape[1] == 1:
        return {single: value[:, 0]}
    return {f"{single}_{place}": value[:, place] for place in range(value.shape[1])}
