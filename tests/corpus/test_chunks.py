import json
import tempfile
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe.corpus import Corpus, Slice, SourceDone, iterate_chunks, open_corpus


def covered_by(chunks) -> dict[str, SourceDone]:
    """What a ledger says after these chunks were committed."""
    ranges, complete = defaultdict(list), set()
    for chunk in chunks:
        for each in chunk.slices:
            ranges[each.source].append((each.first_row, each.end_row))
            if each.is_last:
                complete.add(each.source)
    return {
        name: SourceDone(tuple(sorted(of_source)), name in complete)
        for name, of_source in ranges.items()
    }


def rows_of(chunk) -> list[tuple[str, int]]:
    return [(source["path"], source["row"]) for source in chunk.batch["_source"].to_pylist()]


def write_corpus(folder: Path, files: list[list[str | None]], kind: str) -> Corpus:
    for number, texts in enumerate(files):
        path = folder / f"{number:03}.{kind}"
        if kind == "parquet":
            table = pa.table({"text": pa.array(texts, pa.string())})
            pq.write_table(table, path, row_group_size=3)
        else:
            path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return open_corpus([str(folder)])


texts = st.one_of(st.none(), st.text(st.characters(codec="utf-8"), max_size=60))
files = st.lists(st.lists(texts, max_size=12), min_size=1, max_size=8).filter(any)


@settings(max_examples=150, deadline=None)
@given(files, st.integers(1, 400), st.sampled_from(["jsonl", "parquet"]), st.data())
def test_a_resumed_run_makes_exactly_the_chunks_that_are_missing(files, chunk_chars, kind, data):
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(Path(folder), files, kind)
        chunks = list(iterate_chunks(corpus, chunk_chars=chunk_chars, done={}))
        every_row = [
            (s.name, row)
            for s, rows in zip(corpus.sources, files, strict=True)
            for row in range(len(rows))
        ]
        assert sorted(row for chunk in chunks for row in rows_of(chunk)) == every_row
        committed = data.draw(st.sets(st.integers(0, len(chunks) - 1)))
        done = covered_by(chunks[n] for n in committed)
        resumed = list(iterate_chunks(corpus, chunk_chars=chunk_chars, done=done))
        missing = [chunk for n, chunk in enumerate(chunks) if n not in committed]
        assert [chunk.slices for chunk in resumed] == [chunk.slices for chunk in missing]
        assert all(a.batch.equals(b.batch) for a, b in zip(resumed, missing, strict=True))


@settings(max_examples=60, deadline=None)
@given(files, st.integers(1, 400))
def test_slices_tell_the_rows_of_the_batch_in_order(files, chunk_chars):
    with tempfile.TemporaryDirectory() as folder:
        corpus = write_corpus(Path(folder), files, "jsonl")
        for chunk in iterate_chunks(corpus, chunk_chars=chunk_chars, done={}):
            told = [(s.source, row) for s in chunk.slices for row in range(s.first_row, s.end_row)]
            assert rows_of(chunk) == told
            assert chunk.batch.schema.equals(corpus.record_schema)


@pytest.fixture
def corpus(tmp_path):
    """Files of 10, 1, 1, 1 and 10 documents of 72 characters: 200 a row."""
    sizes = (10, 1, 1, 1, 10)
    return write_corpus(tmp_path, [["x" * 72] * size for size in sizes], "jsonl")


def told(chunks) -> list[list[tuple[int, int, int]]]:
    return [
        [(int(Path(s.source).stem), s.first_row, s.end_row) for s in chunk.slices]
        for chunk in chunks
    ]


def test_full_pieces_stand_alone_and_remainders_join(corpus):
    chunks = iterate_chunks(corpus, chunk_chars=800, done={})
    assert told(chunks) == [
        [(0, 0, 4)],
        [(0, 4, 8)],
        [(0, 8, 10), (1, 0, 1), (2, 0, 1)],
        [(4, 0, 4)],
        [(4, 4, 8)],
        [(3, 0, 1), (4, 8, 10)],
    ]


def test_the_last_slice_of_a_source_is_marked(corpus):
    chunks = list(iterate_chunks(corpus, chunk_chars=1_000, done={}))
    last = [s for chunk in chunks for s in chunk.slices if s.is_last]
    assert {Path(s.source).stem: s.end_row for s in last} == {
        "000": 10,
        "001": 1,
        "002": 1,
        "003": 1,
        "004": 10,
    }


def test_a_source_that_is_done_is_not_opened(corpus):
    done = {s.name: SourceDone(((0, 10),), True) for s in corpus.sources[:1]}
    Path(corpus.sources[0].path).unlink()
    chunks = iterate_chunks(corpus, chunk_chars=1_000_000, done=done)
    assert told(chunks) == [[(1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 10)]]


def test_new_files_make_chunks_of_their_own_whatever_lies_between(corpus):
    done = {s.name: SourceDone(((0, 1),), True) for s in corpus.sources[1:3]}
    chunks = iterate_chunks(corpus, chunk_chars=4_000, done=done)
    assert told(chunks) == [[(0, 0, 10), (3, 0, 1), (4, 0, 10)]]


def test_rows_between_done_ranges_are_made_up_for(corpus):
    done = {corpus.sources[0].name: SourceDone(((0, 3), (5, 6)))}
    chunks = iterate_chunks(corpus, chunk_chars=1_000_000, done=done)
    assert told(chunks)[0] == [(0, 3, 5)]
    assert told(iterate_chunks(corpus, chunk_chars=1_000_000, done=done))[1][0] == (0, 6, 10)


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (0, []),
        (3, [[(0, 0, 3)]]),
        (11, [[(0, 0, 10), (1, 0, 1)]]),
        (1_000, [[(0, 0, 10), (1, 0, 1), (2, 0, 1), (3, 0, 1), (4, 0, 10)]]),
    ],
)
def test_a_limit_ends_the_corpus(corpus, limit, expected):
    chunks = list(iterate_chunks(corpus, chunk_chars=1_000_000, done={}, limit=limit))
    assert told(chunks) == expected
    again = iterate_chunks(corpus, chunk_chars=1_000_000, done=covered_by(chunks), limit=limit)
    assert told(again) == []


def test_a_source_cut_by_the_limit_is_not_marked_as_ended(corpus):
    (chunk,) = iterate_chunks(corpus, chunk_chars=1_000_000, done={}, limit=3)
    assert chunk.slices == (Slice(corpus.sources[0].name, 0, 3, is_last=False),)


def test_large_other_columns_make_a_chunk_smaller(write):
    record = json.dumps({"text": "t", "html": "<p>" * 1_000}) + "\n"
    corpus = open_corpus([str(write("a.jsonl", record * 20))])
    sizes = [c.batch.num_rows for c in iterate_chunks(corpus, chunk_chars=1_500, done={})]
    assert sizes == [5, 5, 5, 5]
