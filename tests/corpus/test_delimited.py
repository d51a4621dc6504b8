import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe.corpus import open_corpus
from bertpipe.errors import CorpusError


def test_values_are_strings_as_they_stand(read, write):
    table = read(write("a.csv", 'id,text,n\r\n1,"a ""b"", c",007\r\n2,"x\r\ny\n\0z",\r\n'))
    assert table["text"].to_pylist() == ['a "b", c', "x\r\ny\n\0z"]
    assert table["id"].to_pylist() == ["1", "2"]
    assert table["n"].to_pylist() == ["007", ""]
    assert table["_error"].null_count == 2


def test_tabs_separate_in_a_tsv_file(read, write):
    assert read(write("a.tsv", "id\ttext\n1\ta, b\n"))["text"].to_pylist() == ["a, b"]


def test_a_byte_order_mark_and_blank_lines_are_accepted(read, write):
    table = read(write("a.csv", "\ufefftext,id\n\na,1\n\r\nb,2\n"))
    assert table["text"].to_pylist() == ["a", "b"]


def test_a_ragged_record_is_a_row_with_an_error(read, write):
    path = write("a.csv", "id,text\n1,a\n2,b,c\n3\n4,d\n")
    table = read(path)
    assert table["text"].to_pylist() == ["a", None, None, "d"]
    message = table["_error"][1]["message"].as_py()
    assert message.startswith(f"{path}, line 3: has 3 fields where the header has 2; quote")
    assert json.loads(table["_extra"][1].as_py()) == {"fields": ["2", "b", "c"]}


@pytest.mark.parametrize("broken", ['2,"never closed', '2,"closed" too early'])
def test_a_broken_quote_costs_one_line(read, write, broken):
    table = read(write("a.csv", f"id,text\n1,a\n{broken}\n3,c\n4,d\n"))
    assert table["text"].to_pylist() == ["a", None, "c", "d"]
    assert table["_error"][1]["type"].as_py() == "InvalidCSV"
    assert json.loads(table["_extra"][1].as_py()) == {"line": broken}


def test_the_line_in_a_message_is_where_the_record_begins(read, write):
    table = read(write("a.csv", 'id,text\n1,"a\nb"\n\n2\n'))
    assert "line 5:" in table["_error"][1]["message"].as_py()


def test_invalid_bytes_are_a_bad_text_and_kept_in_other_columns(read, write):
    table = read(write("a.csv", b"text,author\na\xff,x\nb,\xe9mile\n"))
    assert table["text"].to_pylist() == [None, "b"]
    assert table["author"].to_pylist() == ["x", None]
    kept = [json.loads(extra.as_py()) for extra in table["_extra"]]
    assert kept == [{"text": "a\udcff"}, {"author": "\udce9mile"}]


def test_a_field_may_be_longer_than_the_parser_allows_by_itself(read, write):
    text = "x" * 300_000
    assert read(write("a.csv", f"text\n{text}\n"))["text"].to_pylist() == [text]


def test_a_record_over_the_limit_is_too_large(read, write):
    table = read(write("a.csv", f"text\na\n{'x' * 3_000_000}\nb\n"), max_document_chars=10)
    assert table["text"].to_pylist() == ["a", None, "b"]
    assert table["_error"][1]["type"].as_py() == "TooLarge"


def test_a_column_without_a_name_gets_one(read, write):
    assert read(write("a.csv", ",text\n0,a\n"))["column_1"].to_pylist() == ["0"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id,body\n1,a\n", r"no column 'text' but id, body; name the right one"),
        ("text,a,a\n", r"has the column 'a' twice; rename"),
        ('text,"a\n', r"line 1: the header is not readable"),
        ("text,_source\na,b\n", r"'_source', a name of bertpipe's own"),
        ("text\n", r"has no documents"),
        ("", r"has no documents"),
    ],
)
def test_a_header_that_cannot_be_used_stops_the_run(read, write, content, message):
    with pytest.raises(CorpusError, match=message):
        read(write("a.csv", content))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)),
    st.sampled_from(["csv", "tsv"]),
)
def test_what_the_csv_module_writes_is_read_back(texts, kind):
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter="\t" if kind == "tsv" else ",")
    writer.writerows([["id", "text"], *([str(n), text] for n, text in enumerate(texts)), ["", ""]])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{kind}"
        path.write_bytes(buffer.getvalue().encode())
        corpus = open_corpus([str(path)])
        rows = [row for batch in corpus.read(corpus.sources[0]) for row in batch.to_pylist()]
    assert [row["text"] for row in rows] == [*texts, ""]
    assert [row["_source"]["row"] for row in rows] == list(range(len(texts) + 1))
