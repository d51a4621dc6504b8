import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe.corpus import open_corpus
from bertpipe.corpus.layout import head_budget
from bertpipe.errors import CorpusError


def test_formats_mix_under_one_schema(read, write, tmp_path):
    write("in/a.csv", "id,text,n\n1,a,5\n")
    write("in/b.jsonl", '{"id": 2, "text": "b", "n": 6, "x": [1]}')
    write("in/c.txt", "c")
    table = read(tmp_path / "in")
    assert table.select(["id", "text", "n", "x"]).to_pylist() == [
        {"id": "1", "text": "a", "n": "5", "x": None},
        {"id": "2", "text": "b", "n": "6", "x": "[1]"},
        {"id": "c.txt", "text": "c", "n": None, "x": None},
    ]


def test_text_and_id_always_stay(read, write):
    path = write("a.jsonl", '{"id": 1, "text": "a", "x": 1, "y": 2}')
    table = read(path, keep=["y"])
    assert table.schema.names == ["_source", "id", "text", "y", "_extra", "_error"]
    assert table["_extra"].null_count == 1


def test_an_id_field_that_was_asked_for_must_be_there(read, write):
    path = write("a.jsonl", '{"text": "a"}')
    assert "id" not in read(path).schema.names
    with pytest.raises(CorpusError, match=r"'key' but text; name the right one with --id-field"):
        read(path, id_field="key")


any_content = st.one_of(
    st.binary(max_size=60), st.text('{}[]"text:,1\\ud8 \n\t', max_size=60).map(str.encode)
)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.tsv", "a.txt", "a.parquet", "a.json.gz"])
@settings(max_examples=40, deadline=None)
@given(content=any_content)
def test_any_content_ends_in_rows_or_in_a_corpus_error(name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(b"text,id\n" + content if name == "a.csv" else content)
        try:
            corpus = open_corpus([str(path)])
            rows = [row for batch in corpus.read(corpus.sources[0]) for row in batch.to_pylist()]
        except CorpusError:
            return
    assert [row["_source"]["row"] for row in rows] == list(range(len(rows)))
    assert all((row["text"] is None) == (row["_error"] is not None) for row in rows)


def test_a_schema_from_an_earlier_opening_fixes_the_columns(read, write):
    first = open_corpus([str(write("a.jsonl", '{"text": "a", "n": 1}'))])
    table = read(write("b.jsonl", '{"text": "b", "m": 2}\n{"n": 0.5}'), schema=first.schema)
    assert table.schema.equals(first.record_schema)
    assert table["_extra"].to_pylist() == ['{"m": 2}', '{"n": 0.5}']


@pytest.mark.parametrize(("n_sources", "n_records"), [(1, 1_000), (1_000, 200), (10**6, 10)])
def test_the_heads_of_many_files_are_short(n_sources, n_records):
    assert head_budget(n_sources).n_records == n_records


def test_the_parent_needs_neither_torch_nor_spacy():
    code = "import sys, bertpipe.corpus; sys.exit(bool({'torch', 'spacy'} & sys.modules.keys()))"
    subprocess.run([sys.executable, "-c", code], check=True)
