"""Starting a training from the weights of other trainings: which parts of the model come from which file."""

from collections.abc import Iterator
from dataclasses import field
from typing import Final

from app.schemas.codes import Code
from app.schemas.constraints import NonEmptyText
from app.schemas.model_paths import bare, is_within
from app.schemas.problems import Path
from app.schemas.rules import Finding, rule
from app.schemas.schema import schema
from app.schemas.user_paths import UserPath

FIELD: Final = "load_checkpoint"
"""Where the config stands in a run's."""


@schema
class LoadCheckpointConfig:
    """The files that a fresh training takes its first weights from.

    Names are paths in `module.model`, as in `optimizer_spec.params`: `head` or `.head` is a part with everything in it,
    `head.linear.weight` one parameter. A file may hold the whole model, or only the part it is given for.
    """

    base_ckpt_path: UserPath | None = None
    """File or address of the weights that all parts start from; null where each part has a file of its own."""

    overridden_name2ckpt_path: dict[str, UserPath] = field(default_factory=dict)
    """Files for single parts, by name; a name deeper in the model goes before the ones around it."""

    exclude_keys: tuple[NonEmptyText, ...] = ()
    """Names that keep their initial values, whatever the files hold; needs `strict=false`."""

    strict: bool = True
    """Refuse to train unless files and model have the very same names; a wrong shape is refused in any case."""

    renamed_prefixes: dict[str, str] = field(default_factory=dict)
    """What the names in the files begin with, and what stands for it in the model; an empty text drops it."""

    def files(self) -> dict[Path, str]:
        """Every file that is named, by the path at which it stands."""
        found: dict[Path, str] = {
            ("overridden_name2ckpt_path", name): file for name, file in self.overridden_name2ckpt_path.items()
        }
        return found if self.base_ckpt_path is None else {("base_ckpt_path",): self.base_ckpt_path, **found}

    @rule("base_ckpt_path", "overridden_name2ckpt_path")
    def something_is_loaded(self) -> Iterator[Finding]:
        """Without a file there is nothing that the other fields could be about."""
        if self.base_ckpt_path is None and not self.overridden_name2ckpt_path:
            yield "base_ckpt_path", "expected a file, or files for single parts in overridden_name2ckpt_path"

    @rule("overridden_name2ckpt_path", "exclude_keys", "renamed_prefixes")
    def names_are_paths(self) -> Iterator[Finding]:
        """A slip in a name would match nothing."""
        for name in self.overridden_name2ckpt_path:
            if message := _not_a_path(name):
                yield ("overridden_name2ckpt_path", name), message
        for place, name in enumerate(self.exclude_keys):
            if message := _not_a_path(name):
                yield ("exclude_keys", place), message
        for prefix, instead in self.renamed_prefixes.items():
            if message := _not_a_path(prefix) or (_not_a_path(instead) if instead else None):
                yield ("renamed_prefixes", prefix), message

    @rule("exclude_keys", "strict")
    def exclusion_is_not_strict(self) -> Iterator[Finding]:
        """What is left out is missing, which `strict` does not allow."""
        if self.exclude_keys and self.strict:
            yield "strict", "true allows nothing to be left out, as exclude_keys does; expected false"

    @rule("overridden_name2ckpt_path", "exclude_keys", code=Code.UNUSED)
    def no_name_is_in_vain(self) -> Iterator[Finding]:
        """What an excluded part would have got from a file of its own, it does not get."""
        for place, name in enumerate(self.exclude_keys):
            around = [other for other in self.exclude_keys[:place] if is_within(name, other)]
            if around:
                yield ("exclude_keys", place), f"'{name}' is excluded already, by '{around[0]}'"
        for name in self.overridden_name2ckpt_path:
            around = [other for other in self.exclude_keys if is_within(name, other)]
            if around:
                yield ("overridden_name2ckpt_path", name), f"has no effect: exclude_keys leaves out '{around[0]}'"


def _not_a_path(name: str) -> str | None:
    if all(bare(name).split(".")) and name == name.strip():
        return None
    return f"expected a path in the model such as 'head' or 'head.weight', found {name!r}"
