"""Parquet: columns stay columns; no Python object is made of a value that fits its column."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.corpus.layout import Head, HeadBudget, Layout, Settings, is_own_type, plain_type
from bertpipe.corpus.rows import (
    MAX_BYTES,
    MAX_ROWS,
    Faults,
    Rows,
    Span,
    assemble,
    fit_column,
    judge_text,
    too_large,
)
from bertpipe.corpus.sources import Source
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
                    yield from _cut(layout, source, row, batch, wanted)
            first_row = end_row


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
            yield _conform(layout, source, first, batch.slice(first - row, end - first))


def _conform(
    layout: Layout, source: Source, first_row: int, batch: pa.RecordBatch
) -> pa.RecordBatch:
    """Bring a batch under the fixed columns."""
    faults = Faults()
    stored = dict(zip(batch.schema.names, map(_plain, batch.columns), strict=True))
    columns = []
    for field in layout.schema:
        array = stored.pop(field.name, None)
        if array is None:
            value = pa.scalar(source.partitions.get(field.name), field.type)
            columns.append(pa.repeat(value, batch.num_rows))
        elif field.name == layout.settings.text_field:
            columns.append(_texts(layout, array, faults))
        else:
            columns.append(_fitted(field, array, faults))
    for name, array in stored.items():
        for position, value in enumerate(_values(_valid(name, array, faults))):
            if value is not None:
                faults.keep(position, name, value)
    rows = Rows(first_row, batch.num_rows, lambda position: f"row {first_row + position}")
    return assemble(layout, source, rows, columns, faults)


def _plain(array: pa.Array) -> pa.Array:
    if isinstance(array.type, pa.BaseExtensionType):
        return _plain(array.storage)
    if pa.types.is_dictionary(array.type):
        return _plain(array.dictionary_decode())
    wanted = plain_type(array.type)
    if wanted.equals(pa.string()) and not array.type.equals(wanted):
        # By way of bytes, because the cast to text would stop at text that is not valid.
        return array.cast(pa.binary()).view(wanted)
    return array if array.type.equals(wanted) else array.cast(wanted)


def _texts(layout: Layout, array: pa.Array, faults: Faults) -> pa.Array:
    """Return the texts; one that cannot be used becomes null and a fault."""
    array = array.cast(pa.string()) if pa.types.is_null(array.type) else array
    for position in _invalid(array):
        bad = judge_text(layout, True, _value(array, position))
        if bad is not None:
            faults.bad[position] = bad
            faults.extra.setdefault(position, {}).update(bad.raw)
    array = _without(array, faults.bad)
    max_chars = layout.settings.max_document_chars
    lengths = pc.utf8_length(array)
    for position in _positions(pc.fill_null(pc.greater(lengths, max_chars), False)):
        what = f"the text has {lengths[position].as_py():,} characters"
        faults.bad[position] = too_large(what, max_chars)
    for position in _positions(pc.is_null(array)):
        null = judge_text(layout, True, None)
        if null is not None:
            faults.bad.setdefault(position, null)
    return _without(array, faults.bad)


def _positions(mask: pa.Array) -> list[int]:
    positions: list[int] = pc.indices_nonzero(mask).to_pylist()
    return positions


def _fitted(field: pa.Field, array: pa.Array, faults: Faults) -> pa.Array:
    array = _valid(field.name, array, faults)
    if array.type.equals(field.type):
        return array
    if _casts_exactly(array.type, field.type):
        try:
            return array.cast(field.type)
        except pa.ArrowInvalid:
            pass
    return fit_column(field.name, field.type, _values(array), faults)


def _casts_exactly(stored: pa.DataType, wanted: pa.DataType) -> bool:
    """Tell whether a cast keeps every value that it does not refuse."""
    if pa.types.is_null(stored):
        return True
    if pa.types.is_string(wanted):
        return _has_text(stored) or bool(pa.types.is_integer(stored))
    if pa.types.is_floating(stored) and pa.types.is_floating(wanted):
        return bool(stored.bit_width <= wanted.bit_width)
    is_number = pa.types.is_integer(wanted) or pa.types.is_floating(wanted)
    return bool(pa.types.is_integer(stored) and is_number)


def _has_text(stored: pa.DataType) -> bool:
    return bool(
        pa.types.is_temporal(stored) or pa.types.is_decimal(stored) or pa.types.is_boolean(stored)
    )


def _valid(name: str, array: pa.Array, faults: Faults) -> pa.Array:
    """Return a column with null where text is not valid Unicode; such values are kept."""
    invalid = _invalid(array)
    for position in invalid:
        faults.keep(position, name, _value(array, position))
    return _without(array, invalid)


def _invalid(array: pa.Array) -> list[int]:
    """Return the positions whose text, at any depth, is not valid UTF-8."""
    if _is_valid(array):
        return []
    return [i for i in range(len(array)) if not _is_valid(array.take(pa.array([i])))]


def _is_valid(array: pa.Array) -> bool:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _without(array: pa.Array, positions: Collection[int]) -> pa.Array:
    if not positions:
        return array
    kept = [None if position in positions else position for position in range(len(array))]
    return array.take(pa.array(kept, pa.int64()))


def _value(array: pa.Array, position: int) -> object:
    """Return one value that is not valid Unicode, as text that keeps its bytes where it can."""
    if pa.types.is_string(array.type):
        content: bytes = array.slice(position, 1).cast(pa.binary())[0].as_py()
        return content.decode(errors="surrogateescape")
    return f"a {array.type} with text that is not valid UTF-8"


def _values(array: pa.Array) -> list[object]:
    as_text = pa.types.is_temporal(array.type) or pa.types.is_decimal(array.type)
    values: list[object] = (array.cast(pa.string()) if as_text else array).to_pylist()
    return values
