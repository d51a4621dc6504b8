"""Windows hold every token, fit the encoder and overlap as asked."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.batching.tokens import Template, Tokens
from bertpipe.batching.windows import Items, cut, ranges
from bertpipe.errors import ConfigError, DocumentError

TEMPLATE = Template((1,), (2,), (1,), (2, 2), (2,), ((0,), (0, 1), (0, 0), (1,)))
LENGTHS = st.lists(st.integers(0, 200), max_size=12)


def tokens_of(lengths: list[int]) -> Tokens:
    """Return texts of so many tokens, each token one character."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    starts = ranges(np.zeros(len(lengths), dtype=np.int64), np.array(lengths, dtype=np.int64))
    ids = np.arange(offsets[-1])
    return Tokens(ids, starts, starts + 1, offsets)


@st.composite
def cuts(draw):
    """Draw texts, items over them with or without prefixes, and settings; return them cut."""
    tokens = tokens_of(draw(LENGTHS))
    n_texts = len(tokens.lengths)
    text = draw(st.lists(st.integers(0, n_texts - 1), max_size=12)) if n_texts else []
    max_length = draw(st.integers(40, 80))
    stride = draw(st.integers(0, max_length // 2))
    prefixes, prefix = None, None
    if draw(st.booleans()):
        prefixes = tokens_of(draw(st.lists(st.integers(0, 20), min_size=1, max_size=4)))
        some = st.integers(0, len(prefixes.lengths) - 1)
        prefix = np.array([draw(some) for _ in text], dtype=np.int32)
    items = Items(np.array(text, dtype=np.int32), prefix)
    windows = cut(tokens, items, TEMPLATE, max_length=max_length, stride=stride, prefixes=prefixes)
    return tokens, items, prefixes, max_length, stride, windows


@given(cuts())
def test_every_token_of_an_item_is_in_a_window_and_one_speaks_for_it(drawn):
    tokens, items, _, _, _, windows = drawn
    for item, text in enumerate(items.text):
        mine = np.flatnonzero(windows.item == item)
        every = list(range(tokens.offsets[text], tokens.offsets[text + 1]))
        inside = {t for w in mine for t in range(windows.begin[w], windows.end[w])}
        assert inside == set(every)
        kept = [t for w in mine for t in range(windows.keep_begin[w], windows.keep_end[w])]
        assert kept == every
        assert all(windows.begin[mine] <= windows.keep_begin[mine])
        assert all(windows.keep_end[mine] <= windows.end[mine])


@given(cuts())
def test_no_window_is_longer_than_the_encoder_takes(drawn):
    _, _, prefixes, max_length, _, windows = drawn
    body = windows.end - windows.begin
    special = TEMPLATE.n_single
    if prefixes is not None:
        special = TEMPLATE.n_pair + prefixes.lengths[windows.prefix]
    assert np.array_equal(windows.lengths, body + special)
    assert all(windows.lengths <= max_length)
    assert np.array_equal(np.diff(windows.rows), 1 + body)


@given(cuts())
def test_neighbours_overlap_by_the_stride_and_are_equally_long(drawn):
    _, items, prefixes, max_length, stride, windows = drawn
    for item in range(len(items)):
        mine = np.flatnonzero(windows.item == item)
        lengths = windows.lengths[mine]
        assert len(lengths) == 0 or lengths.max() == lengths.min()
        taken = TEMPLATE.n_single
        if prefixes is not None and len(mine):
            taken = TEMPLATE.n_pair + prefixes.lengths[windows.prefix[mine[0]]]
        wanted = min(stride, (max_length - taken) // 2)
        for left, right in pairwise(mine):
            assert windows.end[left] - windows.begin[right] >= wanted


@given(cuts())
def test_a_token_is_kept_where_it_is_farthest_from_an_edge(drawn):
    _, _, _, _, _, windows = drawn
    for left, right in pairwise(range(len(windows))):
        if windows.item[left] == windows.item[right]:
            shared = np.arange(windows.begin[right], windows.end[left])
            to_end = windows.end[left] - 1 - shared
            to_begin = shared - windows.begin[right]
            is_left = (shared >= windows.keep_begin[left]) & (shared < windows.keep_end[left])
            is_right = (shared >= windows.keep_begin[right]) & (shared < windows.keep_end[right])
            assert all(to_end[is_left] >= to_begin[is_left])
            assert all(to_begin[is_right] >= to_end[is_right])


@given(cuts())
def test_windows_stand_in_the_order_of_their_items(drawn):
    _, items, _, _, _, windows = drawn
    assert all(np.diff(windows.item) >= 0)
    assert windows.n_items == len(items)
    counts = [np.count_nonzero(windows.item == item) for item in range(len(items))]
    assert np.array_equal(np.diff(windows.offsets), counts)


@pytest.mark.parametrize(("n_tokens", "n_windows"), [(38, 1), (39, 2), (66, 2), (67, 3)])
def test_an_item_has_as_few_windows_as_can_be(n_tokens, n_windows):
    items = Items(np.zeros(1, dtype=np.int32))
    windows = cut(tokens_of([n_tokens]), items, TEMPLATE, max_length=40, stride=10)
    assert len(windows) == n_windows


def test_the_head_of_a_long_text_is_its_first_window():
    items = Items(np.arange(2))
    windows = cut(tokens_of([100, 5]), items, TEMPLATE, max_length=40, stride=10, truncation="head")
    assert (windows.end - windows.begin).tolist() == [38, 5]
    assert windows.truncated.tolist() == [True, False]


def test_a_long_text_can_be_refused():
    items = Items(np.arange(2))
    with pytest.raises(DocumentError, match="The text has 100 tokens, a window holds 38"):
        cut(tokens_of([5, 100]), items, TEMPLATE, max_length=40, stride=10, truncation="error")


def test_a_prefix_must_leave_room():
    items = Items(np.zeros(1, dtype=np.int32), np.zeros(1, dtype=np.int32))
    with pytest.raises(DocumentError, match="room for 6 tokens"):
        cut(tokens_of([9]), items, TEMPLATE, max_length=40, stride=0, prefixes=tokens_of([30]))


@pytest.mark.parametrize("stride", [-1, 21])
def test_a_stride_beyond_half_a_window_is_refused(stride):
    with pytest.raises(ConfigError, match=f"stride {stride} must lie between 0 and half"):
        cut(tokens_of([9]), Items(np.zeros(1, np.int32)), TEMPLATE, max_length=40, stride=stride)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9))))
def test_ranges_are_the_joined_ranges(pairs):
    begin = np.array([first for first, _ in pairs], dtype=np.int64)
    end = np.array([first + n for first, n in pairs], dtype=np.int64)
    expected = [i for first, n in pairs for i in range(first, first + n)]
    assert ranges(begin, end).tolist() == expected
