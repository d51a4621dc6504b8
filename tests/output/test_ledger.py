import hashlib
import json
import os

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from bertpipe.corpus import open_corpus
from bertpipe.corpus.chunks import Slice, SourceDone
from bertpipe.errors import BusyError, OutputError, WriteError
from bertpipe.output.folder import recorded_job
from bertpipe.output.ledger import Ledger

A1, A2, B1 = Slice("a.jsonl", 0, 9), Slice("a.jsonl", 9, 15, True), Slice("b.jsonl", 0, 4, True)


@pytest.fixture
def sources(source):
    return [source("a.jsonl"), source("b.jsonl")]


@pytest.fixture
def opened(out, job, schema, sources):
    """Return a function that opens the folder, with changes, and closes it after the test."""
    ledgers = []

    def open_ledger(**changes):
        arguments = {"job": job(), "schema": schema, "sources": sources, **changes}
        ledger = Ledger.open(out, arguments.pop("job"), arguments.pop("schema"), **arguments)
        ledgers.append(ledger)
        return ledger

    yield open_ledger
    for ledger in ledgers:
        ledger.close()


@pytest.fixture
def filled(opened, part, out):
    """A folder with two parts of an unfinished job; closed."""
    with opened() as ledger:
        for slice_ in (A1, B1):
            ledger.commit(part(out, slice_))
    return out


def _rows(out):
    table = ds.dataset(out, format="parquet").to_table(columns=["_source"])
    return sorted((each["path"], each["row"]) for each in table["_source"].to_pylist())


def test_a_new_folder_has_nothing_done(opened, out):
    ledger = opened()
    assert (ledger.done, ledger.n_rows_done, ledger.n_parts) == ({}, 0, 0)
    assert recorded_job(out, {}) is None


def test_what_was_committed_is_done_at_the_next_start(filled, opened):
    ledger = opened()
    assert ledger.done == {
        "a.jsonl": SourceDone(((0, 9),), complete=False),
        "b.jsonl": SourceDone(((0, 4),), complete=True),
    }
    assert (ledger.n_parts, ledger.n_rows_done) == (2, 13)
    assert ledger.errors == {"invalid_json": 1}


def test_counts_grow_with_each_commit(filled, opened, part):
    ledger = opened()
    ledger.commit(part(filled, A2))
    assert (ledger.n_parts, ledger.n_rows_done) == (3, 19)
    assert ledger.errors == {"invalid_json": 2}


def test_a_commit_that_comes_twice_counts_once(filled, opened, part):
    ledger = opened()
    for _ in range(2):
        ledger.commit(part(filled, A1))
    assert ledger.n_rows_done == 13
    assert len(_rows(filled)) == 13


def test_the_first_start_fixes_schema_and_chunks(filled, job):
    recorded = recorded_job(filled, job().fingerprint)
    assert recorded is not None
    assert recorded == job()
    assert recorded.input_schema.names == ["id", "text"]
    assert recorded.chunk_chars == 1_000


def test_other_settings_are_refused_by_name_and_value(filled, opened, job):
    other = job(precision="bf16", threshold=0.5)
    expected = r'precision was "fp32", now "bf16"; threshold was not set, now 0\.5; use --overwrite'
    with pytest.raises(OutputError, match=expected):
        recorded_job(filled, other.fingerprint)
    with pytest.raises(OutputError, match=expected):
        opened(job=other)


def test_library_versions_are_not_compared(filled, opened, job):
    newer = job()
    newer.recorded["versions"] = {"torch": "3.0"}
    assert opened(job=newer).n_rows_done == 13


def test_other_columns_are_refused_by_name(filled, opened, schema):
    other = schema.append(pa.field("qa", pa.string()))
    with pytest.raises(OutputError, match='column qa was not set, now "string"'):
        opened(schema=other)
    with pytest.raises(OutputError, match="order of the columns"):
        opened(schema=pa.schema(list(schema)[::-1]))


def test_a_source_that_changed_is_refused_by_name(filled, opened, source):
    with pytest.raises(OutputError, match=r"b\.jsonl changed since.*--changed recompute"):
        opened(sources=[source("a.jsonl"), source("b.jsonl", size=2_000)])


