"""Texts against sentences: what is asked of the encoder, and what its answers say."""

import numpy as np
import pyarrow as pa

from bertpipe import Request, text_request
from bertpipe_zero_shot.hypotheses import Asked


def vector_request(texts: pa.Array, asked: Asked) -> Request:
    """Ask for the vectors of each row's text and then of its sentences."""
    everything = pa.concat_arrays([texts.cast(pa.string()), asked.hypotheses])
    found = text_request(pa.record_batch({"text": everything}))
    has_text = found.has_text[: len(texts)]
    item = np.zeros(len(everything), dtype=np.int64)
    item[found.has_text] = found.row_items
    is_asked = has_text[asked.row]
    row = np.concatenate([np.flatnonzero(has_text), asked.row[is_asked]])
    items = np.concatenate([item[: len(texts)][has_text], item[len(texts) + asked.index[is_asked]]])
    order = np.argsort(row, kind="stable")
    return Request(
        texts=found.texts,
        prefixes=[],
        items=found.items,
        row_offsets=np.searchsorted(row[order], np.arange(len(texts) + 1)),
        row_items=items[order],
        has_text=has_text,
    )


def entailments(values: pa.Array, request: Request) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return sentences and scores of the rows, end to end, and how many each row has."""
    has_score = values.is_valid().to_numpy(zero_copy_only=False)[request.row_items]
    items = request.row_items[has_score]
    prefix = request.items.prefix
    asked = np.zeros(0, np.int32) if prefix is None else prefix[items]
    sentences = pa.array(request.prefixes, pa.string()).take(pa.array(asked))
    scores = values.take(pa.array(items)).to_numpy(zero_copy_only=False).astype(np.float32)
    return sentences, scores, _counts(has_score, request)


def cosines(values: pa.Array, request: Request) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """Return sentences and cosines of the rows, end to end, and how many each row has."""
    has_items = np.diff(request.row_offsets) > 0
    is_text = np.zeros(len(request.row_items), dtype=bool)
    is_text[request.row_offsets[:-1][has_items]] = True
    text = np.repeat(request.row_items[is_text], np.diff(request.row_offsets)[has_items])
    has_vector = values.is_valid().to_numpy(zero_copy_only=False)
    is_pair = ~is_text & has_vector[text] & has_vector[request.row_items]
    texts, text_of = np.unique(text[is_pair], return_inverse=True)
    asked, asked_of = np.unique(request.row_items[is_pair], return_inverse=True)
    between = _matrix(values, texts) @ _matrix(values, asked).T
    sentences = pa.array(request.texts, pa.string()).take(pa.array(asked)).take(pa.array(asked_of))
    return sentences, between[text_of, asked_of], _counts(is_pair, request)


def _matrix(values: pa.Array, items: np.ndarray) -> np.ndarray:
    vectors = values.take(pa.array(items))
    return vectors.flatten().to_numpy().reshape(len(items), values.type.list_size)


def _counts(chosen: np.ndarray, request: Request) -> np.ndarray:
    return np.diff(np.concatenate([[0], np.cumsum(chosen)])[request.row_offsets])


def softmax(scores: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return scores that add up to 1 among the `counts` of each row."""
    if not len(scores):
        return scores
    sizes = counts[counts > 0]
    firsts = np.cumsum(sizes) - sizes
    powers = np.exp(scores - np.repeat(np.maximum.reduceat(scores, firsts), sizes))
    return powers / np.repeat(np.add.reduceat(powers, firsts), sizes)
