"""Files that are downloaded: what they are called, where they come from, and the digest they are known by."""

import re
from typing import Annotated

from pydantic import AfterValidator

from app.schemas.annotations import alternatives, field_types
from app.schemas.constraints import FileName
from app.schemas.schema import is_schema, schema


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+\S*", text):
        raise ValueError(f"expected an address that begins with 'https://' or 'http://', found {text!r}")
    return text


def _sha256(text: str) -> str:
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError(f"expected a SHA-256 of 64 small hexadecimal digits, found {text!r}")
    return text


URL = Annotated[str, AfterValidator(_url)]
"""A web address."""

SHA256 = Annotated[str, AfterValidator(_sha256)]
"""A SHA-256 digest in small hexadecimal digits."""


@schema
class DownloadConfig:
    """A file that is downloaded unless it is there already."""

    file_name: FileName
    """What it is called in the folder of the data, whatever its address ends in."""

    mirrors: tuple[URL, ...] = ()
    """The addresses it may come from, tried in this order; without any, it has to be there."""

    sha256: SHA256 | None = None
    """The digest of its bytes, which every copy must have; null takes what comes, for data of your own."""


def is_downloaded(config: type) -> bool:
    """Whether what a schema configures begins with a download: it, or a part of it, says of a file where to get it."""
    parts = [part for annotation in field_types(config).values() for part in alternatives(annotation)]
    return config is DownloadConfig or any(is_downloaded(part) for part in parts if is_schema(part))
