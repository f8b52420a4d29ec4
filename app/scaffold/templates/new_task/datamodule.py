"""The task's data: a test split that never varies, train and val drawn from the rest."""

import torch
from sklearn.datasets import load_iris
from torch import Tensor

from app.scaffold.templates.new_task.config import NewTaskDataModuleConfig, NewTaskTaskConfig
from app.tasks.shared.datamodule import BaseDataModule
from app.tasks.shared.datasets import InMemoryDataset
from app.tasks.shared.splitting import every_fifth_of_each, train_and_val


class NewTaskDataModule(BaseDataModule[NewTaskDataModuleConfig, NewTaskTaskConfig]):
    """Lengths `(4,)` in centimetres, and species from 0 to 2."""

    def prepare_data(self) -> None:
        """Nothing to fetch: scikit-learn carries the flowers. Downloads belong here."""

    def setup(self, stage: str) -> None:
        """Read the data and fill the splits of the stage; the test split must not depend on the config."""
        inputs, classes = _read()
        is_test = every_fifth_of_each(classes)
        if stage in ("fit", "validate"):
            self._split_for_training(inputs[~is_test], classes[~is_test])
        else:
            self.datasets["test"] = self.datasets["predict"] = InMemoryDataset(inputs[is_test], classes[is_test])

    def _split_for_training(self, inputs: Tensor, classes: Tensor) -> None:
        train, val = train_and_val(len(inputs), self.datamodule_config)
        self.datasets["train"] = InMemoryDataset(inputs[train], classes[train], self.augmentation())
        self.datasets["val"] = InMemoryDataset(inputs[val], classes[val])


def _read() -> tuple[Tensor, Tensor]:
    lengths, species = load_iris(return_X_y=True)
    return torch.from_numpy(lengths).to(torch.float32), torch.from_numpy(species).to(torch.int64)
