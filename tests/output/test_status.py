import json
import os
import subprocess
import sys

import pytest

from bertpipe import api
from bertpipe.corpus.chunks import Slice
from bertpipe.errors import OutputError
from bertpipe.output.ledger import Ledger
from bertpipe.output.status import status


@pytest.fixture
def ledger(out, job, schema, source):
    sources = [source("a.jsonl"), source("b.jsonl")]
    with Ledger.open(out, job(), schema, sources=sources) as ledger:
        yield ledger


@pytest.fixture
def committed(ledger, out, part):
    """All of a.jsonl in two parts; of b.jsonl the rows 0 to 4 and 9 to 13."""
    for slices in (
        [Slice("a.jsonl", 0, 10)],
        [Slice("a.jsonl", 10, 14, True), Slice("b.jsonl", 0, 5)],
        [Slice("b.jsonl", 9, 14, True)],
    ):
        ledger.commit(part(out, *slices))
    return ledger


def test_it_counts_rows_errors_and_sources(committed, out):
    found = status(out)
    assert (found.n_rows, found.n_parts, found.n_missing) == (24, 3, 4)
    assert found.errors_by_type == {"invalid_json": 3}
    assert found.examples == {"invalid_json": "no"}
    assert found.n_sources_complete == 1
    assert found.sources_partly_done == {"b.jsonl": 10}
    assert found.recorded == {"versions": {"torch": "2.13"}}
    assert found.n_bytes == sum(path.stat().st_size for path in out.glob("*.parquet"))


def test_it_says_who_is_at_work_and_what_the_last_run_reported(committed, out):
    before = status(out)
    assert f"process {os.getpid()} on " in str(before.running)
    assert before.last_run is None
    committed.finish({"n_new": 24})
    committed.close()
    after = status(out)
    assert (after.running, after.last_run) == (None, {"n_new": 24})


def test_a_process_that_was_killed_is_not_at_work(out, job, schema, source):
    code = (
        "import os, sys, pathlib; from bertpipe.output.lock import FolderLock;"
        "FolderLock.acquire(pathlib.Path(sys.argv[1])); os._exit(9)"
    )
    (out / "_bertpipe").mkdir(parents=True)
    subprocess.run([sys.executable, "-c", code, str(out / "_bertpipe/lock")], check=False)
    assert (out / "_bertpipe/lock").exists()
    assert status(out).running is None


def test_a_damaged_part_is_named_and_its_rows_do_not_count(committed, out):
    path = min(out.glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    found = status(out)
    assert found.damaged == (path.name,)
    assert found.n_rows == 14


def test_a_damaged_report_is_named(committed, out):
    (out / "_bertpipe/report.json").write_text('{"cut')
    with pytest.raises(OutputError, match=r"report.json is damaged \(.*\); delete it"):
        status(out)


def test_it_is_json(committed, out):
    assert json.loads(json.dumps(status(out).to_dict()))["output"] == str(out)


def test_a_folder_that_is_no_output_is_refused(tmp_path):
    with pytest.raises(OutputError, match="is no output of bertpipe"):
        status(tmp_path)


def test_it_names_sources_that_are_gone_or_of_another_size_or_time(tmp_path, regex_plugin):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in "abc":
        (corpus / f"{name}.txt").write_text(name)
    options = {"output": tmp_path / "out", "components": [f"numbers={regex_plugin}"], "workers": 0}
    api.run(corpus, **options, relative_to=str(tmp_path))
    assert (status(tmp_path / "out").sources_gone, status(tmp_path / "out").sources_touched) == (
        (),
        (),
    )
    (corpus / "a.txt").unlink()
    os.utime(corpus / "c.txt", ns=(1, 1))
    found = status(tmp_path / "out")
    assert found.sources_gone == ("corpus/a.txt",)
    assert found.sources_touched == ("corpus/c.txt",)
