"""What the rows of a batch ask: texts behind questions."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.annotators.passes import Request
from bertpipe.batching.windows import Items
from bertpipe.errors import DocumentError


def same_questions(batch: pa.RecordBatch, questions: Sequence[str]) -> Request:
    """Ask every question of every text; the items of a row are in the order of the questions."""
    texts, index = _distinct(batch["text"])
    has_text = index >= 0
    n_asked = len(questions)
    return Request(
        texts=texts,
        prefixes=list(questions),
        items=Items(
            text=np.repeat(np.arange(len(texts), dtype=np.int32), n_asked),
            prefix=np.tile(np.arange(n_asked, dtype=np.int32), len(texts)),
        ),
        row_offsets=np.concatenate([[0], np.cumsum(has_text * n_asked)]),
        row_items=(index[has_text][:, None] * n_asked + np.arange(n_asked)).ravel(),
        has_text=has_text,
    )


def own_questions(batch: pa.RecordBatch, field: str) -> Request:
    """Ask each text the question of its row; a null or blank question is not asked.

    Raises:
        DocumentError: The column holds no strings.
    """
    asked = _strings(batch[field], field)
    is_blank = pc.equal(pc.utf8_trim_whitespace(asked), "")
    asked = pc.if_else(is_blank, pa.scalar(None, asked.type), asked)
    texts, text = _distinct(batch["text"])
    questions, question = _distinct(asked)
    has_item = (text >= 0) & (question >= 0)
    pairs = text[has_item] * max(1, len(questions)) + question[has_item]
    distinct, row_items = np.unique(pairs, return_inverse=True)
    return Request(
        texts=texts,
        prefixes=questions,
        items=Items(
            text=(distinct // max(1, len(questions))).astype(np.int32),
            prefix=(distinct % max(1, len(questions))).astype(np.int32),
        ),
        row_offsets=np.concatenate([[0], np.cumsum(has_item)]),
        row_items=row_items,
        has_text=text >= 0,
    )


def _strings(column: pa.Array, field: str) -> pa.Array:
    if pa.types.is_null(column.type):
        return column.cast(pa.string())
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise DocumentError(
            f"The column {field!r} holds {column.type}; question_field needs one of strings."
        )
    return column


def _distinct(column: pa.Array) -> tuple[list[str], np.ndarray]:
    """Return the distinct strings and each row's index among them, -1 for null."""
    encoded = column.dictionary_encode()
    indices = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return encoded.dictionary.to_pylist(), indices.astype(np.int64)
