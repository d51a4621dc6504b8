"""What the rows of a batch ask of an encoder, and what was made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.batching.tokens import Tokens
from bertpipe.batching.windows import Items, Windows
from bertpipe.errors import DocumentError
from bertpipe.records import STATISTICS

# So many characters are read at a time where texts are read several times; each reading counts as
# some more, for what it takes in memory beside its text.
SLICE_CHARS = 1 << 26
READING_CHARS = 100


@dataclass(frozen=True)
class Request:
    """What the rows of a batch ask of an encoder, with equal texts asked once.

    texts, prefixes: distinct strings that the items refer to.
    row_offsets: int64 (n_rows + 1,). The items of row i are
        row_items[row_offsets[i]:row_offsets[i + 1]].
    has_text: bool (n_rows,). A row without a text has no item.
    row_spans: int32 (len(row_items), 2), the characters of the row's text that each item is, where
        items are parts of texts.
    text_first: whether the text stands before the prefix, which is no prefix then.
    """

    texts: list[str]
    prefixes: list[str]
    items: Items
    row_offsets: np.ndarray
    row_items: np.ndarray
    has_text: np.ndarray
    row_spans: np.ndarray | None = None
    text_first: bool = False


@dataclass(frozen=True)
class Windowed:
    """A request, tokenised and cut."""

    request: Request
    tokens: Tokens
    prefixes: Tokens | None
    windows: Windows


def slices(batch: pa.RecordBatch, n_readings: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Cut a batch so that memory is bounded, however often its texts are read.

    n_readings: int64 (n_rows,). A batch whose texts are read once each stays whole.
    """
    cuts = np.zeros(0, dtype=np.int64)
    if n_readings.max(initial=0) > 1:
        n_chars = pc.fill_null(pc.utf8_length(batch["text"].cast(pa.string())), 0).to_numpy()
        ends = np.cumsum(n_readings * (n_chars.astype(np.int64) + READING_CHARS))
        cuts = np.flatnonzero(np.diff(ends // SLICE_CHARS)) + 1
    for start, end in zip([0, *cuts], [*cuts, batch.num_rows], strict=True):
        yield batch.slice(start, end - start)


def text_request(batch: pa.RecordBatch) -> Request:
    """Ask for each distinct text of the batch; a null text has no item."""
    encoded = batch["text"].dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    texts = encoded.dictionary.to_pylist()
    present = indices >= 0
    return Request(
        texts=texts,
        prefixes=[],
        items=Items(np.arange(len(texts), dtype=np.int32)),
        row_offsets=np.concatenate([[0], np.cumsum(present)]),
        row_items=indices[present],
        has_text=present,
    )


def statistics(windowed: Windowed) -> pa.RecordBatch:
    """Count the tokens and windows of each row, special tokens left out; null without a text."""
    request, windows = windowed.request, windowed.windows
    items = request.row_items
    row, n_rows = _rows(request), len(request.row_offsets) - 1
    n_tokens, truncated = (np.zeros(n_rows, dtype=np.int32) for _ in range(2))
    lengths = windowed.tokens.lengths[request.items.text][items].astype("int32")
    # Items of a row are one text several times, or its parts, each of which may come several times.
    if request.row_spans is None:
        np.maximum.at(n_tokens, row, lengths)
    else:
        is_new = _differs(np.column_stack([row, request.row_spans]))
        np.add.at(n_tokens, row[is_new], lengths[is_new])
    np.maximum.at(truncated, row, windows.truncated[items].astype("int32"))
    missing = ~request.has_text
    columns = (n_tokens, n_windows(request, windows), truncated.astype(bool))
    return pa.record_batch([pa.array(column, mask=missing) for column in columns], STATISTICS)


def _differs(rows: np.ndarray) -> np.ndarray:
    """Tell which rows (n, width) are not equal to the row before them."""
    found = np.ones(len(rows), dtype=bool)
    found[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return found


def _rows(request: Request) -> np.ndarray:
    """Return the row of each of the request's `row_items`."""
    return np.repeat(np.arange(len(request.row_offsets) - 1), np.diff(request.row_offsets))


def n_windows(request: Request, windows: Windows) -> np.ndarray:
    """Return how many windows each row has, int32 (n_rows,)."""
    found = np.zeros(len(request.row_offsets) - 1, dtype=np.int32)
    of_item = np.diff(windows.offsets).astype(np.int32)
    np.add.at(found, _rows(request), of_item[request.row_items])
    return found


def refuse_many(request: Request, windows: Windows, max_windows: int) -> None:
    """Raise DocumentError when a row has more windows than it may."""
    most = n_windows(request, windows).max(initial=0)
    if most > max_windows:
        raise DocumentError(
            f"The document has {most:,} windows, more than max_windows {max_windows:,};"
            " raise that, or set truncation to head."
        )
