"""Batches hold each window once, within the budget, and packing loses no token."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.batching.plan import pack, plan
from bertpipe.batching.tokens import Template, Tokens
from bertpipe.batching.windows import Items, Windows, cut

SINGLE = Template((1,), (2,), (1,), (2, 3), (4,), ((5,), (6, 7), (8, 9), (5,)))
LENGTHS = st.lists(st.integers(1, 600), max_size=60).map(np.array)


def tokens_of(lengths: list[int], first_id: int) -> Tokens:
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = first_id + np.arange(offsets[-1])
    return Tokens(ids, ids, ids + 1, offsets)


@given(LENGTHS, st.integers(1, 2_000))
def test_every_window_is_in_one_batch_within_the_budget(lengths, budget):
    batches = plan(lengths, budget=budget)
    together = [int(i) for batch in batches for i in batch]
    assert sorted(together) == list(range(len(lengths)))
    for batch in batches:
        padded = len(batch) * lengths[batch].max()
        assert padded <= budget or len(batch) == 1


@given(LENGTHS)
def test_batches_run_from_long_to_short_windows_and_keep_the_order_of_equal_ones(lengths):
    together = np.concatenate([*plan(lengths, budget=1_000), np.zeros(0, dtype=int)])
    assert [(-lengths[i], i) for i in together.astype(int)] == sorted(
        (-length, i) for i, length in enumerate(lengths)
    )


def naive(
    windows: Windows, w: int, tokens: Tokens, prefixes: Tokens | None, text_first: bool
) -> tuple:
    """Return ids, types and scored positions of a window, written token by token."""
    body = tokens.ids[windows.begin[w] : windows.end[w]].tolist()
    if prefixes is None:
        return [1, *body, 2], [0] * (len(body) + 2), [0, *range(1, 1 + len(body))]
    first, last = prefixes.offsets[windows.prefix[w] : windows.prefix[w] + 2]
    prefix = prefixes.ids[first:last].tolist()
    before, after = (body, prefix) if text_first else (prefix, body)
    ids = [1, *before, 2, 3, *after, 4]
    types = [5, *[6] * len(before), 8, 9, *[7] * len(after), 5]
    begin = 1 if text_first else 3 + len(prefix)
    return ids, types, [0, *range(begin, begin + len(body))]


@given(
    st.lists(st.integers(0, 120), min_size=1, max_size=8),
    st.none() | st.lists(st.integers(0, 9), min_size=1, max_size=3),
    st.booleans(),
    st.randoms(),
)
def test_a_packed_batch_equals_one_written_token_by_token(
    lengths, prefix_lengths, text_first, random
):
    tokens = tokens_of(lengths, 100)
    prefixes, prefix = None, None
    if prefix_lengths is not None:
        prefixes = tokens_of(prefix_lengths, 5_000)
        prefix = np.array([random.randrange(len(prefix_lengths)) for _ in lengths], np.int32)
    items = Items(np.arange(len(lengths), dtype=np.int32), prefix)
    windows = cut(tokens, items, SINGLE, max_length=40, stride=8, prefixes=prefixes)
    which = np.array(random.sample(range(len(windows)), len(windows)), dtype=np.int64)
    batch = pack(which, tokens, windows, SINGLE, prefixes, text_first=text_first)
    ids: list[int] = []
    types: list[int] = []
    positions: list[int] = []
    scored: list[int] = []
    rows: list[int] = []
    for w in which:
        found = naive(windows, int(w), tokens, prefixes, text_first)
        scored += [len(ids) + i for i in found[2]]
        rows += range(windows.rows[w], windows.rows[w + 1])
        positions += range(len(found[0]))
        ids += found[0]
        types += found[1]
    assert batch.ids.tolist() == ids
    assert batch.types.tolist() == types
    assert batch.positions.tolist() == positions
    assert batch.scored.tolist() == scored
    assert batch.rows.tolist() == rows
    assert batch.offsets.tolist() == [0, *np.cumsum(windows.lengths[which])]
