"""The columns of the corpus: found in the heads of its files, then fixed for every record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

from bertpipe.records import (
    ERROR,
    ERROR_TYPE,
    EXTRA,
    N_TOKENS,
    N_WINDOWS,
    OWN_COLUMNS,
    SOURCE,
    SOURCE_TYPE,
    STATISTICS,
    TRUNCATED,
)

MAX_DOCUMENT_CHARS = 10_000_000
_MAX_UTF8_BYTES = 4
_OTHER_FIELDS_BYTES = 1 << 20
_OWN_TYPES = {
    SOURCE: SOURCE_TYPE,
    ERROR: ERROR_TYPE,
    EXTRA: pa.string(),
    **{field.name: field.type for field in STATISTICS},
}
_OWN_KINDS: dict[str, tuple[type, ...]] = {
    SOURCE: (dict,),
    ERROR: (dict, type(None)),
    EXTRA: (str, type(None)),
    N_TOKENS: (int, type(None)),
    N_WINDOWS: (int, type(None)),
    TRUNCATED: (bool, type(None)),
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What a user says about the records: where the text is and how long it may be."""

    text_field: str = "text"
    id_field: str = "id"
    has_lines: bool = False
    max_document_chars: int = MAX_DOCUMENT_CHARS

    @property
    def max_record_bytes(self) -> int:
        """Return the size over which a record is passed over without being parsed."""
        return self.max_document_chars * _MAX_UTF8_BYTES + _OTHER_FIELDS_BYTES


@dataclass(frozen=True, slots=True)
class HeadBudget:
    """How much of each file is read to find the columns."""

    n_records: int
    n_bytes: int


@dataclass(frozen=True, slots=True)
class Head:
    """What the beginning of a file tells: its columns, and whether it has any record."""

    columns: Mapping[str, pa.DataType]
    n_records: int
    n_readable: int


@dataclass(frozen=True)
class Layout:
    """The columns that every batch of the corpus has."""

    settings: Settings
    schema: pa.Schema
    keeps_unknown: bool = True

    @cached_property
    def record_schema(self) -> pa.Schema:
        """Return `_source`, the input columns, `_extra`, `_error`."""
        fields = [pa.field(SOURCE, SOURCE_TYPE), *self.schema]
        return pa.schema([*fields, pa.field(EXTRA, pa.string()), pa.field(ERROR, ERROR_TYPE)])

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.schema.names)

    def is_lost(self, name: str, value: object) -> bool:
        """Tell whether a field has no column and belongs into `_extra`."""
        return self.keeps_unknown and name not in self.names and not is_own_value(name, value)


def head_budget(n_sources: int) -> HeadBudget:
    """Return 1,000 records or 16 MiB a file; with many files less of each, ten records at least.

    The heads of all files together hold about 200,000 records or 256 MiB at most.
    """
    n_records = max(10, min(1_000, 200_000 // max(1, n_sources)))
    n_bytes = max(1 << 18, min(16 << 20, (256 << 20) // max(1, n_sources)))
    return HeadBudget(n_records, n_bytes)


def merge_columns(
    heads: Iterable[Mapping[str, pa.DataType]], settings: Settings
) -> dict[str, pa.DataType]:
    """Return the columns of all heads in order of appearance, each with a type that holds all."""
    merged: dict[str, pa.DataType] = {}
    for columns in heads:
        for name, column_type in columns.items():
            merged[name] = unify(merged.get(name, pa.null()), column_type)
    for name in (settings.text_field, settings.id_field):
        if name in merged:
            merged[name] = pa.string()
    return {name: pa.string() if pa.types.is_null(t) else t for name, t in merged.items()}


def unify(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """Return the narrowest type that holds both: a number, or string for JSON text."""
    if first.equals(second) or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if pa.types.is_integer(first) and pa.types.is_integer(second):
        return _wider_integer(first, second)
    if _is_number(first) and _is_number(second):
        return pa.float64()
    return pa.string()


def _is_number(column_type: pa.DataType) -> bool:
    return bool(pa.types.is_integer(column_type) or pa.types.is_floating(column_type))


def _wider_integer(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    if pa.types.is_signed_integer(first) == pa.types.is_signed_integer(second):
        return first if first.bit_width > second.bit_width else second
    return pa.string() if pa.uint64() in (first, second) else pa.int64()


def plain_type(column_type: pa.DataType) -> pa.DataType:
    """Return the type under which a stored column goes on: no dictionary, view or large text."""
    if isinstance(column_type, pa.BaseExtensionType):
        return plain_type(column_type.storage_type)
    if pa.types.is_dictionary(column_type):
        return plain_type(column_type.value_type)
    if pa.types.is_large_string(column_type) or pa.types.is_string_view(column_type):
        return pa.string()
    if pa.types.is_large_binary(column_type) or pa.types.is_binary_view(column_type):
        return pa.binary()
    return column_type


def is_own_type(name: str, column_type: pa.DataType) -> bool:
    """Tell whether a column is one that an earlier run of ours wrote."""
    own = _OWN_TYPES.get(name)
    return own is not None and (pa.types.is_null(column_type) or own.equals(column_type))


def is_own_value(name: str, value: object) -> bool:
    """Tell whether a field is one that an earlier run of ours wrote."""
    if name not in OWN_COLUMNS or type(value) not in _OWN_KINDS[name]:
        return False
    if isinstance(value, dict):
        return value.keys() == {field.name for field in _OWN_TYPES[name]}
    return True
