"""From parsed records to Arrow: a row for each, with a reason in `_error` if it has no text."""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pyarrow as pa

from bertpipe.corpus.layout import Layout
from bertpipe.corpus.sources import Source
from bertpipe.records import ERROR_TYPE, SOURCE_TYPE

Record = dict[str, Any]
_KINDS_THAT_FIT: dict[pa.DataType, frozenset[type]] = {
    pa.string(): frozenset({str, type(None)}),
    pa.int64(): frozenset({int, type(None)}),
    pa.float64(): frozenset({int, float, type(None)}),
    pa.bool_(): frozenset({bool, type(None)}),
}


class Bad(NamedTuple):
    """Why a record has no usable text, and what of it can be kept."""

    type: str
    message: str
    raw: Record = {}  # noqa: RUF012


class Rows(NamedTuple):
    """Which rows of a source a batch holds, and how a message names the place of one."""

    first_row: int
    n_rows: int
    place: Callable[[int], str]


@dataclass(slots=True)
class Faults:
    """What does not fit its column, and which records have no text, by position in a batch."""

    bad: dict[int, Bad] = field(default_factory=dict)
    extra: dict[int, Record] = field(default_factory=dict)

    def keep(self, position: int, name: str, value: object) -> None:
        """Keep a value for `_extra`."""
        self.extra.setdefault(position, {})[name] = value


def to_batch(
    layout: Layout,
    source: Source,
    first_row: int,
    parsed: Sequence[Record | Bad],
    place: Callable[[int], str],
) -> pa.RecordBatch:
    """Return one row for each record, with `layout.record_schema`.

    `place` says of a position in `parsed` where it stands, for messages: `line 7`, or nothing for
    a file that is one document.
    """
    faults = Faults()
    records = [record if isinstance(record, dict) else {} for record in parsed]
    for position, record in enumerate(parsed):
        if isinstance(record, Bad):
            faults.bad[position] = record
            faults.extra.setdefault(position, {}).update(record.raw)
    names = layout.names
    for position, record in enumerate(records):
        if not record.keys() <= names:
            for name, value in record.items():
                if layout.is_lost(name, value):
                    faults.keep(position, name, value)
    columns = [
        text_column(layout, records, faults)
        if column.name == layout.settings.text_field
        else _column(column, records, source, faults)
        for column in layout.schema
    ]
    return assemble(layout, source, Rows(first_row, len(parsed), place), columns, faults)


def assemble(
    layout: Layout,
    source: Source,
    rows: Rows,
    columns: Sequence[pa.Array],
    faults: Faults,
) -> pa.RecordBatch:
    """Put `_source` before and `_extra` and `_error` behind the input columns."""
    n_rows = rows.n_rows
    numbers = pa.array(range(rows.first_row, rows.first_row + n_rows), pa.int64())
    paths = pa.repeat(pa.scalar(source.name, pa.string()), n_rows)
    identity = pa.StructArray.from_arrays([paths, numbers], fields=list(SOURCE_TYPE))
    extra = pa.nulls(n_rows, pa.string())
    if faults.extra:
        texts = (faults.extra.get(position) for position in range(n_rows))
        extra = pa.array([json_text(kept) if kept else None for kept in texts], pa.string())
    errors = pa.nulls(n_rows, ERROR_TYPE)
    if faults.bad:
        reasons = [_error(faults.bad.get(i), source, rows.place, i) for i in range(n_rows)]
        errors = pa.array(reasons, ERROR_TYPE)
    return pa.RecordBatch.from_arrays(
        [identity, *columns, extra, errors], schema=layout.record_schema
    )


def _error(
    bad: Bad | None, source: Source, place: Callable[[int], str], position: int
) -> dict[str, str | None] | None:
    if bad is None:
        return None
    where = ", ".join(filter(None, (source.name, place(position))))
    message = f"{where}: {bad.message}".encode(errors="backslashreplace").decode()
    return {"stage": "read", "component": None, "type": bad.type, "message": message}


