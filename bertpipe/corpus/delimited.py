"""CSV and TSV: a header line, then one record a line or more, quoted with `"`."""

import csv
from collections import deque
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa

from bertpipe.corpus.layout import Head, HeadBudget, Layout, Settings
from bertpipe.corpus.rows import Bad, Record, to_batch, too_large
from bertpipe.corpus.runs import Raw, Span, wanted_runs
from bertpipe.corpus.sources import Source
from bertpipe.corpus.streams import is_unicode, read_lines
from bertpipe.errors import CorpusError

_DELIMITERS = {"csv": ",", "tsv": "\t"}
_END_OF_DATA = "unexpected end of data"  # what the csv module says of a quote that is not closed


def head(source: Source, settings: Settings, budget: HeadBudget) -> Head:
    """Return the header's columns, all strings, and whether a record follows."""
    records = _records(source, settings)
    header = next(records, None)
    if header is None:
        return Head({}, 0, 0)
    names = _column_names(source, header, settings)
    n_records = len(list(islice(records, 1)))
    return Head(dict.fromkeys(names, pa.string()), n_records, n_records)


def read(source: Source, layout: Layout, span: Span) -> Iterator[pa.RecordBatch]:
    """Yield the wanted records; every value is a string as it stands in the file."""
    records = _records(source, layout.settings)
    header = next(records, None)
    if header is None:
        return
    names = _column_names(source, header, layout.settings)
    for run in wanted_runs(records, span):
        parsed = [_parse(names, raw, layout.settings) for raw in run.records]
        yield to_batch(layout, source, run.first_row, parsed, run.line)


def count(source: Source, settings: Settings) -> int:
    """Return how many records there are behind the header."""
    return max(sum(1 for _ in _records(source, settings)) - 1, 0)


def ends_within_quotes(source: Source) -> bool:
    """Tell whether the file ends before a quote is closed: what comes next may close it."""
    unclosed = (
        raw.content.message
        for raw in _records(source, Settings())
        if isinstance(raw.content, Bad) and raw.content.type == "InvalidCSV"
    )
    return any(_END_OF_DATA in message for message in unclosed)


def _column_names(source: Source, header: Raw, settings: Settings) -> list[str]:
    """Return the names in the header, an empty one as `column_N`, or raise `CorpusError`."""
    if isinstance(header.content, Bad):
        raise CorpusError(
            f"{source.name}, line {header.line}: the header is {header.content.message}"
        )
    names = [name or f"column_{number}" for number, name in enumerate(header.content, 1)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise CorpusError(f"{source.name} has the column {twice[0]!r} twice; rename one of them.")
    if not all(is_unicode(name) for name in names):
        raise CorpusError(f"{source.name} has a header that is not UTF-8; save the file as UTF-8.")
    if settings.text_field not in names:
        raise CorpusError(
            f"{source.name} has no column {settings.text_field!r} but {', '.join(names)}; name the"
            " right one with --text-field."
        )
    return names


def _parse(names: list[str], raw: Raw, settings: Settings) -> Record | Bad:
    fields = raw.content
    if isinstance(fields, Bad):
        return fields
    if len(fields) != len(names):
        message = (
            f"has {len(fields)} fields where the header has {len(names)}; quote fields that hold"
            " the separator."
        )
        return Bad("WrongFieldCount", message, {"fields": fields})
    return dict(zip(names, fields, strict=True))


class _Feed:
    """Hand lines to the parser, and take back those of a record that it could not read."""

    def __init__(self, lines: Iterator[bytes], max_record_bytes: int) -> None:
        self._lines = lines
        self._again: deque[bytes] = deque()
        self._max_record_bytes = max_record_bytes
        self.taken: list[bytes] = []
        self.n_bytes = 0
        self.line = 1

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self.n_bytes += len(line)
        if self.n_bytes > self._max_record_bytes:
            raise csv.Error(f"the record has more than {self._max_record_bytes:,} bytes")
        return line.decode(errors="surrogateescape") + "\n"

    def begin(self) -> None:
        """Begin a record: the lines so far are done with."""
        self.line += len(self.taken)
        self.taken, self.n_bytes = [], 0

    def give_back(self) -> None:
        """Let the record end with its first line."""
        self._again.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def _records(source: Source, settings: Settings) -> Iterator[Raw]:
    """Yield the fields of each record; one that cannot be read costs its first line only."""
    max_bytes = settings.max_record_bytes
    # The csv module knows only one limit for the whole process: never lower it for others.
    csv.field_size_limit(max(csv.field_size_limit(), max_bytes))
    feed = _Feed(read_lines(source, max_line_bytes=max_bytes), max_bytes)
    parser = csv.reader(feed, delimiter=_DELIMITERS[source.format], strict=True)
    while True:
        feed.begin()
        try:
            fields: list[str] | Bad = next(parser)
        except StopIteration:
            return
        except csv.Error as error:
            feed.give_back()
            fields = _unreadable(feed.taken[0], error, settings)
        if fields:
            yield Raw(feed.line, feed.n_bytes, fields)


def _unreadable(line: bytes, error: csv.Error, settings: Settings) -> Bad:
    if len(line) > settings.max_record_bytes:
        return too_large(
            f"the line has more than {len(line) - 1:,} bytes", settings.max_document_chars
        )
    message = f"not readable as a record ({error}); close and double the quotes in it."
    return Bad("InvalidCSV", message, {"line": line.decode(errors="surrogateescape")})
