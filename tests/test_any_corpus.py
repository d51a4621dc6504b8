"""Whatever the corpus, the size of the parts and what happens to them: each record is one row."""

import bz2
import gzip
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe import api, worker
from bertpipe.annotators.create import create_all
from bertpipe.errors import BertpipeError

FILLER = "x" * 6_000  # few rows fill a chunk
GOOD = st.builds(
    lambda number, n: f"{number} " + FILLER[:n], st.integers(0, 99), st.integers(0, 6_000)
)
# What stands in a line, and how many records that is.
LINES = {
    ".jsonl": st.one_of(
        GOOD.map(lambda text: (json.dumps({"text": text}).encode(), 1)),
        st.sampled_from(
            [
                (b'{"text": null}', 1),
                (b'{"text": 5, "other": [1, {"a": null}]}', 1),
                (b'{"other": 1}', 1),
                (b'{"text": "\\ud800"}', 1),
                (b'{"text": "\xff"}', 1),
                (b'{"text": "cut', 1),
                (b"[1]", 1),
                (b"", 0),
                (b"  \t", 0),
            ]
        ),
    ),
    ".csv": st.one_of(
        GOOD.map(lambda text: (f'7,"{text}\nand ""more"""'.encode(), 1)),
        st.sampled_from([(b"1,a,b", 1), (b"1", 1), (b'1,a"b"c', 1), (b"1,\xff", 1), (b"", 0)]),
    ),
    ".txt": st.one_of(
        GOOD.map(lambda text: (text.encode(), 1)),
        st.sampled_from([(b"", 1), (b" ", 1), (b"\xff", 1), (b"\0", 1)]),
    ),
}
PACK: dict[str, Callable[[bytes], bytes]] = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress}


@st.composite
def line_files(draw):
    """Draw the name of a file, its bytes, and the number of its records."""
    kind = draw(st.sampled_from(sorted(LINES)))
    drawn = draw(st.lists(LINES[kind], min_size=1, max_size=12))
    lines = [b"id,text"] * (kind == ".csv") + [line for line, _ in drawn] + [b""]
    pack = draw(st.sampled_from(sorted(PACK)))
    content = draw(st.sampled_from([b"\n", b"\r\n"])).join(lines)
    return kind + pack, PACK[pack](content), sum(n for _, n in drawn)


@st.composite
def parquet_files(draw):
    texts = draw(st.lists(st.none() | GOOD, min_size=1, max_size=12))
    sink = io.BytesIO()
    size = draw(st.integers(1, 5))
    pq.write_table(pa.table({"text": pa.array(texts, pa.string())}), sink, row_group_size=size)
    return ".parquet", sink.getvalue(), len(texts)


FAULTS = st.sampled_from(["none", "delete a part", "cut a part", "leave rubbish"])


@pytest.fixture(autouse=True)
def plugin(regex_plugin, monkeypatch):
    """Every test here runs the regular expression; spaCy makes it once, for the sake of time."""
    made: list[Any] = []

    def create_once(config):
        if not made:
            made.append(create_all(config))
        return made[0]

    monkeypatch.setattr(worker, "create_all", create_once)


def run(corpus, output, **changes):
    options = {"workers": 0, "lines": True, "components": ["numbers=regex_numbers"], **changes}
    return api.run(corpus, output=output, **options)


def rows(output):
    """Return the rows by their identity, and how many there are."""
    table = ds.dataset(output, format="parquet").to_table().to_pylist()
    return {tuple(row.pop("_source").values()): repr(row) for row in table}, len(table)


def strike(fault, output, which):
    """Do to the output what a fault does."""
    parts = sorted(output.glob("*.parquet"))
    if fault == "leave rubbish":
        (output / "_bertpipe/tmp").mkdir(parents=True, exist_ok=True)
        (output / "_bertpipe/tmp/0-1.part").write_bytes(b"half a part")
    elif fault != "none" and parts:
        part = parts[which % len(parts)]
        content = part.read_bytes()
        part.unlink()
        if fault == "cut a part":
            part.write_bytes(content[: len(content) * which // 100])


@settings(max_examples=12)
@given(
    st.lists(line_files() | parquet_files(), min_size=1, max_size=4),
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([0, 60]), FAULTS, st.integers(0, 99)),
        max_size=3,
    ),
)
def test_cut_and_struck_again_and_again_the_output_is_that_of_an_undisturbed_run(
    assert_whole, files, nights
):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus, out = folder / "corpus", folder / "out"
        corpus.mkdir()
        for number, (kind, content, _) in enumerate(files):
            (corpus / f"{number}{kind}").write_bytes(content)
        n_records = sum(n for *_, n in files)
        if not n_records:
            with pytest.raises(BertpipeError, match="no record"):
                run(corpus, out)
            return
        report = run(corpus, folder / "undisturbed")
        expected, n_rows = rows(folder / "undisturbed")
        assert n_records == report.n_rows == n_rows == len(expected)
        for limit, commit_every, fault, which in nights:
            run(corpus, out, limit=limit, commit_every=commit_every)
            strike(fault, out, which)
        assert run(corpus, out).n_rows == n_records
        assert rows(out) == (expected, n_rows)
        assert_whole(out, corpus)
        assert run(corpus, out).n_new == 0
