"""Labels that are the likeliest of all that may stand in a row, found without trying them all."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bertpipe.annotators.tags import read_tags
from bertpipe.annotators.viterbi import likeliest

SCHEMES = {
    "IOB2": ("O", "B-X", "I-X", "B-Y", "I-Y"),
    "BILOU": ("O", "B-X", "I-X", "L-X", "U-X"),
    "IOBES": ("O", "B-X", "I-X", "E-X", "S-X"),
    "plain": ("O", "X", "Y"),
    "I- alone": ("O", "I-X", "I-Y"),
}


def is_valid(path, tags):
    inside = all(tags.follows[a, b] for a, b in pairwise(path))
    return inside and tags.opens[path[0]] and tags.closes[path[-1]]


def best_of_all(scores, tags):
    """Try every sequence of labels of one item; return the greatest product."""
    paths = product(range(scores.shape[1]), repeat=len(scores))
    logs = np.log(scores.astype(np.float64))
    return max(sum(logs[i, label] for i, label in enumerate(p)) for p in paths if is_valid(p, tags))


@pytest.mark.parametrize("scheme", SCHEMES)
@given(data=st.data())
def test_no_valid_sequence_is_likelier(scheme, data):
    labels = SCHEMES[scheme]
    tags = read_tags(labels)
    lengths = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    raw = data.draw(
        arrays(np.float32, (sum(lengths), len(labels)), elements=st.floats(0.015625, 1, width=32))
    )
    scores = raw / raw.sum(-1, keepdims=True)
    found = likeliest(scores, np.repeat(np.arange(len(lengths)), lengths), tags)
    end = np.cumsum(lengths)
    for begin, stop in zip(end - lengths, end, strict=True):
        path, own = found[begin:stop].tolist(), scores[begin:stop]
        assert is_valid(path, tags)
        total = sum(np.log(float(own[i, label])) for i, label in enumerate(path))
        assert total == pytest.approx(best_of_all(own, tags))


@given(seed=st.integers(0, 1 << 20), n_outside=st.integers(0, 6))
def test_other_items_change_nothing(seed, n_outside):
    tags = read_tags(SCHEMES["IOB2"])
    scores = np.random.default_rng(seed).dirichlet(np.full(5, 0.3), 40).astype(np.float32)
    scores[10 : 10 + n_outside] = (0.9, 0.025, 0.025, 0.025, 0.025)
    item = np.repeat([0, 1, 2], [20, 1, 19])
    together = likeliest(scores, item, tags)
    alone = [likeliest(scores[item == i], item[item == i], tags) for i in range(3)]
    assert together.tolist() == np.concatenate(alone).tolist()


def test_an_entity_that_would_begin_with_a_tag_that_goes_on_begins_or_ends_where_it_costs_least():
    labels = SCHEMES["IOB2"]
    scores = np.array(
        [
            [0.9, 0.04, 0.02, 0.02, 0.02],
            [0.5, 0.45, 0.01, 0.02, 0.02],  # the best is O, but B-X lets the next stay
            [0.05, 0.05, 0.8, 0.05, 0.05],
        ]
    )
    found = likeliest(scores, np.zeros(3, dtype=np.int64), read_tags(labels))
    assert [labels[i] for i in found] == ["O", "B-X", "I-X"]


def test_no_words_have_no_labels():
    tags = read_tags(SCHEMES["IOB2"])
    assert likeliest(np.zeros((0, 5)), np.zeros(0, dtype=np.int64), tags).tolist() == []
