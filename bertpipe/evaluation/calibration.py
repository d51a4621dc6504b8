"""Compare scores with how often they are right."""

import numpy as np

from bertpipe.evaluation.scores import Calibration

N_BINS = 15
EDGES = np.linspace(0, 1, N_BINS + 1)[1:-1]


class Calibrator:
    """Adds up scores in N_BINS bins of equal width, those of scikit-learn's calibration_curve.

    of, when: what is scored, and when it counts as right.
    """

    def __init__(self, *, of: str, when: str) -> None:
        self.of, self.when = of, when
        self._n, self._right = np.zeros(N_BINS, np.int64), np.zeros(N_BINS, np.int64)
        self._score = np.zeros(N_BINS)

    def add(self, scores: np.ndarray, right: np.ndarray) -> None:
        """Take in scores (n,) and whether they are right, bool (n,)."""
        bins = np.searchsorted(EDGES, scores)
        self._n += np.bincount(bins, minlength=N_BINS)
        self._right += np.bincount(bins[right], minlength=N_BINS)
        self._score += np.bincount(bins, scores, minlength=N_BINS)

    def calibration(self) -> Calibration:
        """Return how far all scores can be read as probabilities."""
        held = self._n > 0
        n, right, score = self._n[held], self._right[held], self._score[held]
        error = float(np.abs(right - score).sum() / n.sum()) if len(n) else None
        means, shares = (score / n).tolist(), (right / n).tolist()
        return Calibration(error, self.of, self.when, means, shares, n.tolist())
