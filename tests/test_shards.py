"""Shards divide the work: disjoint, complete, in any order and at the same time."""

import json
import os
import subprocess
import sys
import tempfile
from itertools import permutations
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe import api, worker
from bertpipe.annotators.create import create_all
from bertpipe.config import load_config
from bertpipe.errors import BusyError, ConfigError, OutputError
from bertpipe.output.lock import FolderLock
from bertpipe.output.shards import Shard
from bertpipe.output.verify import verify

COMPONENTS = ["numbers=regex_numbers"]


@pytest.fixture(autouse=True)
def plugin(regex_plugin, monkeypatch):
    """Every test here runs the regular expression, which is made once."""
    annotators = create_all(load_config(components=COMPONENTS))
    monkeypatch.setattr(worker, "create_all", lambda config: annotators)


@pytest.fixture
def corpus(tmp_path):
    """Five files, about 20 chunks, some of them of several files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, n_lines in zip("abcde", (130, 1, 60, 3, 90), strict=True):
        write(folder / f"{name}.jsonl", n_lines)
    return folder


def write(path, n_lines, first=0):
    with path.open("a") as file:
        for i in range(first, first + n_lines):
            file.write(json.dumps({"text": f"{path.stem} {i} " + "x" * 900}) + "\n")


def run(corpus, output, **changes):
    options = {"workers": 0, "commit_every": 0, **changes}
    return api.run(corpus, output=output, components=COMPONENTS, **options)


def rows(output):
    table = ds.dataset(output, format="parquet").to_table().to_pylist()
    found = {(row["_source"]["path"], row["_source"]["row"]): row for row in table}
    assert len(found) == len(table)
    return found


@pytest.fixture
def whole(corpus, tmp_path):
    run(corpus, tmp_path / "whole")
    return rows(tmp_path / "whole")


@pytest.mark.parametrize("order", [*permutations((1, 2, 3))])
def test_shards_in_any_order_give_the_rows_of_one_run(assert_whole, order, corpus, tmp_path, whole):
    out = tmp_path / "out"
    n_new = [run(corpus, out, shard=f"{number}/3").n_new for number in order]
    assert sum(n_new) == len(whole)
    assert rows(out) == whole
    assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0
    assert {path.name for path in (out / "_bertpipe").iterdir()} == {
        "components.json",
        "report.json",
    }


def test_shards_at_the_same_time_give_the_rows_of_one_run(assert_whole, corpus, tmp_path, whole):
    out = tmp_path / "out"
    options = ["--workers", "1", "--components", COMPONENTS[0], "--commit-every", "0s"]
    command = [sys.executable, "-m", "bertpipe", "run", str(corpus), "-o", str(out), *options]
    shards = [[*command, "--shard", f"{number}/3"] for number in (1, 2, 3)]
    processes = [subprocess.Popen(shard, stderr=subprocess.PIPE, text=True) for shard in shards]
    for process in processes:
        _, said = process.communicate()
        # One that began in the same instant as the first may have to begin again.
        assert process.returncode == 0, said
    assert rows(out) == whole
    assert_whole(out, corpus)


def test_the_next_night_can_be_divided_otherwise(assert_whole, corpus, tmp_path):
    out = tmp_path / "out"
    for number in (1, 2, 3):
        run(corpus, out, shard=f"{number}/3")
    write(corpus / "a.jsonl", 40, first=130)
    write(corpus / "f.jsonl", 70)
    for number in (2, 1):
        run(corpus, out, shard=f"{number}/2")
    run(corpus, tmp_path / "fresh")
    assert_whole(out, corpus)
    assert rows(out) == rows(tmp_path / "fresh")


def test_another_number_of_shards_is_refused_until_all_have_ended(corpus, tmp_path):
    out = tmp_path / "out"
    run(corpus, out, shard="2/3")
    with pytest.raises(OutputError, match="into 3 shards, of which 1/3, 3/3 have not ended"):
        run(corpus, out, shard="1/2")
    assert run(corpus, out, shard="2/3").n_new == 0
    run(corpus, out, shard="1/3")
    run(corpus, out, shard="3/3")
    assert run(corpus, out, shard="1/2").n_new == 0


def test_another_corpus_is_refused_until_all_have_ended(assert_whole, corpus, tmp_path, whole):
    out = tmp_path / "out"
    run(corpus, out, shard="2/3")
    write(corpus / "aa.jsonl", 5)
    with pytest.raises(OutputError, match="not the one that the first shard"):
        run(corpus, out, shard="1/3")
    assert run(corpus, out).n_rows == len(whole) + 5
    assert run(corpus, out, shard="1/2").n_new == 0
    assert_whole(out, corpus)


def test_an_agreement_that_is_damaged_is_named(assert_whole, corpus, tmp_path):
    out = tmp_path / "out"
    run(corpus, out, shard="1/2")
    agreed = out / "_bertpipe/shards.json"
    agreed.write_text("")
    with pytest.raises(OutputError, match=r"shards.json is damaged .*; delete it and run once"):
        run(corpus, out, shard="2/2")
    agreed.unlink()
    run(corpus, out)
    assert_whole(out, corpus)


def test_each_shard_has_a_lock_and_all_of_them_keep_others_out(corpus, tmp_path):
    out = tmp_path / "out"
    run(corpus, out, shard="1/3")
    lock = FolderLock.acquire(out / "_bertpipe/lock-shard-1-of-3")
    for changes in ({}, {"shard": "1/3"}, {"overwrite": True}):
        with pytest.raises(BusyError, match=f"in use by process {os.getpid()}"):
            run(corpus, out, **changes)
    with pytest.raises(BusyError):
        verify(out)
    run(corpus, out, shard="2/3")
    lock.release()
    lock = FolderLock.acquire(out / "_bertpipe/lock")
    with pytest.raises(BusyError):
        run(corpus, out, shard="3/3")
    lock.release()


def test_what_another_shard_writes_is_not_touched(corpus, tmp_path):
    out = tmp_path / "out"
    run(corpus, out, shard="1/3")
    theirs, ours = (out / "_bertpipe/tmp" / f"shard-{number}-of-3.0-left" for number in (2, 3))
    for path in (theirs, ours):
        path.write_bytes(b"")
    run(corpus, out, shard="3/3")
    assert theirs.exists()
    assert not ours.exists()


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/3/5", "-1/3"])
def test_what_names_no_shard_is_refused(text):
    with pytest.raises(ConfigError, match="give one of 1/3"):
        Shard.parse(text)


@pytest.mark.parametrize(
    "changes", [{"overwrite": True}, {"retry_errors": True}, {"changed": "recompute"}]
)
def test_a_shard_only_adds_rows(changes, corpus, tmp_path):
    with pytest.raises(ConfigError, match="without --shard"):
        run(corpus, tmp_path / "out", shard="1/2", **changes)


SIZES = st.lists(st.integers(0, 60), min_size=1, max_size=6)


@settings(max_examples=20, deadline=None)
@given(SIZES, SIZES, st.integers(1, 5), st.data())
def test_any_corpus_is_divided_without_gap_or_overlap(assert_whole, sizes, more, n_shards, data):
    with tempfile.TemporaryDirectory() as name:
        corpus, out = Path(name) / "corpus", Path(name) / "out"
        corpus.mkdir()
        write(corpus / "first.jsonl", 2)
        for number, night in enumerate((sizes, more)):
            for i, n_lines in enumerate(night):
                write(corpus / f"{i + number}.jsonl", n_lines, first=1000 * number)
            every = 60 if data.draw(st.booleans()) else 0
            for shard in data.draw(st.permutations(range(1, n_shards + 1))):
                run(corpus, out, shard=f"{shard}/{n_shards}", commit_every=every)
        run(corpus, Path(name) / "fresh")
        assert rows(out) == rows(Path(name) / "fresh")
        assert_whole(out, corpus)
