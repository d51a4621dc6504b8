import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve

from bertpipe.evaluation.calibration import N_BINS, Calibrator
from bertpipe.evaluation.scores import Calibration

SCORES = st.floats(0, 1) | st.integers(0, N_BINS).map(lambda i: i / N_BINS)


def calibration(*pieces) -> Calibration:
    """Return the calibration of pieces: scores, and whether they are right."""
    calibrator = Calibrator(of="x", when="y")
    for scores, right in pieces:
        calibrator.add(np.array(scores, float), np.array(right, bool))
    return calibrator.calibration()


def test_scores_that_are_right_as_often_as_they_say_have_no_error():
    right = np.concatenate([np.arange(100) < n for n in (25, 50, 100)])
    found = calibration((np.repeat([0.25, 0.5, 1.0], 100), right))
    assert found.error == pytest.approx(0)
    assert list(found.counts) == [100, 100, 100]


@given(st.lists(st.tuples(SCORES, st.booleans()), min_size=1), st.integers(0, 9))
def test_the_bins_are_those_of_scikit_learn_whatever_the_pieces(pairs, cut):
    scores, right = (list(column) for column in zip(*pairs, strict=True))
    found = calibration((scores[:cut], right[:cut]), (scores[cut:], right[cut:]))
    shares, means = calibration_curve(right, scores, n_bins=N_BINS, pos_label=True)
    assert list(found.share_right) == pytest.approx(list(shares))
    assert list(found.confidence) == pytest.approx(list(means))
    error = np.abs(shares - means) @ found.counts / len(pairs)
    assert found.error == pytest.approx(error, abs=1e-12)
    assert sum(found.counts) == len(pairs)


def test_where_nothing_was_scored_there_is_no_error():
    assert calibration(([], [])).error is None
