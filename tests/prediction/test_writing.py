import builtins
import csv
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import LightningDataModule, LightningModule, Trainer
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from app.builders.run import Run
from app.prediction.decisions import decided
from app.prediction.writing import PredictionWriter, write_predictions
from app.schemas.predictions import PredictionsConfig
from app.schemas.problems import AppError, ConfigError
from app.schemas.task import TaskKind
from tests.tasks.contracts import quiet_trainer

Step = Callable[[Tensor], Any]
LOGITS = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))


class Predicting(LightningModule):
    def __init__(self, step: Step) -> None:
        super().__init__()
        self.step = step

    def predict_step(self, batch: list[Tensor], batch_idx: int, dataloader_idx: int = 0) -> Any:  # noqa: ARG002
        return self.step(batch[0])


class Rows(LightningDataModule):
    def __init__(self, loaders: int = 1) -> None:
        super().__init__()
        self.loaders = loaders

    def predict_dataloader(self) -> Any:
        loaders = [DataLoader(TensorDataset(LOGITS), batch_size=4) for _ in range(self.loaders)]
        return loaders if self.loaders > 1 else loaders[0]


def scores(logits: Tensor) -> dict[str, Tensor]:
    return {"logits": logits, "probabilities": logits.softmax(dim=1)}


def predicted(
    folder: Path,
    step: Step = scores,
    kind: TaskKind = "multiclass",
    loaders: int = 1,
    dataset_names: tuple[str, ...] = (),
    class_names: tuple[str, ...] = (),
    **config: Any,
) -> dict[str, Any]:
    trainer = quiet_trainer(folder)
    run = Run(trainer=trainer, module=Predicting(step), datamodule=Rows(loaders))
    vars(run.datamodule)["class_names"] = lambda: class_names
    return write_predictions(run, PredictionsConfig(**config), kind=kind, folder=folder, dataset_names=dataset_names)


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


pytestmark = [
    pytest.mark.filterwarnings(r"ignore:.isinstance\(treespec, LeafSpec\).:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The 'predict_dataloader' does not have many workers"),
]


def test_each_sample_has_a_row_with_its_class_and_probabilities(tmp_path: Path) -> None:
    result = predicted(tmp_path)
    file = tmp_path / "predictions.csv"
    assert result == {"predictions": [str(file)], "samples": 10}
    found = rows(file)
    assert list(found[0]) == ["index", "class", "probability_0", "probability_1", "probability_2"]
    assert [int(row["index"]) for row in found] == list(range(10))
    assert [int(row["class"]) for row in found] == LOGITS.argmax(dim=1).tolist()
    written = np.array([[row[f"probability_{place}"] for place in range(3)] for row in found], dtype=np.float32)
    assert (written == LOGITS.softmax(dim=1).numpy()).all()  # to the last bit
    assert [path.name for path in tmp_path.iterdir()] == ["predictions.csv"]


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    predicted(tmp_path, format="parquet", file="mine")
    table = parquet.read_table(tmp_path / "mine.parquet")
    assert table.column_names == ["index", "class", "probability_0", "probability_1", "probability_2"]
    assert [str(kind) for kind in table.schema.types] == ["int64", "int64", "float", "float", "float"]
    assert table["class"].to_pylist() == LOGITS.argmax(dim=1).tolist()


def test_parquet_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr("app.schemas.predictions.find_spec", lambda name: None if name == "pyarrow" else real(name))
    assert (
        PredictionsConfig(format="parquet").missing_package()
        == "PyArrow is not installed; type: pip install 'typed-lightning-app[parquet]'"
    )


def test_csv_needs_no_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        assert not name.startswith("pyarrow")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    predicted(tmp_path)
    assert (tmp_path / "predictions.csv").exists()


def test_boxes_have_the_names_of_what_is_in_them(tmp_path: Path) -> None:
    def step(logits: Tensor) -> dict[str, Tensor]:
        return {"detected_labels": torch.tensor([[1, 0, -1]]).expand(len(logits), 3)}

    predicted(tmp_path, step, "detection", class_names=("car", "bottle"))

    row = rows(tmp_path / "predictions.csv")[0]
    assert [row[f"detected_names_{place}"] for place in range(3)] == ["bottle", "car", ""]
    predicted(tmp_path / "nameless", step, "detection")
    assert not [name for name in rows(tmp_path / "nameless" / "predictions.csv")[0] if "names" in name]


