"""What a checkpoint keeps of its data beside the weights, such as how the columns of a table are scaled."""

from lightning import LightningDataModule

from app.checkpoints.contents import read_contents


def load_data_state(datamodule: LightningDataModule, path: str) -> None:
    """Let a datamodule read other data as the run did that wrote the checkpoint, as Lightning does on a resume.

    Lightning keeps the state under the name of the class; a checkpoint of another datamodule changes nothing.

    Raises:
        CheckpointError: when the file cannot be read.
    """
    state = read_contents(path).values.get(type(datamodule).__qualname__)
    if isinstance(state, dict):
        datamodule.load_state_dict(state)
