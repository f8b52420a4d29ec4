"""What an epoch over 60,000 images costs in a run as a user has it, against a loop written by hand over the tensors.

Ours is `task=mnist module=mlp`, a network 784-256-10 with batches of 128, with everything that a run has by default:
progress bar, csv logger, loss and accuracy of train and val, checkpoints, and the callbacks that make it stop at a loss
that is no number and resume exactly. The loop shuffles, steps the same optimizer, and measures the loss and accuracy of
val; of train it measures nothing. Both see the same number of images, random ones, in files as MNIST has them. The time
is that of whole epochs, validation and checkpoint included; the first is not counted.

A third side says how much of it is Lightning's: a Trainer with nothing switched on, over the same batches, that
measures nothing. What Python costs beside torch depends on the machine and what else it does, so the sides take turns.

    python -m benchmarks.epoch --rounds 7
"""

import argparse
import platform
import statistics
import sys
import time
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from lightning import LightningModule
from torch import Generator, Tensor, nn
from torch.nn import functional

from app import load_config, load_from_config
from app.data_formats.idx import idx_bytes
from benchmarks.epoch_times import bare_epoch, own_epoch

TARGET: Final = 1.35
"""How many times as long as the loop's an epoch may take."""

EPOCHS: Final = 4
BATCH: Final = 128
HIDDEN: Final = 256
SIZES: Final = {"train": 60_000, "test": 100}
"""Images in the files; a tenth of train's are val."""

RUN: Final = (
    "task=mnist",
    "module=mlp",
    f"module.model_config.hidden_dims=[{HIDDEN}]",
    "module.model_config.dropout=0.0",
    "optimizer_spec=adam",
    f"datamodule.dataloader.batch_size={BATCH}",
    f"trainer.max_epochs={EPOCHS}",
    "trainer.accelerator=cpu",
    "trainer.devices=1",
    "trainer.deterministic=false",
    "trainer.num_sanity_val_steps=0",
)


def write_images(folder: Path) -> list[str]:
    """Random images and labels in MNIST's files, and what is to be typed to train on them."""
    words = [f"datamodule.data_dir={folder}", f"run_directory.root={folder / 'runs'}"]
    generator = Generator().manual_seed(0)
    for split, size in SIZES.items():
        contents = {
            "images": torch.randint(256, (size, 28, 28), generator=generator, dtype=torch.uint8),
            "labels": torch.randint(10, (size,), generator=generator, dtype=torch.uint8),
        }
        for kind, values in contents.items():
            (folder / f"{split}-{kind}").write_bytes(idx_bytes(values))
            field = f"datamodule.files.{split}_{kind}"
            words += [f"{field}.file_name={split}-{kind}", f"{field}.sha256=null"]
    return words


class Bare(LightningModule):
    """The network as Lightning's own examples would write it, measuring nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = network()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:  # noqa: ARG002  # Lightning's signature
        """The loss of a batch."""
        return functional.cross_entropy(self.model(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:  # noqa: ARG002  # Lightning's signature
        """The loss of a batch, which nobody looks at."""
        functional.cross_entropy(self.model(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """The optimizer of all sides."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def ours(words: list[str]) -> float:
    """The fastest epoch of a run."""
    return own_epoch(*load_from_config(load_config([*RUN, *words])))


def bare(words: list[str]) -> float:
    """The fastest epoch of a Trainer with nothing switched on."""
    return bare_epoch(Bare(), load_from_config(load_config([*RUN, *words])).datamodule, epochs=EPOCHS)


def network() -> nn.Sequential:
    """What all sides train."""
    return nn.Sequential(nn.Flatten(), nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 10))


def by_hand(train: tuple[Tensor, Tensor], val: tuple[Tensor, Tensor]) -> float:
    """The fastest epoch of the loop."""
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images, labels = train
    seconds = []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.train()
        order = torch.randperm(len(images))
        for first in range(0, len(images), BATCH):
            rows = order[first : first + BATCH]
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimizer.step()
        model.eval()
        with torch.no_grad():
            total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for first in range(0, len(val[0]), BATCH):
                some, digits = val[0][first : first + BATCH], val[1][first : first + BATCH]
                scores = model(some)
                total += functional.cross_entropy(scores, digits) * len(digits)
                right += (scores.argmax(dim=1) == digits).sum()
            assert float(total) >= 0
            assert int(right) >= 0
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])


def tensors(words: list[str]) -> tuple[Any, Any]:
    """The very train and val split that a run has."""
    datamodule: Any = load_from_config(load_config([*RUN, *words])).datamodule
    datamodule.prepare_data()
    datamodule.setup("fit")
    train, val = datamodule.datasets["train"], datamodule.datasets["val"]
    return (train.inputs, train.targets), (val.inputs, val.targets)


def main() -> int:
    """Print the ratio; 1 when it is above the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    count = parser.parse_args().rounds
    warnings.filterwarnings("ignore")
    threads = f"{torch.get_num_threads()} threads"
    print(f"torch {torch.__version__}, Python {platform.python_version()}, {threads}", flush=True)
    with TemporaryDirectory() as folder:
        words = write_images(Path(folder))
        train, val = tensors(words)
        rounds = [(ours(words), bare(words), by_hand(train, val)) for _ in range(count)]
    one, lightning, loop = (statistics.median(times) for times in zip(*rounds, strict=True))
    ratio = statistics.median(one / loop for one, _, loop in rounds)
    lightnings = statistics.median(bare / loop for _, bare, loop in rounds)
    verdict = "within" if ratio <= TARGET else "MISSES"
    print(f"the loop takes {loop:.3f} s; bare Lightning {lightnings:.3f} times as long ({lightning:.3f} s)")
    print(f"an epoch of ours takes {ratio:.3f} times as long ({one:.3f} s; {verdict} {TARGET})")
    return int(ratio > TARGET)


if __name__ == "__main__":
    sys.exit(main())
