"""`DownloadError`: a file that no mirror gave, and what can be done about it."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from app.schemas.downloads import DownloadConfig
from app.schemas.problems import AppError


class Failure(NamedTuple):
    """Why one mirror did not give the file."""

    url: str
    reason: str


class DownloadError(AppError):
    """A file is neither in its folder, nor to be had from any mirror.

    Args:
        download: The file.
        folder: The folder.
        setting: Where the download stands in a run's config, for what to type.
        failures: What became of each attempt.
    """

    def __init__(self, download: DownloadConfig, folder: Path, setting: str, failures: Sequence[Failure]) -> None:
        self.download, self.folder, self.setting, self.failures = download, folder, setting, tuple(failures)
        tried = [f"  {url}: {reason}" for url, reason in failures] or ["  there is no address to get it from"]
        digest = f" (SHA-256 {download.sha256})" if download.sha256 is not None else ""
        advice = (
            f"without a connection, put the file into {folder} by hand{digest}",
            "where it is in another folder, type datamodule.data_dir=<folder>",
            f"where it is at another address, type \"{setting}.mirrors=['https://…']\"",
        )
        super().__init__("\n".join([f"cannot download {download.file_name}:", *tried, *advice]))

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.download, self.folder, self.setting, self.failures)
