"""`export_model`: a module becomes a file that computes the same, or there is no file."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from app.checkpoints.manifest import Entry, manifest_of
from app.checkpoints.manifest import written as as_manifest
from app.data_formats.whole_file import partial_file
from app.export.contents import EXPORT, written
from app.export.exported_model import model_of
from app.export.formats import INPUT, ExportError, serialized, traced
from app.export.parity import Difference, difference, largest
from app.schemas.export import ENDINGS, ExportConfig
from app.schemas.problems import AppError, first_line

_SAMPLES: Final = 64
"""Samples that are enough for a comparison."""


@dataclass(frozen=True, kw_only=True)
class Exported:
    """An exported model, and how near it is to the module."""

    file: Path
    outputs: tuple[str, ...]
    differences: Mapping[str, Difference]
    """By output, over all batches that were compared."""

    batch_sizes: tuple[int, ...]
    """The sizes of those batches."""

    config: ExportConfig

    def as_result(self) -> dict[str, Any]:
        """What a run's result says of it."""
        return {"file": str(self.file), "format": self.config.format, **self.as_said()}

    def as_said(self) -> dict[str, Any]:
        """What the file itself says of it."""
        (name, found), tolerance = largest(self.differences), self.config.tolerance
        return {
            "outputs": list(self.outputs),
            "difference": {"output": name, "absolute": found.absolute, "relative": found.relative},
            "tolerance": {"absolute": tolerance.absolute, "relative": tolerance.relative},
            "batch_sizes": list(self.batch_sizes),
        }


def export_model(
    module: nn.Module, inputs: Tensor, config: ExportConfig, *, folder: Path, description: Mapping[str, Any]
) -> Exported:
    """Write what a module computes in evaluation mode, for batches of any size, once it is found to be the same.

    Args:
        module: Takes one tensor and gives tensors by name; it stays as it is, on the CPU.
        inputs: Real samples, `(batch, …)`, by which both are compared: one, three, and all of them at once.
        config: The format, the file's name, and the tolerance.
        folder: Where the file goes, and a manifest beside it.
        description: What the file says of the run, as `app.checkpoints.contents.description` makes it, and how long
            it was trained: `epoch` and `global_step`, as a checkpoint says it.

    Raises:
        ExportError: when the module cannot be exported, or the file would compute something else than the module.
    """
    inputs = _as_taken(inputs.detach().cpu(), module)
    file = folder / f"{config.file}{ENDINGS[config.format]}"
    training = module.training
    module.eval()
    try:
        expected = _outputs(module, inputs[:1])
        example = torch.zeros_like(inputs[:1]).repeat(2, *[1] * (inputs.ndim - 1))
        program = traced(module, example)
        content = serialized(program, tuple(expected), config.format)
        takes = {"name": INPUT, "shape": list(inputs.shape[1:]), "dtype": str(inputs.dtype).removeprefix("torch.")}
        about = {"input": takes, "format": config.format, "outputs": list(expected)}
        again = model_of(content(written({**description, EXPORT: about})), str(file))
        differences = {name: Difference(absolute=0.0, relative=0.0, allowed=True) for name in expected}
        sizes = tuple(dict.fromkeys((1, min(3, len(inputs)), len(inputs))))
        for size in sizes:
            batch = inputs[:size]
            found = again(batch)
            for name, value in _outputs(module, batch).items():
                one = difference(value, found[name], config.tolerance)
                _, differences[name] = largest({"before": differences[name], "now": one})
        _refuse_difference(differences, config, sizes)
    finally:
        module.train(training)
    exported = Exported(file=file, outputs=tuple(expected), differences=differences, batch_sizes=sizes, config=config)
    said = {**description, EXPORT: about | exported.as_said()}
    _write(file, content(written(said)), step=said.get("global_step") or 0, epoch=said.get("epoch") or 0)
    return exported


def samples_of(loaders: Any) -> Tensor:
    """The first inputs that a dataloader gives, or the first of several dataloaders; at least two.

    Raises:
        ExportError: when there are none.
    """
    several = loaders.values() if isinstance(loaders, Mapping) else loaders
    loader: Iterable[Any] = loaders if isinstance(loaders, DataLoader) else next(iter(several or ()), ())
    found: list[Tensor] = []
    for batch in loader:
        found += [batch[0]]
        if sum(map(len, found)) >= _SAMPLES:
            break
    if not found or not isinstance(found[0], Tensor):
        raise ExportError("the exported model cannot be compared with torch: the val split gives no batch of tensors")
    inputs = torch.cat(found)[:_SAMPLES]
    return inputs if len(inputs) > 1 else torch.cat([inputs, inputs])


def _as_taken(inputs: Tensor, module: nn.Module) -> Tensor:
    """The inputs as a module takes them that was trained in another precision."""
    weights = next((each for each in module.parameters() if each.is_floating_point()), None)
    return inputs if weights is None or not inputs.is_floating_point() else inputs.to(weights.dtype)


def _outputs(module: nn.Module, inputs: Tensor) -> dict[str, Tensor]:
    try:
        with torch.no_grad():
            found = module(inputs)
    except NotImplementedError as error:
        raise ExportError(f"the model cannot be exported: {first_line(error)}") from error
    if not isinstance(found, Mapping) or not found:
        raise ExportError(
            f"the model cannot be exported: its forward gives a {type(found).__name__}, not named tensors"
        )
    for name, value in found.items():
        if not isinstance(value, Tensor):
            raise ExportError(
                f"the model cannot be exported: its output '{name}' is a {type(value).__name__}, no tensor"
            )
    return dict(found)


def _refuse_difference(differences: Mapping[str, Difference], config: ExportConfig, sizes: tuple[int, ...]) -> None:
    name, found = largest(differences)
    if found.allowed:
        return
    if math.isinf(found.absolute):
        differs = f"its output '{name}' has another shape or type, or is no number where torch's is"
    else:
        differs = f"'{name}' is off by up to {found.absolute:.2g} ({found.relative:.2g} of the largest value)"
    allowed = f"tolerance.absolute={config.tolerance.absolute:g} and relative={config.tolerance.relative:g} allow less"
    batches = f"on batches of {', '.join(map(str, sizes))}"
    raise ExportError(f"the exported model is not the one in torch: {differs} {batches}; {allowed}; no file was left")


def _write(file: Path, content: bytes, *, step: int, epoch: int) -> None:
    """Put a file in its place as a whole, the manifest before it, so that it is never there without."""
    saved, digest = datetime.now(UTC).isoformat(), sha256(content).hexdigest()
    entry = Entry(step=step, epoch=epoch, saved=saved, digest=digest, resumable=False)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        manifest = Path(manifest_of(str(file)))
        listed = as_manifest((entry,), file.name).encode()
        with partial_file(manifest, listed) as small, partial_file(file, content) as large:
            small.replace(manifest)
            large.replace(file)
    except OSError as error:
        raise AppError(f"{file}: could not be written: {error.strerror or error}") from error