def test_of_many_changed_sources_three_are_named(opened, part, out, source):
    names = [f"{letter}.jsonl" for letter in "abcde"]
    with opened(sources=[source(name) for name in names]) as ledger:
        ledger.commit(part(out, *(Slice(name, 0, 2, True) for name in names)))
    with pytest.raises(OutputError, match=r"a\.jsonl, b\.jsonl, c\.jsonl and 2 more changed"):
        opened(sources=[source(name, size=1) for name in names])


def test_a_new_source_is_welcome_and_a_missing_one_keeps_its_rows(filled, opened, source):
    ledger = opened(sources=[source("a.jsonl"), source("c.jsonl")])
    assert ledger.changes.gone == ("b.jsonl",)
    assert ledger.n_rows_done == 13


def test_two_cannot_have_the_same_folder_open(opened):
    opened()
    with pytest.raises(BusyError, match=f"process {os.getpid()}"):
        opened()


def test_a_lock_that_was_lost_stops_the_next_commit(opened, part, out):
    ledger = opened()
    temporary = part(out, A1)
    (out / "_bertpipe" / "lock").unlink()
    with pytest.raises(WriteError, match=r"/lock is gone: .* Run the same command again"):
        ledger.commit(temporary)
    assert list(out.glob("*.parquet")) == []


def test_files_of_dead_workers_are_deleted(opened, part, out):
    part(out, A1)
    (out / "_bertpipe" / ".report.json.1234").write_text("{")
    opened()
    assert [path.name for path in out.rglob("*") if path.is_file()] == ["lock"]


def test_a_truncated_part_is_set_aside_and_its_rows_are_done_again(filled, opened, part):
    victim = min(filled.glob("*.parquet"))
    os.truncate(victim, victim.stat().st_size - 5)
    with opened() as ledger:
        assert ledger.damaged == [victim.name]
        assert set(ledger.done) == {"b.jsonl"}
        ledger.commit(part(filled, A1))
    assert len(set(_rows(filled))) == len(_rows(filled)) == 13
    assert len(list((filled / "_bertpipe" / "damaged").iterdir())) == 1


def test_a_foreign_parquet_file_is_named_and_kept(filled, opened, job):
    theirs = filled / "theirs.parquet"
    pq.write_table(pa.table({"a": [1]}), theirs)
    with pytest.raises(OutputError, match=r"theirs\.parquet was not written by bertpipe"):
        opened()
    theirs.write_bytes(b"not parquet")
    with pytest.raises(OutputError, match=r"theirs\.parquet is no whole Parquet file"):
        opened()
    assert theirs.read_bytes() == b"not parquet"


def test_other_files_beside_the_parts_do_not_matter(filled, opened):
    (filled / "README.md").write_text("mine")
    assert opened().n_rows_done == 13


def test_parts_that_overlap_are_named(filled, opened, part):
    with opened() as ledger, pytest.raises(OutputError, match=r"both hold.*rows 5 to 9 of a"):
        ledger.commit(part(filled, Slice("a.jsonl", 5, 10)))
    assert len(list(filled.glob("*.parquet"))) == 2


def test_a_refused_start_gives_the_lock_back(filled, opened, job):
    with pytest.raises(OutputError):
        opened(job=job(precision="bf16"))
    opened()


def test_a_start_that_wrote_nothing_leaves_nothing(opened, out):
    opened().close()
    assert not out.exists()


def test_a_folder_that_was_there_stays(opened, out):
    out.mkdir()
    opened().close()
    assert list(out.iterdir()) == []


def test_an_output_that_is_a_file_is_refused(opened, out):
    out.write_text("mine")
    with pytest.raises(OutputError, match="out cannot be written"):
        opened()
    assert out.read_text() == "mine"


def test_the_report_is_written_whole(filled, opened):
    with opened() as ledger:
        ledger.finish({"rows": 13})
    assert json.loads((filled / "_bertpipe" / "report.json").read_text()) == {"rows": 13}


def test_bookkeeping_holds_no_parquet(filled):
    assert list((filled / "_bertpipe").rglob("*.parquet*")) == []


def test_workers_get_the_state_of_the_sources_of_a_chunk_as_far_as_they_were_read(opened, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "1"}\n')
    corpus = open_corpus([str(path)])
    list(corpus.read(corpus.sources[0]))
    stamps = opened(sources=corpus.sources).stamps([Slice(str(path), 0, 1)])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert stamps == {str(path): (14, path.stat().st_mtime_ns, 14, digest)}
