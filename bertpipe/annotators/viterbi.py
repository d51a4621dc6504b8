"""The likeliest labels of words of which each may stand behind the one before it."""

import numpy as np

from bertpipe.annotators.spans import segments
from bertpipe.annotators.tags import Tags

LEAST = 1e-30  # a probability, so that its logarithm is finite


def likeliest(scores: np.ndarray, item: np.ndarray, tags: Tags) -> np.ndarray:
    """Return the labels, int64 (n_words,), whose product of scores is the greatest of all valid.

    scores: the probabilities (n_words, n_labels). item: int64 (n_words,), rising; the words of an
    item are one sequence, and what stands in another changes nothing.

    Most labels are valid as they are. Only stretches with one that is not are searched (Viterbi
    1967, as in Ratinov and Roth 2009), from a pair of outside words to the next. A stretch is
    searched as if it stood alone: fits its best what stands around it, nothing can be better; fits
    it not, the whole item is searched.
    """
    labels = scores.argmax(-1)
    first = np.diff(item, prepend=-1) != 0
    wrong = _wrong(labels, first, tags)
    if not wrong.any():
        return labels
    logs = np.log(np.maximum(scores, LEAST).astype(np.float64))
    is_outside = tags.type_of[labels] == tags.outside
    between = first.copy()
    between[1:] |= is_outside[1:] & is_outside[:-1]
    for begins in (between, first):
        _search(labels, logs, first, begins, wrong, tags)
        wrong = _wrong(labels, first, tags)
        if not wrong.any():
            break
    return labels


def _wrong(labels: np.ndarray, first: np.ndarray, tags: Tags) -> np.ndarray:
    """Tell which labels may not stand where they do, bool (n_words,)."""
    if not len(labels):
        return np.zeros(0, dtype=bool)
    wrong = np.where(first, ~tags.opens[labels], False)
    wrong[1:] |= ~first[1:] & ~tags.follows[labels[:-1], labels[1:]]
    return wrong | (np.append(first[1:], True) & ~tags.closes[labels])


def _search(
    labels: np.ndarray,
    logs: np.ndarray,
    first: np.ndarray,
    begins: np.ndarray,
    wrong: np.ndarray,
    tags: Tags,
) -> None:
    """Write the best labels of each stretch that has a wrong one; all of one length step together.

    A stretch at an edge of its item begins and ends as sequences must.
    """
    firsts, lasts = segments(begins)
    has_wrong = np.add.reduceat(wrong, firsts) > 0
    firsts, lasts = firsts[has_wrong], lasts[has_wrong]
    lengths = lasts - firsts + 1
    order = np.argsort(-lengths, kind="stable")
    firsts, lasts, lengths = firsts[order], lasts[order], lengths[order]
    forbidden = np.where(tags.follows, 0.0, -np.inf)
    best = logs[firsts] + np.where(first[firsts, None] & ~tags.opens, -np.inf, 0.0)
    back = np.zeros(logs.shape, dtype=np.int16)
    for step in range(1, int(lengths[0])):
        here = firsts[: np.searchsorted(-lengths, -step)]  # of those that are longer than `step`
        paths = best[: len(here), :, None] + forbidden
        back[here + step] = paths.argmax(1)
        best[: len(here)] = paths.max(1) + logs[here + step]
    is_last = np.append(first[1:], True)[lasts]
    best += np.where(is_last[:, None] & ~tags.closes, -np.inf, 0.0)
    chosen = best.argmax(-1)
    for back_step in range(int(lengths[0])):
        n_left = np.searchsorted(-lengths, -back_step)
        place = lasts[:n_left] - back_step
        chosen = chosen[:n_left]
        labels[place] = chosen
        chosen = back[place, chosen].astype(np.int64)
