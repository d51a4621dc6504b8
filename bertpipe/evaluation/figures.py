"""Precision, recall and F1, from scikit-learn, of cases that were counted."""

from collections.abc import Mapping, Sequence
from typing import Any

from bertpipe.evaluation.scores import NONE

FIGURES = ("precision", "recall", "f1")
Counts = Mapping[tuple[str, str], int]


def by_label(
    counts: Counts, labels: Sequence[str]
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Return precision, recall and F1 by label, and their micro and macro averages.

    counts: of cases by the label of the data and the one that was found, NONE for none.
    """
    from sklearn.metrics import precision_recall_fscore_support as figures_of

    gold, found, weights = cases(counts)
    settings: dict[str, Any] = {"labels": labels, "zero_division": 0, "sample_weight": weights}
    *columns, support = figures_of(gold, found, average=None, **settings)
    rows = {
        label: {**dict(zip(FIGURES, map(float, values), strict=True)), "n": int(n)}
        for label, *values, n in zip(labels, *columns, support, strict=True)
    }
    averages = {}
    for name in ("micro", "macro"):
        *values, _ = figures_of(gold, found, average=name, **settings)
        averages[name] = {
            **dict(zip(FIGURES, map(float, values), strict=True)),
            "n": int(support.sum()),
        }
    return rows, averages


def cases(counts: Counts) -> tuple[list[str], list[str], list[int]]:
    """Return the label of the data, the one that was found, and the number of each case."""
    rows = [(gold, found, n) for (gold, found), n in counts.items()] or [(NONE, NONE, 1)]
    gold_labels, found_labels, numbers = (list(column) for column in zip(*rows, strict=True))
    return gold_labels, found_labels, numbers
