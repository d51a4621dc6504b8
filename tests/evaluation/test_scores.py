import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.evaluation.scores import Mistake, Worst, calibrate


@given(st.lists(st.integers(0, 5)), st.integers(0, 4))
def test_the_worst_are_those_that_sorting_gives(badnesses, n_kept):
    worst = Worst(n_kept)
    for number, badness in enumerate(badnesses):
        if worst.wants("kind", badness):
            worst.keep(Mistake("kind", str(number), "", "", ""), badness)
    expected = sorted(range(len(badnesses)), key=lambda i: (-badnesses[i], i))[:n_kept]
    assert [int(mistake.place) for mistake in worst.mistakes()] == expected
    assert worst.counts.total() == len(badnesses)


def test_the_commonest_kind_of_mistake_comes_first():
    worst = Worst(2)
    for kind in "abb":
        assert worst.wants(kind, 0.5)
        worst.keep(Mistake(kind, "", "", "", ""), 0.5)
    assert [mistake.kind for mistake in worst.mistakes()] == ["b", "b", "a"]


def test_scores_that_are_right_as_often_as_they_say_have_no_error():
    confidence = np.repeat([0.25, 0.5, 1.0], 100)
    right = np.concatenate([np.arange(100) < n for n in (25, 50, 100)])
    found = calibrate(confidence, right, of="x", when="y")
    assert found.error == pytest.approx(0)
    assert list(found.counts) == [100, 100, 100]


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_score_is_in_one_bin_and_the_error_is_a_share(pairs):
    confidence, right = (np.array(column) for column in zip(*pairs, strict=True))
    found = calibrate(confidence, right, of="x", when="y")
    assert sum(found.counts) == len(pairs)
    assert len(found.counts) == len(found.confidence) == len(found.share_right)
    assert found.error is not None
    assert -1e-9 <= found.error <= 1 + 1e-9
