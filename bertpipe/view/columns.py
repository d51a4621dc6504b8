"""Which columns of an output can be shown, and as what: told by their types, not their names."""

from collections.abc import Mapping, Sequence
from enum import Enum

import pyarrow as pa

from bertpipe.errors import ConfigError

_FIELD_TESTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
)


class Kind(Enum):
    """How the values of a column are shown."""

    SPANS = "spans"
    CLASSES = "classes"
    ANSWERS = "answers"


def kind_of(type_: pa.DataType) -> Kind | None:
    """Return how a column of this type is shown; None if it is no annotation for people."""
    is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_)
    names = _field_names(type_.value_type if is_list else type_)
    if not is_list:
        return Kind.CLASSES if {"label", "score"} <= names else None
    if {"question", "start", "end"} <= names:
        return Kind.ANSWERS
    return Kind.SPANS if {"start", "end", "label"} <= names else None


def choose(schema: pa.Schema, wanted: Sequence[str]) -> Mapping[str, Kind]:
    """Return the wanted columns with their kinds; all that can be shown if none is named.

    Raises:
        ConfigError: A column is not there or cannot be shown, or there is none to show.
    """
    kinds = {field.name: kind_of(field.type) for field in schema}
    shown = {name: kind for name, kind in kinds.items() if kind is not None}
    if not shown:
        raise ConfigError(
            "No column of this output has entities, classes or answers, which are what can be"
            f" viewed; its columns are {', '.join(kinds)}."
        )
    for name in wanted:
        if name not in shown:
            why = f"is of type {schema.field(name).type}" if name in kinds else "does not exist"
            raise ConfigError(
                f"Column {name!r} {why} and cannot be viewed; choose from {', '.join(shown)}."
            )
    return {name: shown[name] for name in dict.fromkeys(wanted)} if wanted else shown


def is_field(type_: pa.DataType) -> bool:
    """Tell whether values of this type are shown as fields beside a text."""
    return any(test(type_) for test in _FIELD_TESTS)


def _field_names(type_: pa.DataType) -> set[str]:
    return {field.name for field in type_} if pa.types.is_struct(type_) else set()
