"""Paths as users write them: `~` stands for a home folder."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from app.schemas.constraints import NonEmptyText
from app.schemas.problems import AppError


class UnknownHomeError(AppError):
    """A path starts in the home folder of somebody whom the machine does not know."""

    def __init__(self, text: str) -> None:
        self.text = text
        home = Path(text).parts[0]
        super().__init__(f"{text}: there is no home folder '{home}' on this machine; './{text}' would be one called so")

    def __reduce__(self) -> tuple[type["UnknownHomeError"], tuple[str]]:
        return type(self), (self.text,)


def user_path(text: str) -> Path:
    """The path that a text means; a relative one starts from where the command is run.

    Raises:
        UnknownHomeError: when it starts in a home folder that is not there to be found.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise UnknownHomeError(text) from None


def _with_known_home(text: str) -> str:
    try:
        user_path(text.removeprefix("file://"))
    except UnknownHomeError as error:
        raise ValueError(str(error)) from None
    return text


UserPath = Annotated[NonEmptyText, AfterValidator(_with_known_home)]
"""A file or folder, in the words of `user_path`, or its address; whether it is there is for who opens it to say."""
