"""A batch is cut by how often its texts are read."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.annotators import request
from bertpipe.annotators.request import READING_CHARS, SLICE_CHARS, slices

ROWS = st.lists(
    st.tuples(st.one_of(st.none(), st.text(max_size=9)), st.integers(0, SLICE_CHARS // 50))
)


def batch_of(rows):
    texts = pa.record_batch({"text": pa.array([text for text, _ in rows], pa.string())})
    return texts, np.array([n for _, n in rows], np.int64)


@given(ROWS)
def test_slices_are_the_batch_and_bounded(rows):
    batch, n_readings = batch_of(rows)
    found = list(slices(batch, n_readings))
    assert pa.Table.from_batches(found).to_pylist() == batch.to_pylist()
    costs = [n * (len(text or "") + READING_CHARS) for text, n in rows]
    for part in found:
        own, costs = costs[: part.num_rows], costs[part.num_rows :]
        assert sum(own[1:]) <= SLICE_CHARS


def test_texts_that_are_read_once_stay_together(monkeypatch):
    monkeypatch.setattr(request, "SLICE_CHARS", 10)
    batch, n_readings = batch_of([("a" * 50, 1), (None, 0), ("b" * 50, 1)])
    assert list(slices(batch, n_readings)) == [batch]


def test_an_empty_batch_is_one_slice():
    batch, n_readings = batch_of([])
    assert list(slices(batch, n_readings)) == [batch]
