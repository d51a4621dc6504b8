"""Put the columns of the output in order, and know how Parquet stores them."""

from collections.abc import Mapping
from functools import lru_cache

import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.corpus.layout import is_own_type
from bertpipe.errors import ConfigError
from bertpipe.records import ERROR, ERROR_TYPE, EXTRA, OWN_COLUMNS, SOURCE, SOURCE_TYPE, STATISTICS


def output_schema(corpus_schema: pa.Schema, annotations: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the columns of every part: source, input, annotations, statistics, extra, error.

    A column of ours that an earlier output brought along is left out of the input; it is known by
    its name and type.

    Raises:
        ConfigError: Two of input, annotations and our own columns have the same name.
    """
    for name in OWN_COLUMNS.intersection(annotations):
        raise ConfigError(
            f"The component {name!r} has the name of a column that bertpipe writes itself; name it"
            f" anew with --components NEW={name}."
        )
    passed_on = [field for field in corpus_schema if not is_own_type(field.name, field.type)]
    for field in passed_on:
        _check_name(field, annotations)
    return pa.schema(
        [
            pa.field(SOURCE, SOURCE_TYPE),
            *(pa.field(field.name, field.type) for field in passed_on),
            *(pa.field(name, kind) for name, kind in annotations.items()),
            *STATISTICS,
            pa.field(EXTRA, pa.string()),
            pa.field(ERROR, ERROR_TYPE),
        ]
    )


def as_stored(schema: pa.Schema) -> pa.Schema:
    """Return the schema that a reader gets back from Parquet: some types have no exact match."""
    return _empty_file(schema).schema_arrow.remove_metadata()


def leaf_columns(schema: pa.Schema) -> tuple[str, ...]:
    """Return the dotted paths of the Parquet columns, such as `ner.list.element.label`."""
    stored = _empty_file(schema).schema
    return tuple(stored.column(i).path for i in range(len(stored)))


@lru_cache(maxsize=8)
def _empty_file(schema: pa.Schema) -> pq.ParquetFile:
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema.remove_metadata()):
        pass
    return pq.ParquetFile(pa.BufferReader(sink.getvalue()))


def _check_name(field: pa.Field, annotations: Mapping[str, pa.DataType]) -> None:
    name = field.name
    if name in annotations:
        raise ConfigError(
            f"The corpus has a column {name!r}, which is also the name of a component; leave it"
            f" out with --keep, or name the component anew with --components NEW={name}."
        )
    if name in OWN_COLUMNS:
        raise ConfigError(
            f"The corpus has a column {name!r} of type {field.type}, which bertpipe writes itself;"
            " leave it out with --keep, or rename it."
        )
