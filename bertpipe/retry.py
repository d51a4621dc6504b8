"""`--retry-errors`: compute the rows in error again and put the corrected parts in place.

A corrected part covers the same slices as the old one, so it has the same name and replaces it in
one step. Rows that were right are copied, not computed. Whatever stops this leaves each part either
as it was or corrected.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.corpus import Corpus, Slice, Source
from bertpipe.output.files import writing
from bertpipe.output.footer import Part
from bertpipe.output.inventory import parts
from bertpipe.output.ledger import Ledger
from bertpipe.output.parquet import PartWriter, TemporaryPart
from bertpipe.pool import POLL_SECONDS, Pool, hand_out
from bertpipe.records import ERROR, SOURCE
from bertpipe.worker import Message

BATCH_ROWS = 1_024
Identity = tuple[str, int]


def retry_errors(pool: Pool, ledger: Ledger, corpus: Corpus) -> int:
    """Compute the rows in error again; return how many there were.

    Rows of a source that is no longer in the corpus stay as they are.
    """
    sources = {source.name: source for source in corpus.sources}
    n_rows = 0
    for part in [part for _, part in parts(ledger.folder) if part and part.errors]:
        records = [
            batch
            for name, rows in _rows_in_error(part).items()
            if name in sources
            for batch in _read(corpus, sources[name], rows)
        ]
        if records:
            found = _annotate(pool, pa.Table.from_batches(records), ledger.schema)
            with writing(ledger.folder):
                corrected = _corrected(ledger, part, found)
            ledger.commit(corrected)
            n_rows += found.num_rows
    return n_rows


def _rows_in_error(part: Part) -> Mapping[str, list[int]]:
    """Return the row numbers by source, in order."""
    with pq.ParquetFile(part.path) as file:
        table = file.read([SOURCE, ERROR], use_threads=False)
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for name, row in _identities(table.filter(pc.is_valid(table.column(ERROR)))):
        rows[name].append(row)
    return rows


def _read(corpus: Corpus, source: Source, rows: Iterable[int]) -> Iterator[pa.RecordBatch]:
    skip, end = [], 0
    for row in rows:
        if row > end:
            skip.append((end, row))
        end = row + 1
    return corpus.read(source, skip=skip, stop=end)


def _annotate(pool: Pool, records: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return the annotated records, in the order in which the workers are done with them."""
    batches = records.combine_chunks().to_batches(BATCH_ROWS)
    work: list[tuple[Message, pa.RecordBatch]] = [
        ({"type": "annotate", "number": i}, batch) for i, batch in enumerate(batches)
    ]
    answers = [answer for answer in hand_out(pool, work) if answer["type"] == "annotated"]
    while len(answers) < len(work):
        received = (answer for _, answer in pool.receive(POLL_SECONDS))
        answers += [answer for answer in received if answer["type"] == "annotated"]
    return pa.Table.from_batches([each["records"].select(schema.names) for each in answers], schema)


def _corrected(ledger: Ledger, part: Part, found: pa.Table) -> TemporaryPart:
    """Write a part anew, with the rows found in the place of those that it has."""
    place = {identity: i for i, identity in enumerate(_identities(found))}
    writer = PartWriter(ledger.folder, ledger.schema, ledger.metadata, worker="retry")
    n_rows = 0
    try:
        with pq.ParquetFile(part.path) as file:
            for batch in file.iter_batches(BATCH_ROWS, use_threads=False):
                old = pa.Table.from_batches([batch]).cast(ledger.schema)
                slices = _cut(part.slices, n_rows, n_rows + len(batch))
                writer.write(_replaced(old, found, place), list(slices), part.stamps)
                n_rows += len(batch)
        return writer.close()
    except BaseException:
        writer.abandon()
        raise


def _replaced(old: pa.Table, found: pa.Table, place: Mapping[Identity, int]) -> pa.RecordBatch:
    numbers = [
        old.num_rows + place[identity] if identity in place else i
        for i, identity in enumerate(_identities(old))
    ]
    (batch,) = pa.concat_tables([old, found]).take(numbers).combine_chunks().to_batches()
    return batch


def _cut(slices: Sequence[Slice], first: int, end: int) -> Iterator[Slice]:
    """Yield what the rows `first` to `end` of a part are in its sources."""
    position = 0
    for each in slices:
        n_rows = each.end_row - each.first_row
        start, stop = max(first - position, 0), min(end - position, n_rows)
        if start < stop:
            is_last = each.is_last and stop == n_rows
            yield Slice(each.source, each.first_row + start, each.first_row + stop, is_last)
        position += n_rows


def _identities(table: pa.Table) -> list[Identity]:
    return [(each["path"], each["row"]) for each in table.column(SOURCE).to_pylist()]
