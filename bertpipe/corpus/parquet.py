"""Parquet: columns stay columns; no Python object is made of a value that fits its column."""

from collections.abc import Iterator, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.corpus.layout import Head, HeadBudget, Layout, Settings, is_own_type, plain_type
from bertpipe.corpus.runs import MAX_BYTES, MAX_ROWS, Span
from bertpipe.corpus.sources import Source
from bertpipe.corpus.stored import conform
from bertpipe.corpus.streams import BLOCK_BYTES, open_seekable
from bertpipe.errors import CorpusError

# Without pre-buffering a row group of any size is read a page at a time.
_READING = {"pre_buffer": False, "buffer_size": BLOCK_BYTES, "page_checksum_verification": True}


def head(source: Source, settings: Settings, budget: HeadBudget) -> Head:
    """Return the columns in the footer, or raise `CorpusError` when there is no text."""
    with closing(open_seekable(source)) as handle:
        file = pq.ParquetFile(handle)
        schema = file.schema_arrow
        _check(source, schema, settings)
        columns = {
            field.name: plain_type(field.type)
            for field in schema
            if not is_own_type(field.name, field.type)
        }
        return Head(columns, file.metadata.num_rows, file.metadata.num_rows)


def _check(source: Source, schema: pa.Schema, settings: Settings) -> None:
    name = settings.text_field
    twice = [column for column in schema.names if schema.names.count(column) > 1]
    if twice:
        raise CorpusError(f"{source.name} has the column {twice[0]!r} twice; rename one of them.")
    if name not in schema.names:
        raise CorpusError(
            f"{source.name} has no column {name!r} but {', '.join(schema.names)}; name the right"
            " one with --text-field."
        )
    kind = plain_type(schema.field(name).type)
    if not (pa.types.is_string(kind) or pa.types.is_null(kind)):
        raise CorpusError(
            f"{source.name} has {kind} in the column {name!r}, not strings; convert it, or name"
            " another with --text-field."
        )


def read(source: Source, layout: Layout, span: Span) -> Iterator[pa.RecordBatch]:
    """Yield the wanted rows; row groups without any are not touched."""
    with closing(open_seekable(source)) as handle:
        file = pq.ParquetFile(handle, **_READING)
        _check(source, file.schema_arrow, layout.settings)
        names = [name for name in file.schema_arrow.names if _is_wanted(layout, file, name)]
        first_row = 0
        for group in range(file.metadata.num_row_groups):
            end_row = first_row + file.metadata.row_group(group).num_rows
            wanted = wanted_ranges(first_row, end_row, span)
            if wanted:
                for row, batch in _group(file, group, first_row, names):
                    if row >= wanted[-1][1]:
                        break
                    yield from _cut(layout, source, row, batch, wanted)
            first_row = end_row
            source.meter.n_bytes = source.size * (group + 1) // file.metadata.num_row_groups


def count(source: Source, settings: Settings) -> int:
    """Return how many rows the footer tells of."""
    del settings
    with closing(open_seekable(source)) as handle:
        n_rows: int = pq.ParquetFile(handle).metadata.num_rows
        return n_rows


def _is_wanted(layout: Layout, file: pq.ParquetFile, name: str) -> bool:
    if name in layout.names:
        return True
    own = is_own_type(name, file.schema_arrow.field(name).type)
    return layout.keeps_unknown and not own


def wanted_ranges(first_row: int, end_row: int, span: Span) -> list[tuple[int, int]]:
    """Return the ranges between two rows that the span wants, in order, none of them empty."""
    end_row = end_row if span.stop is None else min(end_row, span.stop)
    wanted = []
    for first, end in (*span.skip, (end_row, end_row)):
        if first_row < min(first, end_row):
            wanted.append((first_row, min(first, end_row)))
        first_row = max(first_row, end)
    return wanted


def _group(
    file: pq.ParquetFile, group: int, first_row: int, names: list[str]
) -> Iterator[tuple[int, pa.RecordBatch]]:
    metadata = file.metadata.row_group(group)
    bytes_per_row = max(1, metadata.total_byte_size // max(1, metadata.num_rows))
    n_rows = max(1, min(MAX_ROWS, MAX_BYTES // bytes_per_row))
    for batch in file.iter_batches(n_rows, row_groups=[group], columns=names, use_threads=False):
        yield first_row, batch
        first_row += batch.num_rows


def _cut(
    layout: Layout,
    source: Source,
    row: int,
    batch: pa.RecordBatch,
    wanted: Sequence[tuple[int, int]],
) -> Iterator[pa.RecordBatch]:
    """Yield the wanted stretches of a batch whose first row is number `row`."""
    for wanted_first, wanted_end in wanted:
        first, end = max(row, wanted_first), min(row + batch.num_rows, wanted_end)
        if first < end:
            yield conform(layout, source, first, batch.slice(first - row, end - first))
