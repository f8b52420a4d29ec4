"""The datamodule group: how a task's data is split for training, and how batches of it are loaded."""

from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import ClassVar, Literal, get_args

from app.schemas.augmentations.augmentation import AugmentationConfig, PlacedTarget
from app.schemas.batch import BatchSpec, TensorSpec, usual_target
from app.schemas.codes import Code
from app.schemas.constraints import NonNegativeFloat, NonNegativeInt, PositiveInt, Seed
from app.schemas.phases import Split
from app.schemas.problems import show
from app.schemas.registry import group
from app.schemas.rules import Finding, remark, rule
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


@schema
class FurtherDatasetConfig:
    """A dataset to look at beside a split's own: the same samples, changed, unless its datamodule reads others.

    What is random in the changes is drawn once, from `split_seed`: every run and every epoch sees the same samples.
    """

    augmentations: dict[str, AugmentationConfig] = field(default_factory=dict)
    """Changes to the split's samples, in this order: noise or turns that a model should withstand."""

    dataloader: DataLoaderConfig | None = None
    """How its batches are made; null is as those of the split's own dataset."""


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

    augmentations: dict[str, AugmentationConfig] = field(default_factory=dict)
    """Random changes to the training images, in this order; the other splits are never changed."""

    val_datasets: dict[str, FurtherDatasetConfig] = field(default_factory=dict)
    """Further datasets to validate on by name; their results are logged as `val/<name>/…`, beside the split's own."""

    test_datasets: dict[str, FurtherDatasetConfig] = field(default_factory=dict)
    """Further datasets to test on by name, beside the task's fixed test split, which every result is about."""

    predict_datasets: dict[str, FurtherDatasetConfig] = field(default_factory=dict)
    """Further datasets to predict by name."""

    placed_targets: ClassVar[Mapping[str, PlacedTarget]] = {}
    """The targets whose values lie at places of the image, by name, and so move with them; one of each form."""

    input_endings: ClassVar[tuple[str, ...]] = ()
    """The endings of files that `app predict` reads samples from, such as `.png`; none where it reads no files."""

    @rule("augmentations", "val_datasets", "test_datasets", "predict_datasets")
    def targets_move_along(self) -> Iterator[Finding]:
        """Boxes around what is no longer there would be learnt."""
        forms = self.placed_targets.values()
        assert len(set(forms)) == len(forms), "an augmentation moves one mask, and one set of boxes with their labels"
        for path, augmentation in self.all_augmentations():
            for target, form in self.placed_targets.items():
                if form not in augmentation.moves:
                    yield path, f"moves the image, and cannot move '{target}' ({form}) along"

    @rule("evaluation_dataloader", "val_datasets", "test_datasets", "predict_datasets", code=Code.DROP_LAST)
    def evaluation_reads_to_the_end(self) -> Iterator[Finding]:
        """Results that leave samples out would change with the size of a batch."""
        for path, loader in self.loaders():
            if path != ("dataloader",) and loader.drop_last:
                yield (*path, "drop_last"), "true would leave the last samples out of every result; expected false"

    @rule("val_datasets", "test_datasets", "predict_datasets")
    def datasets_have_names(self) -> Iterator[Finding]:
        """A name is part of those that results are logged under."""
        for path, _ in self._further_datasets():
            if not path[1].isidentifier():
                yield path, f"expected a name of letters, digits and _, found {show(path[1])}"

    @remark(Code.UNUSED)
    def further_datasets_differ(self) -> Iterator[Finding]:
        """The same samples give the same results once more."""
        for path, dataset in self._further_datasets():
            if type(dataset) is FurtherDatasetConfig and not dataset.augmentations:
                yield path, "has the samples of the split's own dataset: no augmentation changes them"

    def loader(self, split: Split, dataset: str = "") -> DataLoaderConfig:
        """How the batches of a split are made, of its own dataset or of a further one."""
        own = self.dataloader if split == "train" else self.evaluation_dataloader or self.dataloader
        return self.further_datasets(split)[dataset].dataloader or own if dataset else own

    def loaders(self) -> Iterator[tuple[tuple[str, ...], DataLoaderConfig]]:
        """Every setting of a loader, with its path."""
        yield ("dataloader",), self.dataloader
        if self.evaluation_dataloader is not None:
            yield ("evaluation_dataloader",), self.evaluation_dataloader
        for path, dataset in self._further_datasets():
            if dataset.dataloader is not None:
                yield (*path, "dataloader"), dataset.dataloader

    def all_augmentations(self) -> Iterator[tuple[tuple[str, ...], AugmentationConfig]]:
        """Every augmentation, of further datasets too, with its path; those that others are made of are in them."""
        for name, augmentation in self.augmentations.items():
            yield ("augmentations", name), augmentation
        for path, dataset in self._further_datasets():
            for name, augmentation in dataset.augmentations.items():
                yield (*path, "augmentations", name), augmentation

    def further_datasets(self, split: Split) -> Mapping[str, FurtherDatasetConfig]:
        """The datasets that a split has beside its own, by name; train has none."""
        further: Mapping[str, FurtherDatasetConfig] = getattr(self, f"{split}_datasets", {})
        return further

    def _further_datasets(self) -> Iterator[tuple[tuple[str, str], FurtherDatasetConfig]]:
        for split in get_args(Split):
            for name, dataset in self.further_datasets(split).items():
                yield (f"{split}_datasets", name), dataset

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

    def dataset_names(self, split: Split) -> tuple[str, ...]:
        """The names of a split's datasets where it has several, in the order of their loaders; else none.

        The split's own dataset has an empty name: its results go by the split's alone.
        """
        further = self.further_datasets(split)
        return ("", *further) if further else ()
