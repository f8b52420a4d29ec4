"""What is preset for an option holds for it wherever it is chosen: by its group, or by `id` inside another part."""

from typing import Any, cast, get_origin

from app.schemas.annotations import alternatives, element_type, field_types, nesting_fields
from app.schemas.registry import group_of, option_at, options, starting_values
from app.schemas.schema import MISSING, is_schema


def with_presets(value: Any, annotation: Any) -> Any:
    """A tree of plain containers in which every option chosen by `id` has what is preset for it and not written."""
    for member in alternatives(annotation):
        if is_schema(member) and isinstance(value, dict):
            return _part(value, member)
        if get_origin(member) is tuple and isinstance(value, list):
            return [with_presets(item, element_type(member, place)) for place, item in enumerate(value)]
        if get_origin(member) is dict and isinstance(value, dict):
            return {key: with_presets(item, element_type(member, key)) for key, item in value.items()}
    return value


def _part(value: dict[Any, Any], cls: type) -> dict[Any, Any]:
    schema = cls
    group = group_of(cls)
    if group is not None and not group.presets_only:
        chosen = "_target_" not in value
        option = options[group.name].get(str(value.get("id"))) if chosen else option_at(value["_target_"])
        if option is None:
            return value
        schema = option.schema
        if chosen:
            # Its defaults too, which others may interpolate; what has none is told to be missing where it is read.
            started = {name: item for name, item in starting_values(schema).items() if item != MISSING}
            value = {**started, **cast(dict[str, Any], option.preset), **value}
    types, nesting = field_types(schema), nesting_fields(schema)
    return {key: with_presets(item, types[key]) if key in nesting else item for key, item in value.items()}
