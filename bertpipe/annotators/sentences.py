"""Texts taken apart into sentences, each asked of the encoder for itself."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.annotators.request import Request, text_request
from bertpipe.docs import SENTENCES
from bertpipe.errors import ConfigError, DocumentError

Spans = list[tuple[int, int]]


def sentence_reads(column: str | None) -> tuple[str, ...]:
    """Return what an annotator reads that asks `sentence_request` for the same column."""
    return ("text", SENTENCES) if column is None else ("text", column, SENTENCES)


def sentence_request(batch: pa.RecordBatch, column: str | None = None) -> Request:
    """Ask for each distinct sentence of the texts; `row_spans` says where each lies.

    column: what an earlier component wrote: a list of structs with `start` and `end`, or a struct
        with such a list as its field `sents`. None takes the sentences of Docs that have some, and
        otherwise those that spaCy's rules find. A row that has none in the column, because that
        component failed, counts as one without a text.

    Raises:
        ConfigError: There is no such column.
    """
    if column is not None and column not in batch.schema.names:
        raise ConfigError(
            f"There is no column {column!r} to read sentences from; name the column of a component "
            "that comes before, or none to use the rules of spaCy."
        )
    texts = batch["text"].to_pylist()
    given = _given(batch, column)
    if column is not None:
        texts = [None if spans is None else text for text, spans in zip(texts, given, strict=True)]
    found = [
        _trimmed(text, _spans(text, sentences, column))
        for text, sentences in zip(texts, given, strict=True)
    ]
    parts = [texts[row][start:end] for row, spans in enumerate(found) for start, end in spans]
    asked = text_request(pa.record_batch({"text": pa.array(parts, pa.string())}))
    return Request(
        texts=asked.texts,
        prefixes=[],
        items=asked.items,
        row_offsets=np.cumsum([0, *map(len, found)]),
        row_items=asked.row_items,
        has_text=np.array([text is not None for text in texts], dtype=bool),
        row_spans=np.array([span for spans in found for span in spans], np.int32).reshape(-1, 2),
    )


def span_lists(values: pa.Array, request: Request, kind: pa.DataType) -> pa.Array:
    """Return for each row a list of what was found in its parts, with the characters of each.

    values: one for each of the request's `row_items`; a null is left out. kind: the list's type, of
    structs with `start`, `end` and then the fields of a value, or the value itself.
    """
    is_found = values.is_valid().to_numpy(zero_copy_only=False)
    spans = np.zeros((0, 2), np.int32) if request.row_spans is None else request.row_spans
    starts, ends = (pa.array(each) for each in spans[is_found].T)
    found = values.drop_null()
    columns = found.flatten() if pa.types.is_struct(found.type) else [found]
    items = pa.StructArray.from_arrays([starts, ends, *columns], fields=list(kind.value_type))
    offsets = np.concatenate([[0], np.cumsum(is_found)])[request.row_offsets]
    lists = pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), items, type=kind)
    return lists.take(pa.array(np.arange(len(lists)), mask=~request.has_text))


def _given(batch: pa.RecordBatch, column: str | None) -> list[Any]:
    """Return the sentences that are known of each row; None where there are none."""
    found: list[Any] = [None] * batch.num_rows
    for name in (column, SENTENCES):
        if name is not None and name in batch.schema.names:
            known = zip(found, _known(batch, name), strict=True)
            found = [new if old is None else old for old, new in known]
    return found


def _known(batch: pa.RecordBatch, name: str) -> list[Any]:
    values = batch[name]
    if pa.types.is_struct(values.type) and values.type.get_field_index("sents") >= 0:
        values = pc.struct_field(values, "sents")
    return values.to_pylist()


def _spans(text: str | None, sentences: Any, column: str | None) -> Spans:
    if text is None:
        return []
    if sentences is None and column is None:
        return list(split_sentences(text))
    try:
        return [(one["start"], one["end"]) for one in sentences or ()]
    except (KeyError, TypeError) as error:
        raise DocumentError(
            f"The column {column!r} holds {sentences!r:.80}; sentences are a list of structs with "
            "start and end."
        ) from error


def _trimmed(text: str | None, spans: Spans) -> Spans:
    """Leave white space out at both ends of spans, and blank spans altogether."""
    found = []
    for start, end in spans:
        part = (text or "")[start:end]
        start += len(part) - len(part.lstrip())
        if part.strip():
            found.append((start, start + len(part.strip())))
    return found


def split_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the sentences that spaCy's rules find begin and end."""
    tokenizer, sentencizer = _splitter()
    for sentence in sentencizer(tokenizer(text)).sents:
        yield sentence.start_char, sentence.end_char


@cache
def _splitter() -> tuple[Any, Any]:
    from bertpipe.annotators.plugins import blank

    nlp = blank()
    return nlp.tokenizer, nlp.add_pipe("sentencizer")