def text_column(layout: Layout, records: Sequence[Record], faults: Faults) -> pa.Array:
    """Return the texts; one that cannot be used becomes null and a fault."""
    name, max_chars = layout.settings.text_field, layout.settings.max_document_chars
    texts = [record.get(name) for record in records]
    if all(type(text) is str and len(text) <= max_chars for text in texts):
        try:
            return pa.array(texts, pa.string())
        except UnicodeEncodeError:
            pass
    for position, text in enumerate(texts):
        bad = (
            None if position in faults.bad else judge_text(layout, name in records[position], text)
        )
        if bad is not None:
            faults.bad[position] = bad
            texts[position] = None
            if bad.raw:
                faults.extra.setdefault(position, {}).update(bad.raw)
    return pa.array(texts, pa.string())


def judge_text(layout: Layout, is_present: bool, text: object) -> Bad | None:
    """Return why a value cannot be a document's text, or None when it can."""
    name, max_chars = layout.settings.text_field, layout.settings.max_document_chars
    if not is_present:
        return Bad("MissingText", f"no field {name!r}; add it, or name the right --text-field.")
    if text is None:
        return Bad("NullText", f"the field {name!r} is null; give it a string.")
    if not isinstance(text, str):
        kind = type(text).__name__
        message = f"the field {name!r} is of type {kind}, not a string; put it in quotes."
        return Bad("TextNotString", message, {name: text})
    if len(text) > max_chars:
        return too_large(f"the text has {len(text):,} characters", max_chars)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        message = f"the text is not valid Unicode at character {error.start}; save it as UTF-8."
        return Bad("InvalidUnicode", message, {name: text})
    return None


def too_large(what: str, max_chars: int) -> Bad:
    """Return the fault of a record that is over the limit."""
    cure = f"the limit is {max_chars:,} characters; split it or raise --max-document-chars."
    return Bad("TooLarge", f"{what}, {cure}")


def _column(
    column: pa.Field, records: Sequence[Record], source: Source, faults: Faults
) -> pa.Array:
    default = source.partitions.get(column.name)
    values = [record.get(column.name, default) for record in records]
    return fit_column(column.name, column.type, values, faults)


def fit_column(name: str, column_type: pa.DataType, values: list[Any], faults: Faults) -> pa.Array:
    """Return the values under a fixed type; one that does not fit becomes null and is kept."""
    kinds = set(map(type, values))
    if kinds == {int} and pa.types.is_string(column_type):
        return pa.array(list(map(str, values)), column_type)
    if kinds <= _KINDS_THAT_FIT.get(column_type, frozenset({type(None)})):
        try:
            return pa.array(values, column_type)
        except (UnicodeEncodeError, OverflowError, pa.ArrowInvalid):
            pass
    fitted = []
    for position, value in enumerate(values):
        try:
            fitted.append(_fit(value, column_type))
        except (ValueError, TypeError, OverflowError):
            fitted.append(None)
            faults.keep(position, name, value)
    return pa.array(fitted, column_type)


def _fit(value: object, column_type: pa.DataType) -> object:
    """Return a value as its column holds it; raise where that would change it."""
    if value is None:
        return None
    if pa.types.is_string(column_type):
        text = value if isinstance(value, str) else json_text(value)
        text.encode()
        return text
    if not _is_of_kind(value, column_type):
        raise TypeError
    return pa.scalar(value, column_type)


def _is_of_kind(value: object, column_type: pa.DataType) -> bool:
    if isinstance(value, bool):
        return bool(pa.types.is_boolean(column_type))
    if isinstance(value, int) and pa.types.is_integer(column_type):
        return True
    return isinstance(value, int | float) and bool(pa.types.is_floating(column_type))


def json_text(value: object) -> str:
    """Return a value as JSON text; what is not valid Unicode stays in escaped form."""
    text = _ENCODE(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=_plain)
    return text


def _plain(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


# One encoder for all: `json.dumps` would make a new one for each value.
_ENCODE = json.JSONEncoder(ensure_ascii=False, default=_plain).encode
