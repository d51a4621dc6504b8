"""Many small parts become few: the same rows in the same order, and still nothing to do."""

import json
import os

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bertpipe import api
from bertpipe.cli import main
from bertpipe.errors import BusyError, OutputError
from bertpipe.output.compact import compact
from bertpipe.output.lock import FolderLock


@pytest.fixture
def corpus(tmp_path, regex_plugin):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b", "c"):
        lines = [json.dumps({"text": f"{name} {i} " + "x" * 700}) for i in range(60)]
        lines[7] = "{ cut off"
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def out(tmp_path, corpus):
    """An output of several parts."""
    run(corpus, tmp_path / "out")
    return tmp_path / "out"


def run(corpus, output, **changes):
    options = {"workers": 0, "commit_every": 0, **changes}
    return api.run(corpus, output=output, components=["numbers=regex_numbers"], **options)


def content(out):
    return ds.dataset(sorted(out.glob("*.parquet")), format="parquet").to_table()


def parts(out):
    return sorted(out.glob("*.parquet"))


def test_rows_and_their_order_stay_and_nothing_is_left_to_do(assert_whole, out, corpus):
    before, n_before = content(out), len(parts(out))
    assert n_before > 3
    done = compact(out)
    assert (done.n_rows, done.n_before, done.n_after) == (180, n_before, 1)
    assert content(out).equals(before)
    assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0
    assert compact(out).n_after == 1
    left = sorted(path.name for path in (out / "_bertpipe").iterdir())
    assert left == ["components.json", "report.json"]


def test_parts_are_merged_up_to_the_wanted_size(out, corpus):
    before = content(out)
    size = max(path.stat().st_size for path in parts(out))
    done = compact(out, part_bytes=2 * size)
    assert 1 < done.n_after < done.n_before
    assert max(path.stat().st_size for path in parts(out)) < 3 * size
    assert content(out).equals(before)


def test_a_source_that_grew_is_merged_with_its_growth_and_may_grow_on(assert_whole, out, corpus):
    for first in (60, 70):
        with (corpus / "a.jsonl").open("a") as file:
            file.writelines(f'{{"text": "{i}"}}\n' for i in range(first, first + 10))
        run(corpus, out)
        assert compact(out).n_after == 1
        assert_whole(out, corpus)
    assert run(corpus, out).n_new == 0
    assert len(content(out)) == 200


def test_rows_of_two_contents_of_a_source_are_not_merged(assert_whole, out, corpus):
    (corpus / "b.jsonl").unlink()
    lines = [json.dumps({"text": f"new {i}"}) for i in range(60)]
    (corpus / "b.jsonl").write_text("\n".join(lines) + "\n")
    before = content(out)
    compact(out)
    assert content(out).equals(before)
    with pytest.raises(OutputError, match=r"b\.jsonl changed since"):
        run(corpus, out)
    run(corpus, out, changed="recompute")
    assert_whole(out, corpus)


def test_sources_that_are_gone_do_not_matter(assert_whole, out, corpus):
    before = content(out)
    for path in corpus.iterdir():
        path.unlink()
    assert compact(out).n_after == 1
    assert content(out).equals(before)
    assert_whole(out)


def test_a_folder_in_use_is_left_alone(out):
    lock = FolderLock.acquire(out / "_bertpipe/lock")
    before = parts(out)
    with pytest.raises(BusyError, match=f"in use by process {os.getpid()}"):
        compact(out)
    assert CliRunner().invoke(main, ["compact", str(out)]).exit_code != 0
    lock.release()
    assert parts(out) == before


def test_what_is_no_whole_output_is_refused(out, tmp_path):
    with pytest.raises(OutputError, match="is no output of bertpipe"):
        compact(tmp_path)
    os.truncate(parts(out)[0], 100)
    with pytest.raises(OutputError, match="is damaged"):
        compact(out)
    parts(out)[0].unlink()
    pq.write_table(pa.table({"a": [1]}), out / "theirs.parquet")
    with pytest.raises(OutputError, match="was not written by bertpipe"):
        compact(out)


def test_the_command_says_how_many_parts_there_are(out):
    n_parts = len(parts(out))
    result = CliRunner().invoke(main, ["compact", str(out)])
    assert result.output == f"{out}: 180 rows in 1 part, before in {n_parts} parts.\n"
