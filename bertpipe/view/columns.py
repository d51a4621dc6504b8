"""Which columns of an output can be shown, and as what: told by their types, not their names."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

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
    TABLE = "table"


@dataclass(frozen=True)
class Shown:
    """An annotation: a column, or a field of a column that holds several.

    path: the name of the column and, of a field, its own. fields: those that a table has.
    """

    kind: Kind
    path: tuple[str, ...]
    fields: Sequence[str] = ()

    def value(self, row: Mapping[str, Any]) -> Any:
        """Return what a row has of it; None where it has nothing."""
        found: Any = row
        for name in self.path:
            found = None if found is None else found[name]
        return found


def kind_of(type_: pa.DataType) -> Kind | None:
    """Return how a column of this type is shown; None if it is no annotation for people."""
    is_list = pa.types.is_list(type_) or pa.types.is_large_list(type_)
    names = _field_names(type_.value_type if is_list else type_)
    if not is_list:
        return Kind.CLASSES if {"label", "score"} <= names else None
    if {"question", "start", "end"} <= names:
        return Kind.ANSWERS
    if {"start", "end"} <= names:
        return Kind.SPANS if "label" in names else Kind.TABLE
    return None


def choose(schema: pa.Schema, wanted: Sequence[str]) -> Mapping[str, Shown]:
    """Return what is shown of the wanted columns; all that can be shown if none is named.

    A field is named `COLUMN.FIELD`; the name of the column alone means all of its fields.

    Raises:
        ConfigError: A column is not there or cannot be shown, or there is none to show.
    """
    shown = {".".join(each.path): each for field in schema for each in _shown(field)}
    if not shown:
        raise ConfigError(
            "No column of this output has entities, classes or answers, which are what can be"
            f" viewed; its columns are {', '.join(schema.names)}."
        )
    if not wanted:
        return shown
    chosen: dict[str, Shown] = {}
    for name in wanted:
        found = {key: each for key, each in shown.items() if name in (key, each.path[0])}
        if not found:
            is_there = name in schema.names
            why = f"is of type {schema.field(name).type}" if is_there else "does not exist"
            raise ConfigError(
                f"Column {name!r} {why} and cannot be viewed; choose from {', '.join(shown)}."
            )
        chosen |= found
    return chosen


def _shown(field: pa.Field, above: tuple[str, ...] = ()) -> Iterator[Shown]:
    """Yield a column as it is shown or, of a struct that is nothing itself, its fields."""
    path = (*above, field.name)
    kind = kind_of(field.type)
    if kind is Kind.TABLE:
        yield Shown(kind, path, _table_fields(field.type.value_type))
    elif kind is not None:
        yield Shown(kind, path)
    elif pa.types.is_struct(field.type) and not above:
        for each in field.type:
            yield from _shown(each, path)


def _table_fields(type_: pa.DataType) -> list[str]:
    """Return the fields of a place for a table: none of its own text, and no vector."""
    apart = ("start", "end", "text")
    return [each.name for each in type_ if each.name not in apart and _is_cell(each.type)]


def _is_cell(type_: pa.DataType) -> bool:
    if pa.types.is_struct(type_):
        return all(_is_cell(each.type) for each in type_)
    if pa.types.is_list(type_):
        return pa.types.is_string(type_.value_type) or _is_cell(type_.value_type)
    return is_field(type_)


def is_field(type_: pa.DataType) -> bool:
    """Tell whether values of this type are shown as fields beside a text."""
    return any(test(type_) for test in _FIELD_TESTS)


def _field_names(type_: pa.DataType) -> set[str]:
    return {field.name for field in type_} if pa.types.is_struct(type_) else set()
