"""What a download may be called and come from, and which data is downloaded."""

from typing import Any

import pytest

from app.schemas.downloads import DownloadConfig, is_downloaded
from app.schemas.problems import ConfigError
from app.schemas.registry import options
from app.tasks import import_task_configs


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"file_name": "a/b"}, "file_name: expected a file's name without folders, found 'a/b'"),
        ({"file_name": ".."}, "file_name: expected a file's name without folders, found '..'"),
        ({"file_name": ""}, "file_name: expected a text that is not empty, found ''"),
        ({"mirrors": ("ftp://a/b",)}, r"mirrors\[0\]: expected an address that begins with 'https://' or 'http://'"),
        ({"sha256": "ABC"}, "sha256: expected a SHA-256 of 64 small hexadecimal digits, found 'ABC'"),
    ],
)
def test_what_could_not_be_fetched_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        DownloadConfig(**{"file_name": "a.gz", **wrong})


def test_the_tasks_whose_data_is_downloaded_are_known_by_their_files() -> None:
    import_task_configs()

    found = [option.owner for option in options["datamodule"].values() if is_downloaded(option.schema)]

    assert sorted(map(str, found)) == ["cifar10", "fashion_mnist", "mnist"]
