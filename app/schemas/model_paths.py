"""Paths that name parts of a model, `.head` or `head.weight`; a leading dot does not matter, whole words count."""


def bare(path: str) -> str:
    """A path without the dot it may begin with; the whole model's is empty."""
    return path.removeprefix(".")


def is_within(path: str, part: str) -> bool:
    """Whether a path is the part's own or leads into it."""
    inner, outer = bare(path), bare(part)
    return not outer or inner == outer or inner.startswith(f"{outer}.")


def nested(one: str, other: str) -> bool:
    """Whether two paths are the same, or one names a part of the other."""
    return is_within(one, other) or is_within(other, one)
