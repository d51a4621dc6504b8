import numpy as np
import pytest

from bertpipe.training.features import Feature
from bertpipe.training.scoring import MAX_ANSWER_TOKENS, best_span, predict, score_words
from bertpipe.training.sources import Sentence
from bertpipe.training.tasks import Dev


def window(n_context, record=0):
    positions = [None, None, *((i, i + 1) for i in range(n_context)), None]
    return Feature([1] * (n_context + 3), [0] * (n_context + 3), (0, 0), record, positions)


def logits(n_context, **peaks):
    found = np.zeros((n_context + 3, 2), np.float32)
    for name, token in peaks.items():
        found[token, ("start", "end").index(name)] = 5.0
    return found


def test_the_best_span_lies_in_the_context_and_ends_after_its_start():
    value, start, end = best_span(window(6), logits(6, start=5, end=3))
    assert value == 5.0
    assert start < end
    value, start, end = best_span(window(6), logits(6, start=1, end=8))
    assert (value, start, end) == (0.0, 0, 1)


def test_a_span_is_no_longer_than_the_limit():
    n = MAX_ANSWER_TOKENS + 10
    _, start, end = best_span(window(n), logits(n, start=2, end=n + 1))
    assert end - start <= MAX_ANSWER_TOKENS


def test_a_span_scores_over_no_answer():
    scores = logits(4, start=3, end=4)
    scores[0] = 2.0
    assert best_span(window(4), scores) == (6.0, 1, 3)


def test_a_word_in_two_windows_is_labelled_by_the_one_where_it_is_farther_from_the_edge():
    records = [Sentence(["a", "b", "c"], ["O", "B-X", "O"], 0)]
    first = Feature([1] * 4, [0] * 4, [], 0, [-1, 0, 1, -1])
    second = Feature([1] * 5, [0] * 5, [], 0, [-1, -1, 1, 2, -1])
    near_edge = np.array([[1.0, 0.0]] * 4)
    inside = np.array([[1.0, 0.0]] * 5)
    inside[2] = [0.0, 1.0]
    dev = Dev(records, [first, second])
    assert score_words(dev, [near_edge, inside], {0: "O", 1: "B-X"})["f1"] == 1.0


def test_words_of_iob2_have_the_likeliest_valid_labels():
    records = [Sentence(["a", "b"], ["B-X", "I-X"], 0)]
    labels = {0: "B-X", 1: "I-X", 2: "O"}
    dev = Dev(records, [Feature([1] * 4, [0] * 4, [], 0, [-1, 0, 1, -1])])
    found = np.zeros((4, 3))
    found[1], found[2] = [2.0, 0.0, 2.1], [0.0, 3.0, 0.0]
    assert score_words(dev, [found], labels)["f1"] == 0.0
    assert score_words(dev, [found], labels, scheme="IOB2")["f1"] == 1.0


@pytest.mark.parametrize("budget", [16, 64, 512])
def test_scores_do_not_depend_on_the_batches(base, budget):
    from transformers import AutoModelForTokenClassification

    model = AutoModelForTokenClassification.from_pretrained(base, num_labels=3)
    features = [Feature(list(range(5, 5 + n)), [0] * n, [], i) for i, n in enumerate((3, 9, 5))]
    alone = predict(model, features, budget=1, bf16=False)
    together = predict(model, features, budget=budget, bf16=False)
    for one, other in zip(alone, together, strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, atol=1e-5)
