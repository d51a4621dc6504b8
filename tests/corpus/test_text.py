import json

import pytest

from bertpipe.errors import CorpusError


def test_a_file_is_a_document_with_nothing_changed(read, write):
    text = "\r\nline\r\nof\rtext \0 \u2028\x85\n\n"
    table = read(write("a.txt", text))
    assert table["text"].to_pylist() == [text]
    assert table["_source"][0]["row"].as_py() == 0


def test_the_id_is_the_path_below_the_folder(read, write, tmp_path):
    write("news/b.txt", "b")
    write("news/deep/a.txt", "a")
    assert read(tmp_path / "news")["id"].to_pylist() == ["b.txt", "deep/a.txt"]
    assert read(tmp_path / "news" / "b.txt")["id"].to_pylist() == ["b.txt"]


def test_each_line_is_a_document_when_asked(read, write):
    table = read(write("a.txt", "\ufeffone\r\n\ntwo\rtwo\n three "), lines=True)
    assert table["text"].to_pylist() == ["one", "", "two\rtwo", " three "]
    assert table["id"].to_pylist() == ["a.txt:1", "a.txt:2", "a.txt:3", "a.txt:4"]


def test_a_final_line_end_begins_no_line(read, write):
    assert read(write("a.txt", "one\ntwo\n"), lines=True).num_rows == 2


def test_an_empty_file_is_a_document_without_text_but_has_no_lines(read, write):
    path = write("a.txt", "")
    assert read(path)["text"].to_pylist() == [""]
    with pytest.raises(CorpusError, match="has no documents"):
        read(path, lines=True)


def test_a_byte_order_mark_is_not_part_of_the_text(read, write):
    assert read(write("a.txt", "\ufefftext"))["text"].to_pylist() == ["text"]


def test_text_that_is_not_utf8_is_a_bad_record(read, write):
    path = write("a.txt", "Zürich".encode("latin-1"))
    table = read(path)
    error = table["_error"][0].as_py()
    assert error["type"] == "InvalidUnicode"
    assert error["message"] == (
        f"{path}: the text is not valid Unicode at character 1; save it as UTF-8."
    )
    assert json.loads(table["_extra"][0].as_py()) == {"text": "Z\udcfcrich"}
    assert table["id"].to_pylist() == ["a.txt"]


def test_a_file_over_the_limit_is_too_large(read, write):
    path = write("a.txt", "x" * 3_000_000)
    for max_chars in (10, 2_999_999):
        table = read(path, max_document_chars=max_chars)
        assert table["_error"][0]["type"].as_py() == "TooLarge"
    assert read(path, max_document_chars=3_000_000)["_error"].null_count == 1


def test_the_fields_may_have_other_names(read, write):
    table = read(write("a.txt", "x"), text_field="body", id_field="key")
    assert table.schema.names == ["_source", "key", "body", "_extra", "_error"]
