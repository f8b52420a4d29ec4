"""The handwritten digits that scikit-learn carries, divided as all tasks on them have it."""

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from app.schemas.phases import Split
from app.schemas.splitting import SplitConfig
from app.tasks.shared.splitting import every_fifth_of_each, train_and_val


class DigitImages(NamedTuple):
    """Some of the images, in the order of scikit-learn's file unless said otherwise."""

    images: Tensor
    """`(images, 1, 8, 8)`, values between 0 and 1."""

    digits: Tensor
    """The digit of each, from 0 to 9, `(images)`."""

    numbers: Tensor
    """The place of each in the file, `(images)`."""

    @property
    def ids(self) -> list[str]:
        """What each is called where predictions are written."""
        return [f"digits/{number}" for number in self.numbers.tolist()]

    def at(self, rows: Tensor) -> "DigitImages":
        """Those at some places, or where a mask is true."""
        return DigitImages(*(tensor[rows] for tensor in self))


def read_digits() -> DigitImages:
    """All 1,797 images."""
    pixels, digits = load_digits(return_X_y=True)
    images = torch.from_numpy(pixels).to(torch.float32).view(-1, 1, 8, 8) / 16
    return DigitImages(images, torch.from_numpy(digits).to(torch.int64), torch.arange(len(images)))


def digit_splits(stage: str, config: SplitConfig) -> dict[Split, DigitImages]:
    """The splits of a stage, read in a few hundredths of a second; a fifth of the images of each digit is tested on."""
    found = read_digits()
    is_test = every_fifth_of_each(found.digits)
    if stage not in ("fit", "validate"):
        return dict.fromkeys(("test", "predict"), found.at(is_test))
    rest = found.at(~is_test)
    train, val = train_and_val(len(rest.images), config)
    return {"train": rest.at(train), "val": rest.at(val)}
