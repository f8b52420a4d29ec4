"""Tasks whose data is generated, unless the user names a folder: what both kinds of data have in common."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from app.schemas.phases import Split
from app.schemas.problems import show
from app.schemas.rules import Finding
from app.schemas.schema import schema
from app.schemas.task import TaskConfig
from app.schemas.user_paths import UserPath, user_path


@schema
class OwnFolderTaskConfig(TaskConfig):
    """A task on generated data, whose facts nobody may change, or on a folder, whose facts are the user's to say.

    A task's own config has a rule that reads `folder` and these facts, and yields what `facts_of_the_data` finds.
    """

    folder: UserPath | None = None
    """A folder of one's own data, in which each split has a folder of its name; null generates data."""

    def facts_of_the_data(self, generated: Mapping[str, object], *, called: str) -> Iterator[Finding]:
        """What does not fit the data: `generated` are the facts of generated data, `test_fingerprint` among them."""
        fingerprint = generated["test_fingerprint"]
        if self.folder is None:
            for name, value in generated.items():
                if getattr(self, name) != value:
                    found = f"{called} have {show(value)}, found {show(getattr(self, name))}"
                    yield name, f"{found}; for data of your own, type task.folder=FOLDER"
        elif self.test_fingerprint == fingerprint:
            yield (
                "test_fingerprint",
                f"is that of {called}, not of a folder; type task.test_fingerprint=null, or what a test of it found",
            )

    def split_folder(self, split: Split) -> Path | None:
        """Where a split of one's own data is, or would be; None for generated data."""
        return None if self.folder is None else user_path(self.folder) / split

    def optional_folder(self, split: Split) -> Path | None:
        """Where a split is that need not be there, if one's own data has it."""
        folder = self.split_folder(split)
        return folder if folder is not None and folder.exists() else None
