"""Numbers, durations and tables for people."""

import pytest

from bertpipe.cli.components import short_type
from bertpipe.cli.text import counted, duration, rate, size, table
from bertpipe.records import CLASSIFICATION_TYPE, NER_TYPE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (59.9, "59.9 s"), (59.96, "1:00"), (245, "4:05"), (3723, "1:02:03")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (15_700, "15.7 kB"), (2e13, "20.0 TB")],
)
def test_sizes(n_bytes, text):
    assert size(n_bytes) == text


def test_counts_and_rates():
    assert (counted(1, "row"), counted(2000, "row")) == ("1 row", "2,000 rows")
    assert (rate(8100.4, "tokens"), rate(4.56, "docs")) == ("8,100 tokens/s", "4.6 docs/s")


def test_the_columns_of_a_table_are_aligned():
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]


def test_types_are_shortened_to_their_fields():
    assert short_type(str(NER_TYPE)) == "list<struct<start, end, label, score, text>>"
    assert short_type(str(CLASSIFICATION_TYPE)) == "struct<label, score, labels, scores>"
    assert short_type(None) == "-"
