"""What the rows of a batch ask: texts paired with questions or with other texts."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.annotators.request import Request
from bertpipe.batching.windows import Items
from bertpipe.errors import DocumentError


def same_questions(
    batch: pa.RecordBatch, questions: Sequence[str], *, text_first: bool = False
) -> Request:
    """Ask every question of every text; the items of a row are in the order of the questions.

    text_first: whether the encoder reads the text before the question.
    """
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
        text_first=text_first,
    )


def own_questions(batch: pa.RecordBatch, field: str) -> Request:
    """Ask each text the question of its row; a null or blank question is not asked.

    Raises:
        DocumentError: The column holds no strings.
    """
    asked = _strings(batch[field], field)
    is_blank = pc.equal(pc.utf8_trim_whitespace(asked), "")
    asked = pc.if_else(is_blank, pa.scalar(None, asked.type), asked)
    has_question = asked.is_valid().to_numpy(zero_copy_only=False)
    row = np.flatnonzero(has_question)
    return pair_request(batch["text"], asked.drop_null(), row)


def pair_request(
    texts: pa.Array, others: pa.Array, row: np.ndarray, *, text_first: bool = False
) -> Request:
    """Pair the texts of rows with other strings; equal pairs are asked once.

    texts: string (n_rows,). others: string (n_pairs,), without nulls.
    row: int64 (n_pairs,), the row whose text each is paired with, sorted; those of rows without a
    text are left out. text_first: whether the encoder reads the text before the other.
    """
    known, text = _distinct(texts)
    partners, partner = _distinct(others)
    has_text = text >= 0
    is_asked = has_text[row]
    row, partner = row[is_asked], partner[is_asked]
    n_partners = max(1, len(partners))
    distinct, row_items = np.unique(text[row] * n_partners + partner, return_inverse=True)
    return Request(
        texts=known,
        prefixes=partners,
        items=Items(
            text=(distinct // n_partners).astype(np.int32),
            prefix=(distinct % n_partners).astype(np.int32),
        ),
        row_offsets=np.searchsorted(row, np.arange(len(texts) + 1)),
        row_items=row_items,
        has_text=has_text,
        text_first=text_first,
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
