"""Texts against sentences: what is asked of the encoder, and what its answers say."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bertpipe import Request, text_request
from bertpipe_zero_shot.hypotheses import Asked

# So many scores are held at a time, however many texts and labels there are.
BLOCK = 1 << 20


@dataclass(frozen=True)
class Scored:
    """Scores of some rows, end to end.

    sentences: distinct. index: int (n_scores,), the sentence of each score.
    scores: float32 (n_scores,). counts: int64 (n_rows,), how many scores each row has.
    """

    sentences: list[str]
    index: np.ndarray
    scores: np.ndarray
    counts: np.ndarray


def shared_request(texts: pa.Array, sentences: pa.Array) -> Request:
    """Ask for the vectors of texts and of sentences; the latter belong to no row."""
    everything = pa.concat_arrays([texts.cast(pa.string()), sentences])
    found = text_request(pa.record_batch({"text": everything}))
    has_text = found.has_text[: len(texts)]
    return replace(
        found,
        row_offsets=found.row_offsets[: len(texts) + 1],
        row_items=found.row_items[: has_text.sum()],
        has_text=has_text,
    )


def shared_cosines(values: pa.Array, request: Request, sentences: pa.Array) -> Iterator[Scored]:
    """Yield the cosines of all texts with the same sentences, some rows at a time."""
    items = pc.index_in(sentences, value_set=pa.array(request.texts, pa.string()))
    asked = _matrix(values, items.to_numpy())
    index = np.flatnonzero(_has_vector(values, items.to_numpy()))
    names = sentences.to_pylist()
    n_rows = len(request.has_text)
    item = np.zeros(n_rows, dtype=np.int64)
    item[request.has_text] = request.row_items
    is_known = request.has_text & _has_vector(values, item)
    step = max(1, BLOCK // max(1, len(index)))
    for start in range(0, n_rows, step):
        rows = slice(start, start + step)
        chosen = item[rows][is_known[rows]]
        scores = _matrix(values, chosen) @ asked.T
        counts = is_known[rows] * len(index)
        yield Scored(names, np.tile(index, len(chosen)), scores.ravel(), counts)


def own_request(texts: pa.Array, asked: Asked) -> Request:
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


def own_cosines(values: pa.Array, request: Request) -> Iterator[Scored]:
    """Yield the cosines of each text with its own sentences."""
    n_items = np.diff(request.row_offsets)
    has_items = n_items > 0
    is_text = np.zeros(len(request.row_items), dtype=bool)
    is_text[request.row_offsets[:-1][has_items]] = True
    text = np.repeat(request.row_items[is_text], n_items[has_items])
    is_pair = ~is_text & _has_vector(values, text) & _has_vector(values, request.row_items)
    index, scores = request.row_items[is_pair], np.zeros(int(is_pair.sum()), dtype=np.float32)
    step = max(1, BLOCK // values.type.list_size)
    for start in range(0, len(index), step):
        pairs = slice(start, start + step)
        scores[pairs] = np.einsum(
            "ij,ij->i", _matrix(values, text[is_pair][pairs]), _matrix(values, index[pairs])
        )
    yield from _in_blocks(Scored(request.texts, index, scores, _counts(is_pair, request)))


def entailments(values: pa.Array, request: Request) -> Iterator[Scored]:
    """Yield the scores of each text with the sentences that it was read with."""
    has_score = values.is_valid().to_numpy(zero_copy_only=False)[request.row_items]
    items = request.row_items[has_score]
    prefix = request.items.prefix
    index = np.zeros(0, np.int32) if prefix is None else prefix[items]
    scores = values.take(pa.array(items)).to_numpy(zero_copy_only=False).astype(np.float32)
    yield from _in_blocks(Scored(request.prefixes, index, scores, _counts(has_score, request)))


def _in_blocks(scored: Scored) -> Iterator[Scored]:
    """Yield the scores of whole rows, about `BLOCK` at a time."""
    ends = np.cumsum(scored.counts)
    cuts = np.flatnonzero(np.diff(ends // BLOCK)) + 1
    for rows in np.split(np.arange(len(ends)), cuts):
        if len(rows):
            part = slice(ends[rows[0]] - scored.counts[rows[0]], ends[rows[-1]])
            counts = scored.counts[rows]
            yield Scored(scored.sentences, scored.index[part], scored.scores[part], counts)


def _has_vector(values: pa.Array, items: np.ndarray) -> np.ndarray:
    has_vector = values.is_valid().to_numpy(zero_copy_only=False)
    return has_vector[items] if len(has_vector) else np.zeros(len(items), dtype=bool)


def _matrix(values: pa.Array, items: np.ndarray) -> np.ndarray:
    """Return the vectors of the items that have one, float32 (n, width)."""
    vectors = values.take(pa.array(items[_has_vector(values, items)]))
    return vectors.flatten().to_numpy().reshape(-1, values.type.list_size)


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
