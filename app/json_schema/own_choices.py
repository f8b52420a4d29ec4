"""What an experiment's own choices say of its values, whatever it builds on; mostly the same for every task."""

from collections.abc import Collection, Iterable
from typing import Final

from app.choices import check_choice
from app.composing.stored_config import STORED
from app.json_schema.choices import any_of, chooses, when, within
from app.json_schema.definitions import Definitions
from app.json_schema.types import Json
from app.schemas.descriptions import first_paragraph, summary
from app.schemas.registry import Group, Option
from app.schemas.run import DEFAULT_OPTIONS

_AT_A_TIME: Final = 12


class OwnChoices:
    """Conditions on `defaults`, and what they lead to; each is defined once."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions

    def stored(self) -> Json:
        """Whether it names a checkpoint whose config takes the place of what there is from the start."""
        set_here = [{"required": [key], "properties": {key: {"type": "string"}}} for key in STORED]
        return self.definitions.condition("if-stored-here", any_of(set_here))

    def chooses(self, group: Group) -> Json:
        """Whether the experiment chooses for a group at all."""
        return self.definitions.condition(f"if-{group.name}-here", chooses(group.name))

    def chooses_option(self, group: Group, option: str | None) -> Json:
        """Whether it chooses this option, or none; in a group of several, this one among others."""
        found = chooses(group.name, option, none=option is None)
        return self.definitions.condition(f"if-{group.name}={option}-here", found)

    def parts(self, group: Group) -> dict[str | None, Json]:
        """What a group with one choice may hold, by the option that is chosen."""
        found: dict[str | None, Json] = {}
        if check_choice(group.name, None) is None:
            found[None] = within(group.path, {"anyOf": [self.definitions.by_id(group), {"type": "null"}]})
        for name, option in self.definitions.choices(group).items():
            found[name] = within(group.path, self.definitions.chosen(option))
        return found

    def part(self, group: Group) -> Json:
        """What a group with one choice holds where the experiment makes it."""
        parts = self.parts(group).items()
        made = {"allOf": [when(self.chooses_option(group, name), found, {}) for name, found in parts]}
        return self.definitions.shared(f"{group.name}-here", made)

    def entry(self, option: Option) -> Json:
        """What the entry holds that an option of a group of several makes under its own name."""
        described = {"description": first_paragraph(summary(option.schema)), "doNotSuggest": False}
        chosen = {**described, "allOf": [self.definitions.chosen(option)]}
        return within((*option.group.path, option.name), chosen)

    def entries(self, group: Group, names: Iterable[str]) -> Json:
        """What the entries of these names hold where the experiment chooses them."""
        choices = self.definitions.choices(group)
        made = {"allOf": [when(self.chooses_option(group, name), self.entry(choices[name]), {}) for name in names]}
        return self.definitions.shared(f"{group.name}-here", made)

    def entries_anew(self, group: Group, names: Collection[str]) -> Json:
        """Entries named as options that the experiment does not choose: what they are, their `id` has to say.

        A few at a time, so that tasks share most of them whichever names they leave out.
        """
        started = DEFAULT_OPTIONS.get(group.name) or ()
        usual = [name for name in self.definitions.choices(group) if name not in started]
        several = [*(usual[at : at + _AT_A_TIME] for at in range(0, len(usual), _AT_A_TIME)), started]
        few = [[name for name in some if name in names] for some in several]
        return self.definitions.shared(
            f"{group.name}-anew", {"allOf": [self._anew(group, some) for some in few if some]}
        )

    def _anew(self, group: Group, names: Iterable[str]) -> Json:
        anew = {name: self.by_id(group, f"^{name}$") for name in names}
        made = {"allOf": [when(self.chooses_option(group, name), {}, found) for name, found in anew.items()]}
        return self.definitions.shared(f"{group.name}-some-anew", made)

    def by_id(self, group: Group, names: str) -> Json:
        """Entries whose names match, each of the option that its `id` names."""
        # A pattern, since editors would offer the name of a property.
        return within(group.path, {"patternProperties": {names: self.definitions.by_id(group)}})