def test_dense_outputs_go_into_arrays_beside_the_table(tmp_path: Path) -> None:
    masks = torch.arange(10 * 3 * 2 * 2, dtype=torch.float32).view(10, 3, 2, 2)

    def step(logits: Tensor) -> dict[str, Tensor]:
        first = int((logits[0] == LOGITS).all(dim=1).nonzero()[0])
        return {"mask": masks[first : first + len(logits)], "score": logits[:, 0], "wide": logits[:, :1].double()}

    result = predicted(tmp_path, step)
    assert [Path(file).name for file in result["predictions"]] == ["predictions.csv", "predictions.npz"]
    found = rows(tmp_path / "predictions.csv")
    assert list(found[0]) == ["index", "score", "wide"]
    assert [np.float32(row["score"]) for row in found] == list(LOGITS[:, 0].numpy())
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert sorted(arrays) == ["index", "mask"]
        assert (arrays["mask"] == masks.numpy()).all()
        assert arrays["mask"].dtype == np.float32
        assert (arrays["index"] == np.arange(10)).all()


def test_npz_takes_everything_on_request(tmp_path: Path) -> None:
    def step(logits: Tensor) -> dict[str, Any]:
        return {**scores(logits), "id": [f"{value:.3f}" for value in logits[:, 0]], "yes": logits[:, 0] > 0}

    result = predicted(tmp_path, step, format="npz")
    assert [Path(file).name for file in result["predictions"]] == ["predictions.npz"]
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert sorted(arrays) == ["class", "id", "index", "probabilities", "yes"]
        assert (arrays["probabilities"] == LOGITS.softmax(dim=1).numpy()).all()
        assert arrays["id"].tolist() == [f"{value:.3f}" for value in LOGITS[:, 0]]
        assert (arrays["yes"] == (LOGITS[:, 0] > 0).numpy()).all()


def test_the_outputs_to_write_can_be_chosen(tmp_path: Path) -> None:
    predicted(tmp_path, outputs=("logits", "class"))
    assert list(rows(tmp_path / "predictions.csv")[0]) == ["index", "logits_0", "logits_1", "logits_2", "class"]


