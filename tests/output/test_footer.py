import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.errors import OutputError
from bertpipe.output.footer import Job, differences, read_part
from bertpipe.output.parquet import commit_part


@pytest.fixture
def path(part, out, schema):
    return commit_part(out, part(out, Slice("a.jsonl", 0, 9)), schema=schema).path


def _rewrite(path, **keys):
    """Write the same rows with other footer keys."""
    table = pq.read_table(path)
    kept = pq.read_metadata(path).metadata
    with pq.ParquetWriter(path, table.schema.remove_metadata()) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(
            {
                name: keys.get(name.decode(), value)
                for name, value in kept.items()
                if name != b"ARROW:schema"
            }
        )


@pytest.mark.parametrize("n_lost", [1, 8, 500])
def test_a_truncated_part_is_none(path, n_lost):
    content = path.read_bytes()
    path.write_bytes(content[:-n_lost])
    assert read_part(path) is None


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all"])
def test_a_file_that_is_no_parquet_is_none(path, content):
    path.write_bytes(content)
    assert read_part(path) is None


def test_a_changed_footer_is_noticed(path):
    text = pq.read_metadata(path).metadata[b"bertpipe"]
    _rewrite(path, bertpipe=text.replace(b'"a.jsonl", 0, 9', b'"a.jsonl", 1, 10'))
    assert read_part(path) is None


def test_every_flipped_bit_of_a_footer_is_noticed_or_harmless(path):
    whole = read_part(path)
    content = path.read_bytes()
    start = content.index(b'{"format_version"')
    for offset in range(start, start + 400, 7):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 4]) + content[offset + 1 :])
        assert read_part(path) in (None, whole)


def test_a_file_that_cannot_be_opened_is_not_taken_for_damaged(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_part(tmp_path / "gone.parquet")


def test_the_parquet_of_somebody_else_is_named(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "theirs.parquet")
    with pytest.raises(OutputError, match=r"theirs\.parquet was not written by bertpipe"):
        read_part(tmp_path / "theirs.parquet")


def test_differences_name_each_setting_with_both_values():
    old = {"ner": {"model": "a", "labels": ["X"]}, "precision": "fp32"}
    new = {"ner": {"model": "b", "labels": ["X"]}, "qa": {"top_k": 1}, "precision": "fp32"}
    assert differences(old, new) == [
        'ner.model was "a", now "b"',
        "qa.top_k was not set, now 1",
    ]
    assert differences(old, old) == []


def test_a_setting_that_is_null_differs_from_one_that_is_absent():
    assert differences({"keep": None}, {}) == ["keep was null, now not set"]


def test_long_values_are_cut_in_messages():
    (phrase,) = differences({"labels": "x" * 500}, {"labels": "y"})
    assert len(phrase) < 150


def test_the_hash_of_a_job_knows_no_order_and_no_versions():
    schema = pa.schema([("text", pa.string())])
    one = Job({"a": 1, "b": {"c": 2, "d": 3}}, schema, 10, recorded={"torch": "2.5"})
    other = Job({"b": {"d": 3, "c": 2}, "a": 1}, schema, 10)
    assert one.hash == other.hash
    assert one.hash != Job({"a": 1}, schema, 10).hash
    assert one.hash != Job(one.fingerprint, schema, 11).hash


def test_a_job_comes_back_from_its_footer(job):
    assert Job.from_metadata(job().metadata()) == job()
