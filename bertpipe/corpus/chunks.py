"""Which rows belong to which chunk: a function of the files alone, whatever is done already.

A source is cut into pieces: rows are gathered until they weigh `chunk_chars`. A full piece is a
chunk. What remains at the end of a source, often all of it, is put together with what remains of
the sources after it, until that weighs `chunk_chars`. Rows that are done are jumped over; since
what is done are whole chunks, the others come out as if nothing were done.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.corpus.corpus import Corpus
from bertpipe.corpus.sources import Source
from bertpipe.records import SOURCE

ROW_WEIGHT_CHARS = 128
OTHER_BYTES_A_CHAR = 16


@dataclass(frozen=True)
class Slice:
    """Rows of one source; `is_last` when the source is known to end with them."""

    source: str
    first_row: int
    end_row: int
    is_last: bool = False


@dataclass(frozen=True)
class Chunk:
    """Consecutive documents, as one batch whose rows are those of the slices, in order."""

    slices: tuple[Slice, ...]
    batch: pa.RecordBatch


@dataclass(frozen=True)
class SourceDone:
    """The row ranges of a source that the output covers (sorted, disjoint).

    `complete` says that a slice with `is_last` is among them: the source ends with the last range.
    """

    ranges: tuple[tuple[int, int], ...] = ()
    complete: bool = False


@dataclass(slots=True)
class _Piece:
    """Consecutive rows of one source."""

    source: str
    batches: list[pa.RecordBatch] = field(default_factory=list)
    first_row: int = 0
    n_rows: int = 0
    weight: int = 0
    is_remainder: bool = False
    is_last: bool = False

    @property
    def end_row(self) -> int:
        return self.first_row + self.n_rows

    def add(self, batch: pa.RecordBatch, first_row: int, weight: int) -> None:
        if not self.batches:
            self.first_row = first_row
        self.batches.append(batch)
        self.n_rows += batch.num_rows
        self.weight += weight


def iterate_chunks(
    corpus: Corpus,
    *,
    chunk_chars: int,
    done: Mapping[str, SourceDone],
    limit: int | None = None,
) -> Iterator[Chunk]:
    """Yield the chunks that are not done, each of `chunk_chars` or more except the last.

    A row weighs its characters, 128 more, and a sixteenth of the bytes of its other text and binary
    columns. `done` has the names of sources as keys. `limit` ends the corpus after that many
    records, done ones included; a source that it cuts is not marked as ended.
    """
    n_left = 2**63 if limit is None else limit
    pending: list[_Piece] = []
    pending_weight = 0
    for source in corpus.sources:
        if n_left <= 0:
            break
        finished = done.get(source.name, SourceDone())
        n_rows = max((end for _, end in finished.ranges), default=0)
        for piece in _pieces(corpus, source, finished, n_left, chunk_chars):
            n_rows = max(n_rows, piece.end_row)
            if not piece.is_remainder:
                yield _chunk([piece])
                continue
            pending.append(piece)
            pending_weight += piece.weight
            if pending_weight >= chunk_chars:
                yield _chunk(pending)
                pending, pending_weight = [], 0
        n_left -= n_rows
    if pending:
        yield _chunk(pending)


def _chunk(pieces: Sequence[_Piece]) -> Chunk:
    slices = (Slice(p.source, p.first_row, p.end_row, p.is_last) for p in pieces)
    batches = [batch for piece in pieces for batch in piece.batches]
    (batch,) = pa.Table.from_batches(batches).combine_chunks().to_batches()
    return Chunk(tuple(slices), batch)


def _pieces(
    corpus: Corpus, source: Source, finished: SourceDone, n_left: int, chunk_chars: int
) -> Iterator[_Piece]:
    """Yield what is not done of a source, and say of the piece at its end that it is the last."""
    skip = _joined(finished.ranges)
    stop = n_left
    if finished.complete and skip:
        stop = min(stop, skip[-1][0])
    if stop == 0:
        return
    held: _Piece | None = None
    for piece in _cut(corpus, source, skip, stop, chunk_chars):
        if held is not None:
            yield held
        held = piece
    if held is not None:
        is_end = all(end <= held.first_row for _, end in skip)
        held.is_last = is_end and held.end_row < stop
        held.is_remainder = is_end and held.weight < chunk_chars
        yield held


def _joined(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for first, end in ranges:
        if joined and joined[-1][1] == first:
            first = joined.pop()[0]
        joined.append((first, end))
    return joined


def _cut(
    corpus: Corpus,
    source: Source,
    skip: Sequence[tuple[int, int]],
    stop: int,
    chunk_chars: int,
) -> Iterator[_Piece]:
    """Yield pieces that end where they weigh `chunk_chars`, at done rows, and at the end."""
    piece = _Piece(source.name)
    for batch in corpus.read(source, skip=skip, stop=stop):
        first_row = batch.column(SOURCE).field("row")[0].as_py()
        if piece.batches and first_row != piece.end_row:
            yield piece
            piece = _Piece(source.name)
        weights = np.cumsum(_weights(batch, corpus.text_field))
        start = weighed = 0
        while start < batch.num_rows:
            missing = chunk_chars - piece.weight
            end = min(int(np.searchsorted(weights, weighed + missing)) + 1, batch.num_rows)
            total = int(weights[end - 1])
            piece.add(batch.slice(start, end - start), first_row + start, total - weighed)
            start, weighed = end, total
            if piece.weight >= chunk_chars:
                yield piece
                piece = _Piece(source.name)
    if piece.batches:
        yield piece


def _weights(batch: pa.RecordBatch, text_field: str) -> np.ndarray:
    """Return what each row weighs: integers [n_rows], in characters."""
    others = [
        pc.fill_null(pc.binary_length(column), 0)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if name != text_field and _is_bytes(column.type)
    ]
    n_other_bytes = sum((np.asarray(lengths, np.int64) for lengths in others), np.int64(0))
    n_chars = np.asarray(pc.fill_null(pc.utf8_length(batch.column(text_field)), 0), np.int64)
    weights: np.ndarray = n_chars + ROW_WEIGHT_CHARS + n_other_bytes // OTHER_BYTES_A_CHAR
    return weights


def _is_bytes(column_type: pa.DataType) -> bool:
    return bool(pa.types.is_string(column_type) or pa.types.is_binary(column_type))
