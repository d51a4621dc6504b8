"""Hold an annotator to its contract."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from bertpipe import docs
from bertpipe.annotator import Annotator
from bertpipe.testing.texts import TEXTS


def check_annotator(
    annotator: Annotator,
    *,
    texts: Sequence[str] = TEXTS,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Hold an annotator to its contract; an AssertionError says what is broken.

    columns: values, one a text, of the other columns that it reads.
    Scores may differ by 1e-5 with the batch, which asks for precision fp32.
    """
    batch = pa.record_batch({**(columns or {}), "text": pa.array(texts, pa.string())})
    found = annotator.annotate(batch)
    assert len(found) == len(texts), f"{len(texts)} rows gave {len(found)} values"
    assert found.type == annotator.type, f"the type is {found.type}, not {annotator.type}"
    found.validate(full=True)
    values = found.to_pylist()
    for text, value in zip(texts, values, strict=True):
        _check_spans(text, value)
    _check_batches(annotator, batch, values)
    _check_docs(annotator, batch, values)


def _check_spans(text: str, value: Any) -> None:
    """Check the offsets of every dict with start, end and text."""
    if isinstance(value, list):
        for part in value:
            _check_spans(text, part)
    elif isinstance(value, dict) and {"start", "end", "text"} <= value.keys():
        start, end = value["start"], value["end"]
        assert 0 <= start < end <= len(text), f"the span {start}:{end} is not inside {text!r}"
        assert value["text"] == text[start:end], f"{value!r} is not what {text!r} has there"


def _check_batches(annotator: Annotator, batch: pa.RecordBatch, values: list[Any]) -> None:
    """Check that a value depends on its row alone."""
    backwards = batch.take(pa.array(np.arange(batch.num_rows)[::-1].copy()))
    found = annotator.annotate(backwards).to_pylist()[::-1]
    assert same(found, values), "the values change with the order of the rows"
    for row in range(batch.num_rows):
        alone = annotator.annotate(batch.slice(row, 1)).to_pylist()
        assert same(alone, values[row : row + 1]), f"row {row} alone gives another value: {alone}"
    empty = annotator.annotate(batch.slice(0, 0))
    assert (len(empty), empty.type) == (0, annotator.type), "no rows must give no values"
    schema = batch.schema
    nulls = pa.record_batch([pa.nulls(1, field.type) for field in schema], schema)
    assert annotator.annotate(nulls).to_pylist() == [None], "a null text must give null"


def _check_docs(annotator: Annotator, batch: pa.RecordBatch, values: list[Any]) -> None:
    """Check that Docs carry the values of the column."""
    import spacy

    nlp = spacy.blank("en")
    rows = batch.to_pylist()
    made = [nlp.make_doc(row["text"]) for row in rows]
    for doc, row in zip(made, rows, strict=True):
        doc.user_data.update({name: row[name] for name in row if name != "text"})
    found = list(docs.pipe(annotator, made, batch_size=5, handle_error=docs.raise_error))
    kept = [doc._.bertpipe.get(annotator.name) for doc in found]
    assert same(kept, values), "doc._.bertpipe differs from the column"


def same(found: Any, expected: Any, *, tolerance: float = 1e-5) -> bool:
    """Tell whether two values are equal, numbers that are no integers within the tolerance."""
    if isinstance(expected, float) and isinstance(found, float):
        return abs(found - expected) <= tolerance
    if isinstance(expected, list) and isinstance(found, list):
        pairs = zip(found, expected, strict=False)
        return len(found) == len(expected) and all(same(*pair) for pair in pairs)
    if isinstance(expected, dict) and isinstance(found, dict):
        return found.keys() == expected.keys() and all(
            same(found[key], expected[key]) for key in expected
        )
    return bool(found == expected)
