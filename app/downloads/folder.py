"""Where data lies that is downloaded or generated."""

from pathlib import Path

from platformdirs import user_cache_path

from app.schemas.user_paths import user_path


def data_folder(data_dir: str | None, task: str) -> Path:
    """The folder of a task's data: the one that its config names, or one in the user's cache folder.

    Raises:
        UnknownHomeError: when it is in the home folder of somebody whom the machine does not know.
    """
    if data_dir is None:
        return user_cache_path("typed-lightning-app") / task
    return user_path(data_dir).absolute()
