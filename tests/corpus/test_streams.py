import bz2
import gzip
import io
import lzma
import os
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe.corpus import open_corpus
from bertpipe.corpus.growth import covered
from bertpipe.corpus.sources import find_sources
from bertpipe.corpus.streams import StandardInput, read_lines
from bertpipe.errors import CorpusError

COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}
LINES = "".join(f'{{"text": "document {n} {n * n}"}}\n' for n in range(5_000)).encode()


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compressed_file_is_read(read, write, suffix):
    table = read(write(f"a.jsonl.{suffix}", COMPRESSORS[suffix](LINES)))
    assert table.num_rows == 5_000
    assert table["text"][4_999].as_py() == "document 4999 24990001"


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_members_that_follow_each_other_are_read(read, write, suffix):
    assert read(write(f"a.jsonl.{suffix}", COMPRESSORS[suffix](LINES) * 2)).num_rows == 10_000


@pytest.mark.parametrize("suffix", COMPRESSORS)
def test_a_compressed_file_that_is_cut_short_is_named(read, write, suffix):
    path = write(f"a.jsonl.{suffix}", COMPRESSORS[suffix](LINES)[:-9])
    with pytest.raises(CorpusError, match=f"a.jsonl.{suffix} cannot be read to its end"):
        read(path)


def test_a_zip_bomb_does_not_fill_the_memory(write):
    path = write("a.jsonl.gz", gzip.compress(b'{"text": "' + b"0" * 100_000_000 + b'"}', 1))
    corpus = open_corpus([str(path)], max_document_chars=100_000)
    tracemalloc.start()
    (batch,) = corpus.read(corpus.sources[0])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert batch["_error"][0]["type"].as_py() == "TooLarge"
    assert peak_bytes < 20_000_000


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=20),
    st.integers(1, 40),
    st.booleans(),
)
def test_lines_are_those_of_the_file_cut_after_the_limit(lines, max_bytes, ends_with_newline):
    content = b"\n".join(lines) + (b"\n" if ends_with_newline else b"")
    expected = content.removesuffix(b"\n").split(b"\n") if content else []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(content)
        (source,), _ = find_sources([str(path)], wanted_format=None, relative_to=None)
        found = list(read_lines(source, max_line_bytes=max_bytes))
    if not content.startswith(b"\xef\xbb\xbf"):
        assert found == [line[: max_bytes + 1] for line in expected]


def test_a_file_that_changes_while_it_is_read_is_named(write):
    path = write("a.jsonl", LINES)
    corpus = open_corpus([str(path)])
    batches = corpus.read(corpus.sources[0])
    next(batches)
    path.write_bytes(LINES[::-1])
    with pytest.raises(CorpusError, match=r"a.jsonl changed while it was read .* run again"):
        list(batches)


def test_a_parquet_file_that_is_replaced_before_its_state_was_noted_is_named(write, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["old"] * 5}), path)
    corpus = open_corpus([str(path)])
    batches = corpus.read(corpus.sources[0])
    next(batches)
    pq.write_table(pa.table({"text": ["new", "newer", "newest"] * 50}), tmp_path / "new")
    (tmp_path / "new").replace(path)  # what was read is of the old file, which is still open
    for do in (lambda: covered(corpus.sources[0]), lambda: list(batches)):
        with pytest.raises(CorpusError, match=r"a.parquet changed while it was read .* run again"):
            do()


def test_what_is_appended_while_a_file_is_read_is_no_part_of_it(write):
    path = write("a.jsonl", LINES)
    corpus = open_corpus([str(path)])
    with path.open("ab") as handle:
        handle.write(b'{"text": "more"}\n')
    n_rows = sum(map(len, corpus.read(corpus.sources[0])))
    assert n_rows == corpus.count(corpus.sources[0]) == LINES.count(b"\n")


def test_a_file_that_vanishes_is_named(write):
    path = write("a.jsonl", LINES)
    corpus = open_corpus([str(path)])
    path.unlink()
    with pytest.raises(CorpusError, match=r"a.jsonl cannot be read to its end \(.*No such file"):
        list(corpus.read(corpus.sources[0]))


def test_a_file_that_is_only_touched_while_it_is_read_is_the_same(write):
    path = write("a.jsonl", LINES)
    corpus = open_corpus([str(path)])
    os.utime(path, ns=(1, 1))
    assert list(corpus.read(corpus.sources[0]))


def test_standard_input_is_looked_at_and_then_read_once():
    stdin = StandardInput(io.BytesIO(b"0123456789"))
    assert stdin.read(4) == b"0123"
    stdin.rewind()
    assert stdin.read(2) == b"01"
    stdin.forget()
    stdin.rewind()
    assert b"".join(iter(lambda: stdin.read(3), b"")) == b"0123456789"
    with pytest.raises(CorpusError, match="only once; save it to a file"):
        stdin.rewind()


def standard_input(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_standard_input_is_json_lines_by_default(read, monkeypatch):
    standard_input(monkeypatch, LINES)
    table = read("-")
    assert table.num_rows == 5_000
    assert table["_source"][4_999].as_py() == {"path": "-", "row": 4_999}


def test_standard_input_may_be_of_any_format(read, monkeypatch):
    buffer = io.BytesIO()
    pa.parquet.write_table(pa.table({"text": ["a", "b"]}), buffer)
    standard_input(monkeypatch, buffer.getvalue())
    assert read("-", format="parquet")["text"].to_pylist() == ["a", "b"]
    standard_input(monkeypatch, b"id,text\n1,a\n")
    assert read("-", format="csv")["text"].to_pylist() == ["a"]
    standard_input(monkeypatch, b"one\ntwo\n")
    assert read("-", format="txt", lines=True)["id"].to_pylist() == ["-:1", "-:2"]


@pytest.mark.parametrize("suffix", ["", *(f".{each}" for each in COMPRESSORS)])
def test_the_meter_of_a_source_shows_how_far_its_file_was_read(write, suffix):
    content = COMPRESSORS[suffix[1:]](LINES) if suffix else LINES
    corpus = open_corpus([write(f"a.jsonl{suffix}", content)])
    assert corpus.n_bytes_read == 0
    for _ in corpus.read(corpus.sources[0]):
        pass
    assert corpus.n_bytes_read == corpus.n_bytes == len(content)
