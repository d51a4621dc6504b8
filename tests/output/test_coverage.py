from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.corpus.chunks import Slice, SourceDone
from bertpipe.errors import OutputError
from bertpipe.output.coverage import Coverage
from bertpipe.output.footer import Stamp

A, B = Path("out/a.parquet"), Path("out/b.parquet")
STAMPS = {name: Stamp(10, 20, 10) for name in "xy"}
SLICES = st.lists(
    st.tuples(st.sampled_from("xy"), st.integers(0, 30), st.integers(1, 6)).map(
        lambda each: Slice(each[0], each[1], each[1] + each[2])
    ),
    max_size=12,
)


def test_adjacent_ranges_are_joined_and_gaps_stay():
    coverage = Coverage()
    coverage.add(A, [Slice("x", 5, 9), Slice("x", 0, 5)], STAMPS)
    coverage.add(B, [Slice("x", 12, 20, is_last=True), Slice("y", 3, 4)], STAMPS)
    assert coverage.done() == {
        "x": SourceDone(((0, 9), (12, 20)), complete=True),
        "y": SourceDone(((3, 4),), complete=False),
    }


def test_an_overlap_names_both_parts_and_the_rows():
    coverage = Coverage()
    coverage.add(A, [Slice("x", 0, 5)], STAMPS)
    with pytest.raises(OutputError, match=r"out/b\.parquet and out/a\.parquet .* 4 to 7 of x"):
        coverage.add(B, [Slice("x", 4, 8)], STAMPS)


@given(SLICES)
def test_coverage_equals_a_set_of_rows(slices):
    coverage = Coverage()
    rows: set[tuple[str, int]] = set()
    for slice_ in slices:
        new = {(slice_.source, row) for row in range(slice_.first_row, slice_.end_row)}
        if rows & new:
            with pytest.raises(OutputError):
                coverage.add(A, [slice_], STAMPS)
        else:
            coverage.add(A, [slice_], STAMPS)
            rows |= new
    done = {
        (source, row)
        for source, each in coverage.done().items()
        for first_row, end_row in each.ranges
        for row in range(first_row, end_row)
    }
    assert done == rows
    for each in coverage.done().values():
        ends = [bound for pair in each.ranges for bound in pair]
        assert ends == sorted(set(ends))
