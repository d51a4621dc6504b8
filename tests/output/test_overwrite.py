import os
from itertools import count

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.errors import OutputError
from bertpipe.output import files
from bertpipe.output import overwrite as overwriting
from bertpipe.output.folder import recorded_job
from bertpipe.output.ledger import Ledger

A, B = Slice("a.jsonl", 0, 9, True), Slice("b.jsonl", 0, 4, True)
WHOLE = Slice("a.jsonl", 0, 5), Slice("a.jsonl", 5, 9, True), B


@pytest.fixture
def sources(source):
    return [source("a.jsonl"), source("b.jsonl")]


@pytest.fixture
def old(out, job, schema, sources, part):
    with Ledger.open(out, job(), schema, sources=sources) as ledger:
        for slice_ in (A, B):
            ledger.commit(part(out, slice_))
    return out


@pytest.fixture
def start(old, job, schema, sources):
    """Return a function that opens the old output for an overwrite with another precision."""

    def start_overwrite(precision="bf16", sources=sources):
        changed = job(precision=precision)
        return Ledger.open(old, changed, schema, sources=sources, overwrite=True)

    return start_overwrite


def _content(out):
    return {path.name: path.read_bytes() for path in out.glob("*.parquet")}


def _rows(out):
    table = ds.dataset(out, format="parquet").to_table(columns=["_source"])
    return sorted((each["path"], each["row"]) for each in table["_source"].to_pylist())


def _compute(ledger, out, part, *slices):
    for slice_ in slices:
        ledger.commit(part(out, slice_, job=ledger.job))


def test_the_old_output_is_whole_until_the_new_one_is(old, start, part):
    before, rows = _content(old), _rows(old)
    with start() as ledger:
        assert ledger.done == {}
        _compute(ledger, old, part, *WHOLE)
        assert _content(old) == before
        ledger.finish({})
    assert _rows(old) == rows
    assert len(list(old.glob("*.parquet"))) == 3
    assert not (old / "_bertpipe" / "next").exists()


def test_an_interrupted_overwrite_goes_on_where_it_stopped(old, start, part, job):
    with start() as ledger:
        _compute(ledger, old, part, WHOLE[0])
    assert recorded_job(old, job(precision="bf16").fingerprint, overwrite=True) is not None
    with start() as ledger:
        assert ledger.done["a.jsonl"].ranges == ((0, 5),)
        assert ledger.n_rows_done == 5


def test_an_interrupted_overwrite_leaves_the_old_job_usable(old, start, part, job, schema, sources):
    with start() as ledger:
        _compute(ledger, old, part, WHOLE[0])
    with Ledger.open(old, job(), schema, sources=sources) as ledger:
        assert ledger.n_rows_done == 13


def test_an_overwrite_with_other_settings_begins_anew(old, start, part, job):
    with start() as ledger:
        _compute(ledger, old, part, WHOLE[0])
    assert recorded_job(old, job(precision="int8").fingerprint, overwrite=True) is None
    with start(precision="int8") as ledger:
        assert ledger.done == {}
    assert not (old / "_bertpipe" / "next").exists()


def test_the_same_settings_are_computed_again(old, start):
    with start(precision="fp32") as ledger:
        assert ledger.done == {}


def test_an_overwrite_takes_sources_as_they_are_now(old, start, part, source, sources):
    with start() as ledger:
        _compute(ledger, old, part, WHOLE[0], B)
    changed = [source("a.jsonl", size=5), sources[1]]
    with start(sources=changed) as ledger:
        assert set(ledger.done) == {"b.jsonl"}
    with start(sources=sources[:1]) as ledger:
        assert ledger.done == {}


def test_a_staged_part_that_is_damaged_is_computed_again(old, start, part):
    with start() as ledger:
        _compute(ledger, old, part, WHOLE[0])
    (staged,) = (old / "_bertpipe" / "next").iterdir()
    os.truncate(staged, 100)
    with start() as ledger:
        assert ledger.done == {}


def test_a_whole_parquet_file_of_others_is_refused_whatever_its_name(old, start):
    theirs = old / "theirs-0000000000-0123456789ab.parquet"
    pq.write_table(pa.table({"a": [1]}), theirs)
    with pytest.raises(OutputError, match=r"holds theirs-0000000000.*did not write"):
        start()
    assert theirs.exists()


@pytest.mark.parametrize("name", ["notes.txt", "theirs.parquet", "folder/x"])
def test_a_folder_with_files_of_others_is_refused(old, start, name):
    (old / name).parent.mkdir(exist_ok=True)
    (old / name).write_text("mine")
    with pytest.raises(OutputError, match=rf"holds {name.split('/')[0]}.*move that or"):
        start()
    assert (old / name).read_text() == "mine"


def test_hidden_files_do_not_matter(old, start):
    (old / ".DS_Store").write_text("")
    start().close()


def test_a_damaged_old_part_is_replaced_as_well(old, start, part):
    os.truncate(min(old.glob("*.parquet")), 100)
    with start() as ledger:
        _compute(ledger, old, part, *WHOLE)
        ledger.finish({})
    assert len(_rows(old)) == 13


class _Death(BaseException):
    """Ends the code under test as SIGKILL would: no `except Exception` sees it."""


def _dying(function, countdown):
    def call(*arguments):
        if next(countdown) == 0:
            raise _Death
        return function(*arguments)

    return call


@pytest.mark.parametrize("n_steps", [1, 2, 3, 4, 5])
def test_an_exchange_that_dies_anywhere_is_finished_by_the_next_start(
    old, start, part, job, schema, sources, monkeypatch, n_steps
):
    countdown = count(n_steps, -1)
    with start() as ledger:
        _compute(ledger, old, part, *WHOLE)
        monkeypatch.setattr(os, "replace", _dying(os.replace, countdown))
        monkeypatch.setattr(overwriting, "remove", _dying(files.remove, countdown))
        with pytest.raises(_Death):
            ledger.finish({})
    monkeypatch.undo()
    new = job(precision="bf16")
    assert recorded_job(old, new.fingerprint) == new
    with Ledger.open(old, new, schema, sources=sources) as ledger:
        assert ledger.n_rows_done == 13
    assert len(set(_rows(old))) == len(_rows(old)) == 13
