"""Precision, recall and F1, from scikit-learn."""

from collections.abc import Mapping
from typing import Any

import numpy as np

FIGURES = ("precision", "recall", "f1")


def by_label(
    gold: np.ndarray,
    found: np.ndarray,
    labels: Mapping[int, str],
    *,
    weights: np.ndarray | None = None,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Return precision, recall and F1 by label, and their micro and macro averages.

    gold, found: the number of a label, int (n,), or bools (n, n_labels). labels: those to be
    counted, by number. weights: how often each of the n is there, once by default.
    """
    from sklearn.metrics import precision_recall_fscore_support as figures_of

    settings: dict[str, Any] = {
        "labels": list(labels),
        "zero_division": 0,
        "sample_weight": weights,
    }
    *columns, support = figures_of(gold, found, average=None, **settings)
    rows = {
        label: {**dict(zip(FIGURES, map(float, values), strict=True)), "n": int(n)}
        for label, *values, n in zip(labels.values(), *columns, support, strict=True)
    }
    averages = {}
    for name in ("micro", "macro"):
        *values, _ = figures_of(gold, found, average=name, **settings)
        averages[name] = {
            **dict(zip(FIGURES, map(float, values), strict=True)),
            "n": int(support.sum()),
        }
    return rows, averages
