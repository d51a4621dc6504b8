"""`--retry-errors`: compute the rows in error again and put the corrected parts in place.

A corrected part covers the same slices as the old one, so it has the same name and replaces it in
one step.
"""

from __future__ import annotations

from collections import defaultdict

import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.corpus import Corpus
from bertpipe.output.changes import Ranges
from bertpipe.output.footer import Part
from bertpipe.output.inventory import parts
from bertpipe.output.ledger import Ledger
from bertpipe.pool import Pool
from bertpipe.records import ERROR, SOURCE
from bertpipe.rewrite import rewrite


def retry_errors(pool: Pool, ledger: Ledger, corpus: Corpus) -> int:
    """Compute the rows in error again; return how many there were.

    Rows of a source that is no longer in the corpus stay as they are.
    """
    names = {source.name for source in corpus.sources}
    n_rows = 0
    for part in [part for _, part in parts(ledger.folder) if part and part.errors]:
        stale = {name: rows for name, rows in _rows_in_error(part).items() if name in names}
        if stale:
            n_rows += rewrite(pool, ledger, corpus, part, stale)
    return n_rows


def _rows_in_error(part: Part) -> dict[str, Ranges]:
    """Return the rows by source, in order."""
    with pq.ParquetFile(part.path) as file:
        table = file.read([SOURCE, ERROR], use_threads=False)
    found: defaultdict[str, Ranges] = defaultdict(list)
    for each in table.filter(pc.is_valid(table.column(ERROR))).column(SOURCE).to_pylist():
        found[each["path"]].append((each["row"], each["row"] + 1))
    return dict(found)
