"""Every way in which an output can be spoilt is found, and a whole one is not blamed."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertpipe import api
from bertpipe.errors import BusyError, OutputError
from bertpipe.output.footer import read_part
from bertpipe.output.lock import FolderLock
from bertpipe.output.verify import verify


@pytest.fixture
def corpus(tmp_path):
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b"):
        lines = [json.dumps({"text": f"{name} {i} " + "x" * 700}) for i in range(60)]
        lines[7] = "{ cut off"
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "empty.jsonl").write_text("\n")
    return folder


@pytest.fixture
def out(tmp_path, corpus, regex_plugin):
    """An output of several parts."""
    output = tmp_path / "out"
    components = [f"numbers={regex_plugin}"]
    api.run(corpus, output=output, components=components, workers=0, commit_every=0)
    assert len(list(output.glob("*.parquet"))) > 2
    return output


def parts(out):
    return sorted(out.glob("*.parquet"))


def footer(path):
    part = read_part(path)
    assert part is not None
    return part


def findings(out, *paths):
    return "\n".join(verify(out, [str(path) for path in paths]).findings)


def test_a_whole_output_has_no_findings(out, corpus):
    for found in (verify(out), verify(out, [str(corpus)])):
        assert (found.findings, found.gone) == ((), ())
        assert (found.n_rows, found.n_sources, found.n_parts) == (120, 2, len(parts(out)))


def test_a_part_that_was_changed_by_hand_is_found_though_its_footer_and_rows_are_right(out):
    path = parts(out)[1]
    table, keys = pq.read_table(path), pq.read_metadata(path).metadata
    place = table.schema.get_field_index("text")
    changed = table.set_column(place, "text", pa.array(["another text"] * table.num_rows))
    with pq.ParquetWriter(path, changed.schema, write_page_checksum=True) as writer:
        writer.write_table(changed)
        writer.add_key_value_metadata({k: v for k, v in keys.items() if k.startswith(b"bertpipe")})
    (finding,) = verify(out).findings
    assert finding.startswith(f"{path} was changed after it was written")


def test_a_flipped_bit_in_a_page_is_found_wherever_it_is(out):
    path = parts(out)[0]
    whole = path.read_bytes()
    n_bytes, _ = footer(path).content
    for place in range(0, n_bytes, n_bytes // 20):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert str(path) in findings(out), place


def test_a_truncated_part_is_found(out):
    path = parts(out)[0]
    path.write_bytes(path.read_bytes()[:-20])
    assert f"{path} is truncated, or its footer is damaged" in findings(out)
    assert "rows 0 to " in findings(out)


def test_a_part_that_is_missing_leaves_a_gap(out):
    parts(out)[1].unlink()
    assert "are missing; run again." in findings(out)


def test_a_last_part_that_is_missing_is_found_by_the_end_of_its_source(out):
    (last,) = [p for p in parts(out) if any(s.is_last for s in footer(p).slices)]
    last.unlink()
    assert "b.jsonl: rows from " in findings(out)


def test_a_part_that_stands_there_twice_is_found(out):
    path = parts(out)[0]
    copy = path.with_name(path.name.replace("a-", "copy-", 1))
    copy.write_bytes(path.read_bytes())
    assert "both hold some of the rows" in findings(out)
    assert f"{copy} is not named {path.name}" in findings(out)


def test_the_parquet_of_somebody_else_is_found(out):
    pq.write_table(pa.table({"a": [1]}), out / "theirs.parquet")
    assert "theirs.parquet was not written by bertpipe" in findings(out)


def test_a_source_that_changed_is_found_and_one_that_is_gone_is_named(out, corpus):
    (corpus / "a.jsonl").unlink()
    with (corpus / "b.jsonl").open("a") as file:
        file.write('{"text": "new"}\n')
    found = verify(out)
    assert found.gone == (str(corpus / "a.jsonl"),)
    assert len(found.findings) == 1
    assert "b.jsonl has grown since its rows were written" in found.findings[0]


def test_a_source_that_was_only_touched_is_no_finding_and_another_content_is(out, corpus):
    os.utime(corpus / "a.jsonl")
    assert verify(out).findings == ()
    content = (corpus / "a.jsonl").read_text()
    (corpus / "a.jsonl").write_text(content.replace("a 3 ", "a 4 "))
    (finding,) = verify(out).findings
    assert finding.startswith(f"{corpus / 'a.jsonl'} changed since its rows were written")


def test_a_file_without_rows_is_found_when_the_corpus_is_given(out, corpus):
    (corpus / "c.jsonl").write_text('{"text": "new"}\n')
    assert findings(out) == ""
    assert (
        findings(out, corpus) == f"{corpus / 'c.jsonl'}: no row is here; run again to compute them."
    )


def test_running_again_mends_what_was_found(out, corpus, regex_plugin):
    for path in parts(out)[:2]:
        path.write_bytes(path.read_bytes()[:-20])
    api.run(corpus, output=out, components=[f"numbers={regex_plugin}"], workers=0)
    assert findings(out, corpus) == ""


def test_relative_sources_are_found_where_they_were(corpus, tmp_path, regex_plugin):
    output = tmp_path / "relative"
    components = [f"numbers={regex_plugin}"]
    api.run(corpus, output=output, components=components, workers=0, relative_to=str(tmp_path))
    assert verify(output).gone == ()
    (corpus / "a.jsonl").write_text("")
    assert "corpus/a.jsonl changed" in findings(output)


def test_an_output_in_use_and_a_folder_of_others_are_refused(out, tmp_path):
    lock = FolderLock.acquire(out / "_bertpipe/lock")
    with pytest.raises(BusyError, match=f"in use by process {os.getpid()} on "):
        verify(out)
    lock.release()
    with pytest.raises(OutputError, match="is no output of bertpipe"):
        verify(tmp_path)
