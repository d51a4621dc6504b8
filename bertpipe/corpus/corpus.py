"""Open a corpus: find its files, fix its columns, read its records as Arrow batches."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from types import ModuleType

import pyarrow as pa

from bertpipe.corpus import delimited, jsonl, parquet, text
from bertpipe.corpus.growth import check_unchanged
from bertpipe.corpus.layout import (
    MAX_DOCUMENT_CHARS,
    Head,
    Layout,
    Settings,
    head_budget,
    merge_columns,
)
from bertpipe.corpus.runs import Span
from bertpipe.corpus.sources import FORMAT_OF_EXTENSION, FORMATS, Source, find_sources
from bertpipe.corpus.streams import reading
from bertpipe.errors import CorpusError
from bertpipe.records import OWN_COLUMNS

# Each of these modules has `head(source, settings, budget)`, `read(source, layout, span)` and
# `count(source, settings)`.
_READERS: Mapping[str, ModuleType] = {
    "txt": text,
    "jsonl": jsonl,
    "json": jsonl,
    "csv": delimited,
    "tsv": delimited,
    "parquet": parquet,
}


@dataclass(frozen=True)
class Corpus:
    """The documents of some files, under columns that are the same for all of them.

    `skipped` names the files in the given folders that have no known extension.
    """

    sources: tuple[Source, ...]
    skipped: tuple[str, ...]
    layout: Layout

    @property
    def schema(self) -> pa.Schema:
        """Return the input columns as they appear in the output, in order."""
        return self.layout.schema

    @property
    def record_schema(self) -> pa.Schema:
        """Return the columns of what `read` yields: `_source`, the input's, `_extra`, `_error`."""
        return self.layout.record_schema

    @property
    def text_field(self) -> str:
        return self.layout.settings.text_field

    @property
    def n_bytes(self) -> int:
        """Return the size of all files on disk, compressed as they are."""
        return sum(source.size for source in self.sources)

    @property
    def n_bytes_read(self) -> int:
        """Return how much of `n_bytes` has been read so far."""
        return sum(source.meter.n_bytes for source in self.sources)

    def read(
        self,
        source: Source,
        *,
        skip: Sequence[tuple[int, int]] = (),
        stop: int | None = None,
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a source in order, in batches of at most 4,096 rows or about 4 MiB.

        `skip` holds ranges of rows to leave out (sorted, disjoint), `stop` is the row to end
        before; no batch spans a range that is left out. A record that cannot be used is a row with
        `_error`. Raises `CorpusError` when the file cannot be read, or when at the end it is no
        longer the file that was opened.
        """
        with reading(source):
            batches = _READERS[source.format].read(source, self.layout, Span(skip, stop))
            with closing(batches):
                yield from batches
        check_unchanged(source)

    def count(self, source: Source) -> int:
        """Return how many records a source has, reading it to its end but parsing none."""
        with reading(source):
            n_records: int = _READERS[source.format].count(source, self.layout.settings)
        check_unchanged(source)
        return n_records


def open_corpus(
    paths: Sequence[str],
    *,
    format: str | None = None,  # noqa: A002  (it is the option's name)
    text_field: str = "text",
    id_field: str = "id",
    lines: bool = False,
    keep: Sequence[str] | None = None,
    relative_to: str | None = None,
    max_document_chars: int = MAX_DOCUMENT_CHARS,
    schema: pa.Schema | None = None,
) -> Corpus:
    """Find the files and fix the columns; raise `CorpusError` for what cannot be read at all.

    `lines` makes each line of a text file a document. `keep` chooses the input columns that go on;
    text and id always do. `schema` is that of an earlier opening: what does not fit it goes into
    `_extra`, so that files added later get the same columns.
    """
    settings = Settings(text_field, id_field, lines, max_document_chars)
    sources, skipped = find_sources(
        [os.fspath(path) for path in paths],
        wanted_format=_known_format(format),
        relative_to=relative_to,
    )
    if not sources:
        raise CorpusError(_nothing_found(paths, skipped))
    if schema is None:
        schema = _find_schema(sources, settings, keep)
    for source in sources:
        source.meter.n_bytes = 0  # the heads were read, but no document yet
        if source.stdin is not None:
            source.stdin.forget()
    sources = tuple(replace(source, grows=_can_grow(source, settings)) for source in sources)
    return Corpus(sources, skipped, Layout(settings, schema, keep is None))


def _can_grow(source: Source, settings: Settings) -> bool:
    """Tell whether lines can be appended to a file so that its records stay what they are."""
    has_lines = settings.has_lines or source.format not in ("txt", "parquet")
    return has_lines and source.compression is None and source.stdin is None


def _known_format(name: str | None) -> str | None:
    if name is None:
        return None
    if name not in FORMAT_OF_EXTENSION:
        raise CorpusError(f"The format {name!r} is not known; use one of {', '.join(FORMATS)}.")
    return FORMAT_OF_EXTENSION[name]


def _nothing_found(paths: Sequence[str], skipped: Sequence[str]) -> str:
    if not skipped:
        return f"{', '.join(paths)} holds no file; give a folder, file or glob with documents."
    n_more = len(skipped) - 3
    names = ", ".join(skipped[:3]) + (f" and {n_more:,} more" if n_more > 0 else "")
    return (
        f"{', '.join(paths)} holds only files of unknown extension ({names}); say --format or"
        f" rename them to .{', .'.join(FORMAT_OF_EXTENSION)}."
    )


def _find_schema(
    sources: Sequence[Source], settings: Settings, keep: Sequence[str] | None
) -> pa.Schema:
    budget = head_budget(len(sources))
    heads: list[Head] = []
    for source in sources:
        with reading(source):
            heads.append(_READERS[source.format].head(source, settings, budget))
    if not any(head.n_records for head in heads):
        raise CorpusError(
            f"The corpus has no documents: {sources[0].name}"
            f"{' and all other files' if len(sources) > 1 else ''} hold no record; check the path."
        )
    columns = merge_columns((head.columns for head in heads), settings)
    _check_text_field(columns, heads, settings)
    partitions = (dict.fromkeys(source.partitions, pa.string()) for source in sources)
    columns = merge_columns((columns, *partitions), settings)
    columns.setdefault(settings.text_field, pa.string())
    return _chosen(columns, settings, keep)


def _check_text_field(
    columns: Mapping[str, pa.DataType], heads: Sequence[Head], settings: Settings
) -> None:
    name = settings.text_field
    if name not in columns and any(head.n_readable for head in heads):
        raise CorpusError(
            f"No record has the field {name!r} but {', '.join(columns) or 'no field at all'}; name"
            " the right one with --text-field."
        )


def _chosen(
    columns: Mapping[str, pa.DataType], settings: Settings, keep: Sequence[str] | None
) -> pa.Schema:
    """Return the columns that go on, or raise `CorpusError` for a name that is unknown or ours."""
    known = ", ".join(columns)
    default = Settings.__dataclass_fields__["id_field"].default
    if settings.id_field not in columns and settings.id_field != default:
        raise CorpusError(
            f"No record has the field {settings.id_field!r} but {known}; name the right one with"
            " --id-field."
        )
    unknown = [name for name in keep or () if name not in columns]
    if unknown:
        raise CorpusError(f"The corpus has no column {unknown[0]!r} to keep, but {known}.")
    always = {settings.text_field, settings.id_field}
    names = [name for name in columns if keep is None or name in keep or name in always]
    ours = [name for name in names if name in OWN_COLUMNS]
    if ours:
        raise CorpusError(
            f"The corpus has a column {ours[0]!r}, a name of bertpipe's own; rename it, or leave it"
            " out with --keep."
        )
    return pa.schema([(name, columns[name]) for name in names])
