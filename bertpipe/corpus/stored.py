"""Bring stored columns under the fixed ones, without a Python object for what fits."""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.corpus.layout import Layout, plain_type
from bertpipe.corpus.rows import Faults, Rows, assemble, fit_column, judge_text, too_large
from bertpipe.corpus.sources import Source


def conform(
    layout: Layout, source: Source, first_row: int, batch: pa.RecordBatch
) -> pa.RecordBatch:
    """Return a stored batch, whose first row is number `first_row`, with `record_schema`."""
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
        is_plain = pa.types.is_integer(stored) or pa.types.is_boolean(stored)
        return _has_text(stored) or bool(is_plain)
    if pa.types.is_floating(stored) and pa.types.is_floating(wanted):
        return bool(stored.bit_width <= wanted.bit_width)
    is_number = pa.types.is_integer(wanted) or pa.types.is_floating(wanted)
    return bool(pa.types.is_integer(stored) and is_number)


def _has_text(stored: pa.DataType) -> bool:
    """Tell whether Arrow writes a type as text better than by way of Python objects."""
    is_time = pa.types.is_temporal(stored) and not pa.types.is_interval(stored)
    return bool(is_time or pa.types.is_decimal(stored))


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
    plain = array.cast(pa.string()) if _has_text(array.type) else array
    values: list[object] = plain.to_pylist()
    return values
