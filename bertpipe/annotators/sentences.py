"""Texts taken apart into sentences, each asked of the encoder for itself."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from bertpipe.annotators.passes import Request, text_request
from bertpipe.docs import SENTENCES
from bertpipe.errors import ConfigError, DocumentError

Spans = list[tuple[int, int]]


def sentence_request(batch: pa.RecordBatch, column: str | None = None) -> Request:
    """Ask for each distinct sentence of the texts; `row_spans` says where each lies.

    column: a list of structs with `start` and `end`, such as an earlier component writes. None
    takes the sentences of Docs that have some, and otherwise those that spaCy's rules find.

    Raises:
        ConfigError: There is no such column.
    """
    if column is not None and column not in batch.schema.names:
        raise ConfigError(
            f"There is no column {column!r} to read sentences from; name the column of a component "
            "that comes before, or none to use the rules of spaCy."
        )
    texts = batch["text"].to_pylist()
    name = column or SENTENCES
    given = batch[name].to_pylist() if name in batch.schema.names else [None] * len(texts)
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


def _spans(text: str | None, sentences: Any, column: str | None) -> Spans:
    if text is None:
        return []
    if sentences is None and column is None:
        return list(_by_rules(text))
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


def _by_rules(text: str) -> Iterator[tuple[int, int]]:
    tokenizer, sentencizer = _splitter()
    for sentence in sentencizer(tokenizer(text)).sents:
        yield sentence.start_char, sentence.end_char


@cache
def _splitter() -> tuple[Any, Any]:
    from bertpipe.annotators.create import blank

    nlp = blank()
    return nlp.tokenizer, nlp.add_pipe("sentencizer")
