"""JSON lines: one object a line."""

import json
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from bertpipe.corpus.layout import Head, HeadBudget, Layout, Settings, is_own_value, unify
from bertpipe.corpus.rows import Bad, Record, to_batch, too_large
from bertpipe.corpus.runs import Raw, Span, wanted_runs
from bertpipe.corpus.sources import Source
from bertpipe.corpus.streams import is_unicode, read_lines
from bertpipe.errors import CorpusError

_BLANK = b" \t\r"
MAX_NESTING = 256
MAX_COLUMNS = 1_000
_DECODE = json.JSONDecoder().decode


def head(source: Source, settings: Settings, budget: HeadBudget) -> Head:
    """Return the columns of the first records, up to 1,000 columns; the rest goes to `_extra`."""
    columns: dict[str, pa.DataType] = {}
    n_records = n_readable = n_bytes = 0
    for raw in islice(_records(source, settings), budget.n_records):
        n_records += 1
        record = parse(raw.content, settings)
        if isinstance(record, dict):
            n_readable += 1
            _add_columns(columns, record, settings)
        n_bytes += raw.n_bytes
        if n_bytes > budget.n_bytes:
            break
    return Head(columns, n_records, n_readable)


def read(source: Source, layout: Layout, span: Span) -> Iterator[pa.RecordBatch]:
    """Yield the wanted records; only these are parsed."""
    for run in wanted_runs(_records(source, layout.settings), span):
        parsed = [parse(raw.content, layout.settings) for raw in run.records]
        yield to_batch(layout, source, run.first_row, parsed, run.line)


def count(source: Source, settings: Settings) -> int:
    """Return how many records there are."""
    return sum(1 for _ in _records(source, settings))


def _records(source: Source, settings: Settings) -> Iterator[Raw]:
    lines = read_lines(source, max_line_bytes=settings.max_record_bytes)
    is_first = source.format == "json"
    for number, line in enumerate(lines, 1):
        content = line.strip(_BLANK)
        if not content:
            continue
        if is_first and (content.startswith(b"[") or content == b"{"):
            raise CorpusError(
                f"{source.name} holds JSON over several lines or in one array, not one object a"
                f" line; convert it: jq -c '.[]?' {source.name} > {source.name}l."
            )
        is_first = False
        yield Raw(number, len(line), content)


def parse(line: bytes, settings: Settings) -> Record | Bad:
    """Return the object that a line holds, or why there is none."""
    if len(line) > settings.max_record_bytes:
        return too_large(
            f"the line has more than {len(line) - 1:,} bytes", settings.max_document_chars
        )
    text = line.decode(errors="surrogateescape")
    try:
        record = _DECODE(text)
    except (ValueError, RecursionError) as error:
        message = f"not readable as JSON ({error}); mend or remove the line."
        return Bad("InvalidJSON", message, {"line": text})
    if type(record) is not dict:
        message = f"holds a {type(record).__name__}, not an object; write one JSON object a line."
        return Bad("NotAnObject", message, {"line": text})
    if len(text) > MAX_NESTING and _has_deep_nesting(line, record):
        message = f"nested deeper than {MAX_NESTING} levels; flatten the record."
        return Bad("NestedTooDeeply", message, {"line": text})
    return record


def _has_deep_nesting(line: bytes, record: Record) -> bool:
    may_be_deep = line.count(b"[") + line.count(b"{") > MAX_NESTING
    return may_be_deep and _depth(record) > MAX_NESTING


def _depth(value: object) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [item for one in level for item in _items(one) if isinstance(item, dict | list)]
    return depth


def _items(value: object) -> Iterator[object]:
    yield from value.values() if isinstance(value, dict) else value  # type: ignore[misc]


def _add_columns(columns: dict[str, pa.DataType], record: Record, settings: Settings) -> None:
    for name, value in record.items():
        if is_own_value(name, value) or not is_unicode(name):
            continue
        if name in columns:
            columns[name] = unify(columns[name], _type_of(value))
        elif len(columns) < MAX_COLUMNS or name in (settings.text_field, settings.id_field):
            columns[name] = _type_of(value)


def _type_of(value: object) -> pa.DataType:
    if value is None:
        return pa.null()
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64() if -(2**63) <= value < 2**63 else pa.string()
    return pa.float64() if isinstance(value, float) else pa.string()
