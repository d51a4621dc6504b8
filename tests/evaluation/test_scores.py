from hypothesis import given
from hypothesis import strategies as st

from bertpipe.evaluation.scores import Mistake, Worst


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
