"""Sentences of texts, each asked about as a text of its own."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bertpipe import Request


@dataclass(frozen=True, kw_only=True)
class SentencesAsked(Request):
    """What the sentences of rows ask of an encoder.

    asked: the same with a row for each sentence. of_rows: which sentences a row has.
    """

    asked: Request
    of_rows: Request


def ask_sentences(
    batch: pa.RecordBatch, of_rows: Request, ask: Callable[[pa.RecordBatch], Request]
) -> SentencesAsked:
    """Ask about each sentence as about a text, with the other columns of its row."""
    row = np.repeat(np.arange(batch.num_rows), np.diff(of_rows.row_offsets))
    columns = dict(zip(batch.schema.names, batch.take(pa.array(row)).columns, strict=True))
    columns["text"] = pa.array(of_rows.texts, pa.string()).take(pa.array(of_rows.row_items))
    asked = ask(pa.record_batch(columns))
    spans = np.zeros((0, 2), np.int32) if of_rows.row_spans is None else of_rows.row_spans
    return SentencesAsked(
        texts=asked.texts,
        prefixes=asked.prefixes,
        items=asked.items,
        row_offsets=asked.row_offsets[of_rows.row_offsets],
        row_items=asked.row_items,
        has_text=of_rows.has_text,
        row_spans=np.repeat(spans, np.diff(asked.row_offsets), axis=0),
        text_first=asked.text_first,
        asked=asked,
        of_rows=of_rows,
    )
