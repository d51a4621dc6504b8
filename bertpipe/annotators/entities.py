"""From labelled tokens to entities, for all items at once."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bertpipe.annotators.spans import Characters, Kept, lists, segments
from bertpipe.annotators.tags import Tags
from bertpipe.annotators.viterbi import likeliest
from bertpipe.records import NER_TYPE


@dataclass(frozen=True)
class Units:
    """Tokens, words or entities with one label each, in the order of the texts.

    item, label: int64. start, end: int64 flat positions. score: float32. All (n_units,).
    """

    item: np.ndarray
    start: np.ndarray
    end: np.ndarray
    label: np.ndarray
    score: np.ndarray

    def take(self, which: np.ndarray) -> "Units":
        """Return the units that an array of bools or indices chooses."""
        return Units(
            self.item[which], self.start[which], self.end[which], self.label[which],
            self.score[which],
        )  # fmt: skip


def words(
    kept: Kept, continues: np.ndarray, scores: np.ndarray, aggregation: str, tags: Tags
) -> Units:
    """Join tokens to words; a word has one label.

    continues: bool (n_tokens,). scores: (n_tokens, n_labels) for `average` and `viterbi`, else
    (n_tokens, 2), the best label and its score.
    """
    firsts, lasts = segments(~continues | (np.diff(kept.item, prepend=-1) != 0))
    if aggregation == "average" and len(firsts):
        counts = (lasts - firsts + 1)[:, None].astype(scores.dtype)
        means = np.add.reduceat(scores, firsts) / counts
        label, score = means.argmax(-1), means.max(-1)
    elif aggregation == "viterbi":
        label = likeliest(scores[firsts], kept.item[firsts], tags)
        score = scores[firsts, label]
    else:
        chosen = _best_piece(scores[:, 1], firsts) if aggregation == "max" else firsts
        label, score = scores[chosen, 0].astype(np.int64), scores[chosen, 1]
    return Units(kept.item[firsts], kept.start[firsts], kept.end[lasts], label, score)


def _best_piece(score: np.ndarray, firsts: np.ndarray) -> np.ndarray:
    """Return the token with the best score of each word, the first of several."""
    if not len(firsts):
        return firsts
    lengths = np.diff(np.append(firsts, len(score)))
    best = np.repeat(np.maximum.reduceat(score, firsts), lengths)
    candidate = np.where(score == best, np.arange(len(score)), len(score))
    return np.minimum.reduceat(candidate, firsts)


def group(units: Units, tags: Tags) -> Units:
    """Join neighbouring units of one type to entities; the score is the mean of theirs."""
    if not len(units.item):
        return units
    kind = tags.type_of[units.label]
    begins = tags.begins[units.label]
    begins[1:] |= np.diff(kind) != 0
    begins[1:] |= np.diff(units.item) != 0
    begins[1:] |= tags.ends[units.label[:-1]]
    begins[0] = True
    firsts, lasts = segments(begins)
    means = np.add.reduceat(units.score, firsts, dtype=np.float64) / (lasts - firsts + 1)
    return Units(
        units.item[firsts],
        units.start[firsts],
        units.end[lasts],
        units.label[firsts],
        means.astype(np.float32),
    )


def separate(entities: Units, characters: Characters) -> Units:
    """Leave out white space at the ends, empty entities, and characters of an earlier entity.

    A byte-level tokenizer can cut one character into several tokens: it belongs to the first entity
    that has it.
    """
    taken = np.maximum.accumulate(entities.end) if len(entities.end) else entities.end
    start = entities.start.copy()
    start[1:] = np.maximum(start[1:], taken[:-1])
    end = np.maximum(start, entities.end)
    start, end = characters.trim(start, end)
    whole = Units(entities.item, start, end, entities.label, entities.score)
    return whole.take(start < end)


def to_arrow(entities: Units, tags: Tags, characters: Characters, base: np.ndarray) -> pa.Array:
    """Return the entities of each item; base: int64 (n_items,), where its text begins."""
    names = pa.array(tags.types, pa.string())
    columns = {
        "start": entities.start - base[entities.item],
        "end": entities.end - base[entities.item],
        "label": names.take(pa.array(tags.type_of[entities.label])),
        "score": entities.score,
        "text": characters.cut(entities.start, entities.end),
    }
    return lists(entities.item, len(base), columns, NER_TYPE)
