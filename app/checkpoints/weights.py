"""The weights in a file, whoever wrote it, and whether they can take the place of a model's."""

from collections.abc import Collection, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from app.checkpoints.archive import damage, is_archive
from app.checkpoints.contents import read_contents
from app.checkpoints.opening import CheckpointError, opened
from app.checkpoints.safetensors_file import SAFETENSORS, read_safetensors
from app.checkpoints.storage import load_checkpoint, plain_values
from app.models.named_parameters import abbreviated

_SHOWN: Final = 5


def load_weights(module: nn.Module, path: str) -> None:
    """Put a checkpoint's weights into the whole module that was saved, metrics and all.

    Raises:
        CheckpointError: when the file cannot be read, or holds the weights of another model.
    """
    weights = load_checkpoint(path)["state_dict"]
    _refuse(
        module, weights, {name for name, value in module.state_dict().items() if fits(value, weights.get(name))}, path
    )
    module.load_state_dict(weights)


def refuse_another_model(module: nn.Module, path: str) -> None:
    """Say so before a run goes on from a checkpoint, where Lightning would list every tensor.

    Raises:
        CheckpointError: when the file cannot be read, or holds the weights of another model.
    """
    stored = read_contents(path).weights
    fitting = {
        name
        for name, value in module.state_dict().items()
        if name in stored and shape_of(value) in (None, tuple(stored[name].shape))
    }
    _refuse(module, stored, fitting, path)


def _refuse(module: nn.Module, stored: Mapping[str, Any], fitting: Collection[str], path: str) -> None:
    other = [name for name in {**module.state_dict(), **stored} if name not in fitting]
    if other:
        message = f"holds the weights of another model than {type(module).__name__}: {abbreviated(other)} differ"
        raise CheckpointError(path, f"{message}; use the options it was trained with")


def read_weights(path: str) -> dict[str, Any]:
    """The named weights in a file: of a Lightning checkpoint, a bare state dict, or "" for one bare tensor.

    A name that ends in `.safetensors` says that the file is one of these.

    Raises:
        CheckpointError: when the file cannot be read or holds no weights.
    """
    checkpoint = read_checkpoint(path)
    if isinstance(checkpoint, Tensor):
        return {"": checkpoint}
    if not isinstance(checkpoint, Mapping):
        raise CheckpointError(path, f"expected weights by name, found a {type(checkpoint).__name__}")
    state = checkpoint.get("state_dict", checkpoint)
    if not isinstance(state, Mapping) or not any(isinstance(value, Tensor) for value in state.values()):
        keys = ", ".join(map(str, list(checkpoint)[:_SHOWN])) or "nothing"
        raise CheckpointError(path, f"holds no weights, neither under state_dict nor at its top; it has {keys}")
    return {str(name): value for name, value in state.items()}


def read_checkpoint(path: str) -> Any:
    """All that a checkpoint holds: tensors and plain values, and never anything that would run.

    Raises:
        CheckpointError: when the file cannot be fetched, is damaged, or holds other things.
    """
    with opened(path, whole=True) as file:
        if PurePosixPath(path).suffix == SAFETENSORS:
            return read_safetensors(file, path)
        # Torch does not compare checksums: it would load most damaged tensors without a word.
        if is_archive(file) and (found := damage(file)):
            raise CheckpointError(path, f"is damaged: {found}")
        file.seek(0)
        return plain_values(file, path)


def fits(ours: Any, theirs: Any) -> bool:
    """Whether a loaded value can take the place of the model's; a parameter that is not made yet takes any shape."""
    if isinstance(ours, Tensor) != isinstance(theirs, Tensor):
        return False
    return shape_of(ours) is None or shape_of(ours) == shape_of(theirs)


def shape_of(value: Any) -> tuple[int, ...] | None:
    """A tensor's shape; None for what is no tensor, or has no shape yet."""
    return tuple(value.shape) if isinstance(value, Tensor) and not is_lazy(value) else None
