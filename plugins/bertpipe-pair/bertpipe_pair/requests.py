"""Which pairs the rows of a batch ask about."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe import ConfigError, DocumentError, Request, pair_request, sentence_request


def column_pairs(batch: pa.RecordBatch, second: str) -> Request:
    """Pair each text with the string of another column; a null or blank one makes no pair.

    Raises:
        ConfigError: There is no such column.
        DocumentError: It holds no strings.
    """
    if second not in batch.schema.names:
        raise ConfigError(
            f"The second text is to be in the column {second!r}, which is not there; there are "
            f"{', '.join(batch.schema.names)}."
        )
    column = batch[second]
    if pa.types.is_null(column.type):
        column = column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DocumentError(f"The column {second!r} holds {column.type}; bert_pair needs strings.")
    is_there = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(column), ""), False)
    row = np.flatnonzero(is_there.to_numpy(zero_copy_only=False))
    return pair_request(batch["text"], column.filter(is_there), row, text_first=True)


def neighbour_pairs(batch: pa.RecordBatch, sentences: str | None) -> Request:
    """Pair each sentence of the texts with the next; `row_spans` covers both."""
    found = sentence_request(batch, sentences)
    texts = pa.array(found.texts, pa.string()).take(pa.array(found.row_items))
    row = np.repeat(np.arange(len(found.has_text)), np.diff(found.row_offsets))
    first = np.flatnonzero(row[:-1] == row[1:])
    spans = found.row_spans if found.row_spans is not None else np.zeros((0, 2), np.int32)
    pairs = pair_request(
        texts.take(pa.array(first)),
        texts.take(pa.array(first + 1)),
        np.arange(len(first)),
        text_first=True,
    )
    return replace(
        pairs,
        row_offsets=np.searchsorted(row[first], np.arange(len(found.has_text) + 1)),
        has_text=found.has_text,
        row_spans=np.stack([spans[first, 0], spans[first + 1, 1]], axis=1),
    )
