"""From the scores of windows to what is found in their records."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from bertpipe.annotators.tags import IOB2, OUTSIDE, has_ends, plain_tags, read_tags
from bertpipe.annotators.viterbi import likeliest
from bertpipe.training.features import Feature
from bertpipe.training.tasks import Dev

MAX_ANSWER_TOKENS = 30


def decode_words(
    dev: Dev, scores: list[Any], *, labels: Sequence[str], scheme: str | None = None
) -> list[list[str]]:
    """Label each word by the window where it is farthest from an edge.

    The labels are the likeliest valid ones of a record where the scheme is IOB2 or marks where
    entities end, as in `bert_ner` with aggregation auto.
    """
    names = tuple(labels)
    tags = read_tags(names) if scheme == IOB2 or has_ends(names) else plain_tags(names)
    best = np.zeros((sum(len(record.words) for record in dev.records), len(names)))
    begins = np.cumsum([0, *(len(record.words) for record in dev.records)])
    distances = np.full(len(best), -1)
    outside = names.index(OUTSIDE) if OUTSIDE in names else 0
    best[:, outside] = 1.0  # of a word that is no token
    for feature, logits in zip(dev.features, scores, strict=True):
        for token, word in enumerate(feature.positions):
            distance = min(token, len(feature.ids) - 1 - token)
            place = begins[feature.record] + word
            if word >= 0 and distance > distances[place]:
                distances[place] = distance
                best[place] = softmax(logits[token])
    item = np.repeat(np.arange(len(dev.records)), np.diff(begins))
    found = [names[i] for i in likeliest(best, item, tags)]
    return [found[begin:end] for begin, end in pairwise(begins)]


def decode_texts(dev: Dev, scores: list[Any], *, labels: Sequence[str]) -> list[str]:
    """Give each text the class with the highest mean probability over its windows."""
    return [labels[int(best)] for best in text_probabilities(dev, scores).argmax(1)]


def decode_sets(dev: Dev, scores: list[Any], *, threshold: float) -> np.ndarray:
    """Give each text the labels whose mean probability over its windows reaches the threshold.

    Returns bools [texts, labels].
    """
    return _means(dev, (1 / (1 + np.exp(-logits)) for logits in scores)) >= threshold


def text_probabilities(dev: Dev, scores: list[Any]) -> np.ndarray:
    """Return the mean probabilities over the windows of each text [texts, labels]."""
    return _means(dev, map(softmax, scores))


def _means(dev: Dev, values: Iterable[np.ndarray]) -> np.ndarray:
    """Return the means of the values [labels] of each record's windows [records, labels]."""
    windows: dict[int, list[np.ndarray]] = defaultdict(list)
    for feature, value in zip(dev.features, values, strict=True):
        windows[feature.record].append(value)
    return np.array([np.mean(windows[i], axis=0) for i in range(len(dev.records))])


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return probabilities [labels]."""
    exponents = np.exp(logits - logits.max())
    return exponents / exponents.sum()


def decode_masks(dev: Dev, scores: list[Any]) -> list[np.ndarray]:
    """Return one sum for all windows: how many tokens were hidden and found, and their loss."""
    del dev
    losses, are_found = np.concatenate(scores).T.astype(np.float64)
    return [np.array([len(losses), are_found.sum(), losses.sum()])]


def decode_questions(dev: Dev, scores: list[Any]) -> list[tuple[float, str]]:
    """Return the best span of all windows of each question: its log odds, its text."""
    best: dict[int, tuple[float, str]] = {}
    for feature, logits in zip(dev.features, scores, strict=True):
        value, start, end = best_span(feature, logits)
        if feature.record not in best or value > best[feature.record][0]:
            context = dev.records[feature.record].context
            best[feature.record] = value, context[start:end]
    return [best[i] for i in range(len(dev.records))]


def best_span(feature: Feature, logits: np.ndarray) -> tuple[float, int, int]:
    """Return the best answer of a window: its log odds, first and last character.

    The odds are those against no answer. A window without a token of the context has none.
    """
    allowed = np.array([span is not None for span in feature.positions])
    starts = np.where(allowed, logits[:, 0], -np.inf)
    ends = np.where(allowed, logits[:, 1], -np.inf)
    sums = starts[:, None] + ends[None, :]
    n = len(sums)
    band = np.triu(np.ones((n, n), bool)) & np.tril(np.ones((n, n), bool), MAX_ANSWER_TOKENS - 1)
    best = int(np.where(band, sums, -np.inf).argmax())
    first, last = divmod(best, n)
    if not allowed[first]:
        return -np.inf, 0, 0
    value = float(sums[first, last] - logits[0].sum())
    return value, feature.positions[first][0], feature.positions[last][1]
