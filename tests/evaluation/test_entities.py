import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.evaluation.entities import (
    MISSED,
    SPURIOUS,
    WRONG_BOUNDS,
    WRONG_LABEL,
    EntityScorer,
    excerpt,
    to_spans,
)
from bertpipe.evaluation.gold import Marked, marked_words
from bertpipe.evaluation.scores import NONE

WORDS = ((0, 4), (5, 10), (11, 15))


def entity(start, end, label="PER", score=0.9):
    return {"start": start, "end": end, "label": label, "score": score}


@pytest.mark.parametrize(
    ("found", "spans"),
    [
        ([entity(0, 4)], [(0, 4)]),
        ([entity(1, 2)], [(0, 4)]),
        ([entity(2, 7)], [(0, 10)]),
        ([entity(4, 5)], []),
        ([entity(0, 2), entity(3, 10)], [(0, 4), (5, 10)]),
        ([entity(5, 7), entity(8, 10)], [(5, 10)]),
        ([], []),
    ],
)
def test_what_is_found_covers_the_given_words_it_has_a_part_of(found, spans):
    assert [span[:2] for span in to_spans(found, WORDS)] == spans


def test_without_given_words_spans_are_compared_as_they_are():
    assert list(to_spans([entity(1, 2)], None)) == [(1, 2, "PER")]


def test_entities_that_lie_in_each_other_count_each_for_itself():
    scorer = EntityScorer(n_mistakes=0)
    gold = frozenset({(0, 20, "ORG"), (8, 14, "LOC")})
    scorer.add([Marked("University of Vienna", gold)], [[entity(0, 20, "ORG")]])
    assert scorer.scores().figures == {"precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3)}


def test_mistakes_are_told_apart_and_the_surest_comes_first():
    words = ["Ada", "met", "Bob", "in", "Rome", "twice", "Eve"]
    gold = marked_words(words, ["B-PER", "O", "B-PER", "O", "B-LOC", "O", "B-PER"], {})
    found = [
        entity(0, 3, "LOC", 0.6),
        entity(4, 11, "PER", 0.7),
        entity(20, 25, "LOC", 0.5),
        entity(12, 14, "ORG", 0.8),
    ]
    scorer = EntityScorer(n_mistakes=1)
    scorer.add([gold], [sorted(found, key=lambda each: each["start"])])
    scores = scorer.scores()
    assert scores.n_mistakes == {WRONG_LABEL: 1, WRONG_BOUNDS: 1, SPURIOUS: 2, MISSED: 2}
    worst = {mistake.kind: mistake for mistake in scores.mistakes}
    assert worst[SPURIOUS].score == 0.8
    assert worst[WRONG_LABEL].gold == "PER 'Ada'"
    assert (
        worst[WRONG_BOUNDS].text[worst[WRONG_BOUNDS].start : worst[WRONG_BOUNDS].end] == "met Bob"
    )
    assert (worst[MISSED].found, worst[MISSED].score) == (NONE, None)


def test_nothing_to_find_and_nothing_found_is_no_error():
    scorer = EntityScorer(n_mistakes=1)
    scorer.add([Marked("no name here", frozenset())], [None])
    scores = scorer.scores()
    assert scores.figures == {"precision": 0.0, "recall": 0.0, "f1": 0.0}
    assert scores.calibration is not None
    assert scores.calibration.error is None


@given(st.text(alphabet="ab \n", max_size=600), st.integers(0, 600), st.integers(0, 50))
def test_an_excerpt_holds_the_span_where_it_says(text, start, length):
    start = min(start, len(text))
    end = min(start + length, len(text))
    shown, shift = excerpt(text, start, end)
    assert shown[start - shift : end - shift] == text[start:end]
    assert shown.strip("… ") in text


def test_an_excerpt_cuts_no_word():
    text = "one two " * 40 + "Rome" + " three four" * 40
    shown, _ = excerpt(text, 320, 324)
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert set(shown.split()) == {"…", "one", "two", "Rome", "three", "four"}
