"""The datamodule group: how a task's data is split for training, and how batches of it are loaded."""

from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from app.schemas.batch import BatchSpec, TensorSpec, usual_target
from app.schemas.codes import Code
from app.schemas.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt, Seed
from app.schemas.phases import Split
from app.schemas.registry import group
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.task import TaskConfig


@schema
class DataLoaderConfig:
    """How batches are made: the settings of `torch.utils.data.DataLoader`."""

    batch_size: PositiveInt = 64
    """Samples in a batch; larger ones use the hardware better, but take fewer and less varied steps in an epoch."""

    num_workers: NonNegativeInt = 0
    """Processes that load ahead, for each split; 0 loads in the main process, which is faster for data in memory."""

    pin_memory: bool = False
    """Put batches where a GPU copies them from fastest; needs an accelerator, and costs time without one."""

    persistent_workers: bool = False
    """Keep the workers, and their memory, from one epoch to the next instead of starting them anew."""

    prefetch_factor: PositiveInt | None = None
    """Batches that each worker keeps ready; null is torch's choice, 2 when there are workers."""

    drop_last: bool = False
    """Leave out the training split's last batch when it is not full; the other splits are always read to the end."""

    timeout: NonNegativeFloat = 0.0
    """Seconds to wait for a worker's batch before giving up; 0 waits for ever."""

    multiprocessing_context: Literal["fork", "forkserver", "spawn"] | None = None
    """How workers are started; null is the platform's own way."""

    in_order: bool = True
    """Hand batches over in order, which reproducible runs need; false does not wait for a slow worker."""

    @rule("num_workers", "persistent_workers", "prefetch_factor", "timeout", "multiprocessing_context", "in_order")
    def workers_have_settings(self) -> Iterator[Finding]:
        """Torch refuses most of these only once the loader is made, and ignores the rest."""
        if self.num_workers > 0:
            return
        for name, is_set in {
            "persistent_workers": self.persistent_workers,
            "prefetch_factor": self.prefetch_factor is not None,
            "timeout": self.timeout > 0,
            "multiprocessing_context": self.multiprocessing_context is not None,
            "in_order": not self.in_order,
        }.items():
            if is_set:
                yield name, "is about worker processes, and there are none; it needs num_workers of at least 1"


@group("datamodule")
@schema
class DataModuleConfig:
    """Config of a `LightningDataModule`; each option adds how its data is split, changed and augmented."""

    dataloader: DataLoaderConfig = field(default_factory=DataLoaderConfig)
    """How the batches of every split are made, unless `evaluation_dataloader` says otherwise."""

    evaluation_dataloader: DataLoaderConfig | None = None
    """How those of val, test and predict are made, which need no gradients and so fit more samples; null is alike."""

    split_seed: Seed = 0
    """Seed of the split into train and val; apart from the run's seed, so that runs differ in one thing at a time."""

    @rule("evaluation_dataloader", code=Code.DROP_LAST)
    def evaluation_reads_to_the_end(self) -> Iterator[Finding]:
        """Results that leave samples out would change with the size of a batch."""
        if self.evaluation_dataloader is not None and self.evaluation_dataloader.drop_last:
            left_out = "true would leave the last samples out of every result; expected false"
            yield "evaluation_dataloader.drop_last", left_out

    def loader(self, split: Split) -> DataLoaderConfig:
        """How the batches of a split are made."""
        return self.dataloader if split == "train" else self.evaluation_dataloader or self.dataloader

    def target_keys(self) -> tuple[str, ...]:
        """The names of a batch's targets, which losses and metrics are computed from beside a module's outputs."""
        return ("target",)

    def batch(self, task: TaskConfig) -> BatchSpec:
        """What a batch looks like, by which a model is tried out before there is any data.

        Right for inputs of the task's shape, as 32-bit numbers, with the target that is usual for a task of its kind.
        Whoever has others, or several, says so here.
        """
        usual = {"target": usual_target(task)} if "target" in self.target_keys() else {}
        return BatchSpec(input=TensorSpec(shape=task.input_shape), targets=usual)

    def dataset_names(self, split: Split) -> tuple[str, ...]:  # noqa: ARG002  # for overriding
        """The names of a split's datasets where it has several, in the order of their loaders; else none."""
        return ()