def test_an_output_that_is_not_there_is_a_problem_of_the_config(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        predicted(tmp_path, outputs=("logits", "probabilites"))
    assert [(problem.path, problem.message) for problem in caught.value.problems] == [
        ("predictions.outputs[1]", "the module does not put out 'probabilites'; did you mean 'probabilities'?")
    ]
    assert not list(tmp_path.iterdir())


def test_names_of_samples_are_written_as_they_are(tmp_path: Path) -> None:
    def step(logits: Tensor) -> dict[str, Any]:
        return {"id": [f'a,"{value:.2f}"\n' for value in logits[:, 0]], **scores(logits)}

    predicted(tmp_path, step)
    assert [row["id"] for row in rows(tmp_path / "predictions.csv")] == [f'a,"{value:.2f}"\n' for value in LOGITS[:, 0]]


def test_several_dataloaders_are_told_apart(tmp_path: Path) -> None:
    assert predicted(tmp_path, loaders=2)["samples"] == 20
    found = rows(tmp_path / "predictions.csv")
    places = [(row["dataset"], int(row["index"])) for row in found]
    assert places == [(loader, index) for loader in "01" for index in range(10)]


def test_datasets_go_by_their_names(tmp_path: Path) -> None:
    predicted(tmp_path, loaders=2, dataset_names=("", "noisy"))
    assert [row["dataset"] for row in rows(tmp_path / "predictions.csv")] == ["predict"] * 10 + ["noisy"] * 10


def test_half_precision_and_truth_values_are_written_as_numbers(tmp_path: Path) -> None:
    predicted(tmp_path, lambda logits: {"half": logits[:, 0].bfloat16(), "yes": logits[:, 0] > 0})
    found = rows(tmp_path / "predictions.csv")
    assert [np.float32(row["half"]) for row in found] == LOGITS[:, 0].bfloat16().tolist()
    assert [row["yes"] for row in found] == [str(int(value > 0)) for value in LOGITS[:, 0]]


def test_a_failure_leaves_neither_files_nor_parts_of_them(tmp_path: Path) -> None:
    calls = []

    def step(logits: Tensor) -> dict[str, Tensor]:
        calls.append(sorted(path.name for path in tmp_path.iterdir()))
        if len(calls) == 3:
            raise ZeroDivisionError
        return {**scores(logits), "mask": logits.view(-1, 3, 1, 1)}

    with pytest.raises(ZeroDivisionError):
        predicted(tmp_path, step)
    assert calls[2][0] == ".predictions.csv.partial"  # nothing has its own name before it is complete
    assert "predictions.csv" not in calls[2]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda _: [1, 2], "must return outputs by name, found a list"),
        (lambda _: {}, "must return outputs by name, found a dict"),
        (lambda logits: {"a": logits, "b": logits[1:]}, "one row for each sample, found different numbers: a 4, b 3"),
        (lambda logits: {"a": logits.sum()}, "'a' is a single number"),
        (lambda _: {"a": object()}, "'a' is a object"),
        (lambda logits: {"a": logits[:, : len(logits)]}, "'a_2' is missing in one batch"),
        (lambda logits: {"a": logits.view(-1, 3, 1)[:, : len(logits)]}, r"of shape \(2, 1\) for each sample in one"),
    ],
)
def test_what_cannot_be_a_row_for_each_sample_is_refused(step: Step, message: str, tmp_path: Path) -> None:
    with pytest.raises(AppError, match=message):
        predicted(tmp_path, step)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("kind", "outputs", "expected"),
    [
        ("multiclass", {"logits": torch.tensor([[0.1, 0.9], [2.0, 1.0]])}, [1, 0]),
        ("binary", {"probabilities": torch.tensor([0.4, 0.6])}, [0, 1]),
        ("binary", {"logits": torch.tensor([[-1.0], [1.0]])}, [[0], [1]]),
        ("multilabel", {"logits": torch.tensor([[-1.0, 1.0]])}, [[0, 1]]),
        ("multiclass", {"embedding": torch.ones(2, 2)}, None),
        ("multiclass", {"class": torch.ones(2), "logits": torch.ones(2, 2)}, None),
    ],
)
def test_scores_decide_on_a_class(kind: TaskKind, outputs: dict[str, Tensor], expected: list[int] | None) -> None:
    found = decided(outputs, kind)
    assert (None if found is None else found.tolist()) == expected


def test_a_class_for_each_pixel_is_dense_too(tmp_path: Path) -> None:
    predicted(tmp_path, lambda logits: {"logits": logits.view(-1, 3, 1, 1).expand(-1, 3, 2, 2)}, outputs=("class",))
    with np.load(tmp_path / "predictions.npz") as arrays:
        assert arrays["class"].shape == (10, 2, 2)
        assert (arrays["class"][:, 0, 0] == LOGITS.argmax(dim=1).numpy()).all()


@pytest.mark.parametrize("name", ["a/b", "..", "a\\b"])
def test_a_file_s_name_does_not_lead_out_of_the_run_directory(name: str) -> None:
    with pytest.raises(ConfigError, match="expected a file's name without folders"):
        PredictionsConfig(file=name)


def test_an_output_is_named_once() -> None:
    with pytest.raises(ConfigError, match=r"outputs\[1\]: names class twice"):
        PredictionsConfig(outputs=("class", "class"))


def test_classes_that_have_names_are_labelled(tmp_path: Path) -> None:
    names = ("cat", "dog", "owl")
    writer = PredictionWriter(tmp_path, PredictionsConfig(), kind="multiclass", class_names=lambda: names)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, default_root_dir=tmp_path)
    trainer.callbacks.append(writer)  # type: ignore[attr-defined]  # set by a connector
    trainer.predict(Predicting(scores), datamodule=Rows(), return_predictions=False)
    writer.finish()

    found = rows(tmp_path / "predictions.csv")
    assert [row["label"] for row in found] == [names[int(row["class"])] for row in found]
    assert list(found[0])[:3] == ["index", "class", "label"]
