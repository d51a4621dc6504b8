"""Compute some rows of a part again, and put the part that has them in the place of the old one.

The rows are read from their source again; all others are copied. Rows that a source no longer has
are left out. Whatever stops this leaves each part either as it was or rewritten.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.corpus import Corpus, Slice, Source
from bertpipe.dispatch import hand_out
from bertpipe.errors import CorpusError
from bertpipe.messages import Message
from bertpipe.output.changes import Ranges
from bertpipe.output.files import writing
from bertpipe.output.footer import Part, Stamp
from bertpipe.output.ledger import Ledger
from bertpipe.output.parquet import PartWriter, TemporaryPart
from bertpipe.pool import Pool

BATCH_ROWS = 1_024


@dataclass(frozen=True)
class Recount:
    """How a source is now that is no longer as it was: how many records it has, and its state."""

    n_records: int
    stamp: Stamp


@dataclass(frozen=True)
class _Piece:
    """Rows of an old part. `new` is what they are in the new one: None where they are no more."""

    n_rows: int
    new: Slice | None
    is_stale: bool = False


@dataclass
class _Rows:
    """Rows that come in batches of any size, taken in order."""

    batches: Iterator[pa.RecordBatch]
    left: pa.RecordBatch | None = None

    def take(self, n_rows: int) -> Iterator[pa.RecordBatch]:
        while n_rows:
            batch = self.left if self.left is not None else next(self.batches, None)
            if batch is None:
                raise CorpusError("The corpus changed while it was read; run again.")
            taken = batch.slice(0, n_rows)
            self.left = batch.slice(n_rows) if len(batch) > n_rows else None
            n_rows -= len(taken)
            yield taken


def recompute_stale(pool: Pool, ledger: Ledger, corpus: Corpus) -> int:
    """Compute the rows again whose source is no longer what it was; return how many there are."""
    sources = {source.name: source for source in corpus.sources}
    counted: dict[str, Recount] = {}
    n_rows = 0
    for part, stale in ledger.stale:
        for name in stale.keys() - counted.keys():
            n_records = corpus.count(sources[name])
            counted[name] = Recount(n_records, ledger.stamp(name))
        recounts = {name: counted[name] for name in stale}
        n_rows += rewrite(pool, ledger, corpus, part, stale, recounts)
    return n_rows


def rewrite(
    pool: Pool,
    ledger: Ledger,
    corpus: Corpus,
    part: Part,
    stale: Mapping[str, Ranges],
    recounts: Mapping[str, Recount] | None = None,
) -> int:
    """Compute the stale rows of a part again and replace it; return how many there are."""
    recounts = recounts or {}
    pieces = [
        piece
        for each in part.slices
        for piece in _pieces(each, stale.get(each.source, ()), recounts.get(each.source))
    ]
    wanted = [piece.new for piece in pieces if piece.is_stale and piece.new]
    computed = _Rows(in_order(pool, _gathered(_read(corpus, wanted))))
    with writing(ledger.folder):
        new = _write(ledger, part, pieces, computed, recounts)
    ledger.replace_part(part, new)
    return sum(each.end_row - each.first_row for each in wanted)


def in_order(pool: Pool, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the annotated batches in the order of the batches, whichever worker is first."""
    early: dict[int, pa.RecordBatch] = {}
    wanted = 0

    def work() -> Iterator[tuple[Message, pa.RecordBatch]]:
        for number, batch in enumerate(batches):
            yield {"type": "annotate", "number": number}, batch

    for answer in hand_out(pool, work()):
        if answer["type"] == "annotated":
            early[answer["number"]] = answer["records"]
        while wanted in early:
            yield early.pop(wanted)
            wanted += 1


def _pieces(old: Slice, stale: Sequence[tuple[int, int]], recount: Recount | None) -> list[_Piece]:
    """Cut a slice of an old part at its stale rows, and where its source ends now."""
    n_records = recount.n_records if recount else old.end_row
    end = max(min(old.end_row, n_records), old.first_row)
    edges = {old.first_row, end, *(edge for each in stale for edge in each)}
    places = sorted(edge for edge in edges if old.first_row <= edge <= end)
    pieces = []
    for first, stop in pairwise(places):
        is_last = stop == n_records if recount else old.is_last and stop == old.end_row
        is_stale = any(start <= first < stop_ for start, stop_ in stale)
        pieces.append(_Piece(stop - first, Slice(old.source, first, stop, is_last), is_stale))
    return [*pieces, _Piece(old.end_row - end, None)]


def _read(corpus: Corpus, wanted: Iterable[Slice]) -> Iterator[pa.RecordBatch]:
    """Read rows in the given order; those that follow one another in a source in one reading."""
    sources = {source.name: source for source in corpus.sources}
    group: list[Slice] = []
    for each in wanted:
        if group and (each.source != group[-1].source or each.first_row < group[-1].end_row):
            yield from _read_group(corpus, sources[group[0].source], group)
            group = []
        group.append(each)
    if group:
        yield from _read_group(corpus, sources[group[0].source], group)


def _read_group(corpus: Corpus, source: Source, group: Sequence[Slice]) -> Iterator[pa.RecordBatch]:
    ends = [0, *(each.end_row for each in group)]
    skip = [(end, each.first_row) for end, each in zip(ends, group, strict=False)]
    return corpus.read(source, skip=[each for each in skip if each[0] < each[1]], stop=ends[-1])


def _gathered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Put small batches together, so that a worker has enough to do with each."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= BATCH_ROWS:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return batch


def _write(
    ledger: Ledger,
    part: Part,
    pieces: Iterable[_Piece],
    computed: _Rows,
    recounts: Mapping[str, Recount],
) -> TemporaryPart | None:
    stamps = {**part.stamps, **{name: each.stamp for name, each in recounts.items()}}
    writer = PartWriter(ledger.folder, ledger.schema, ledger.metadata, worker="rewrite")
    try:
        with pq.ParquetFile(part.path) as file:
            old = _Rows(file.iter_batches(BATCH_ROWS, use_threads=False))
            for piece in pieces:
                batches = old.take(piece.n_rows)
                if piece.is_stale or piece.new is None:
                    deque(batches, maxlen=0)
                    batches = computed.take(piece.n_rows)
                if piece.new is not None:
                    _append(writer, ledger.schema, batches, piece.new, stamps)
        if writer.n_rows:
            return writer.close()
        writer.abandon()
        return None
    except BaseException:
        writer.abandon()
        raise


def _append(
    writer: PartWriter,
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    rows: Slice,
    stamps: Mapping[str, Stamp],
) -> None:
    """Write the rows of a slice, batch by batch; only with the last of them it may end."""
    first = rows.first_row
    for batch in batches:
        end = first + len(batch)
        table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
        is_last = rows.is_last and end == rows.end_row
        writer.write(
            _joined(table.to_batches()),
            [replace(rows, first_row=first, end_row=end, is_last=is_last)],
            stamps,
        )
        first = end
