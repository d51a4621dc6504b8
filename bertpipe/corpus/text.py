"""Plain text: a file is a document, or each of its lines is one."""

from collections.abc import Iterator

import pyarrow as pa

from bertpipe.corpus.layout import Head, HeadBudget, Layout, Settings
from bertpipe.corpus.rows import Bad, Record, to_batch, too_large
from bertpipe.corpus.runs import Raw, Span, wanted_runs
from bertpipe.corpus.sources import Source
from bertpipe.corpus.streams import read_lines, read_whole


def head(source: Source, settings: Settings, budget: HeadBudget) -> Head:
    """Return the columns `id` and `text`; an empty file is a document, but has no lines."""
    columns = {settings.id_field: pa.string(), settings.text_field: pa.string()}
    n_records = 1
    if settings.has_lines:
        n_records = int(any(True for _ in read_lines(source, max_line_bytes=1)))
    return Head(columns, n_records, n_records)


def read(source: Source, layout: Layout, span: Span) -> Iterator[pa.RecordBatch]:
    """Yield the wanted documents; nothing in a text is changed, only a line end is not part of it.

    The id is the path below the given folder, for lines followed by `:` and the line's number.
    """
    settings = layout.settings
    for run in wanted_runs(_records(source, settings), span):
        parsed = [_parse(source, raw, settings) for raw in run.records]
        yield to_batch(layout, source, run.first_row, parsed, run.line)


def count(source: Source, settings: Settings) -> int:
    """Return how many documents there are."""
    return sum(1 for _ in _records(source, settings))


def _records(source: Source, settings: Settings) -> Iterator[Raw]:
    """Yield the lines numbered from 1, or the whole file as number 0."""
    max_bytes = settings.max_record_bytes
    if not settings.has_lines:
        content = read_whole(source, max_bytes=max_bytes)
        yield Raw(0, len(content), content)
        return
    for number, line in enumerate(read_lines(source, max_line_bytes=max_bytes), 1):
        yield Raw(number, len(line), line.removesuffix(b"\r"))


def _parse(source: Source, raw: Raw, settings: Settings) -> Record | Bad:
    if raw.n_bytes > settings.max_record_bytes:
        what = f"the text has more than {settings.max_record_bytes:,} bytes"
        return too_large(what, settings.max_document_chars)
    name = f"{source.inner}:{raw.line}" if raw.line else source.inner
    text = raw.content.decode(errors="surrogateescape")
    return {settings.id_field: name, settings.text_field: text}
