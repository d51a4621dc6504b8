import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bertpipe.corpus import open_corpus
from bertpipe.errors import CorpusError


def lines_of(*records) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def error_types(table) -> list[str | None]:
    return [error and error["type"] for error in table["_error"].to_pylist()]


def test_columns_keep_their_order_and_types(read, write):
    record = {"id": 7, "text": "a", "n": 1, "x": 1.5, "ok": True, "deep": {"k": ["é"]}}
    table = read(write("a.jsonl", lines_of(record)))
    assert table.schema.names == ["_source", *record, "_extra", "_error"]
    assert table.drop_columns(["_source"]).to_pylist() == [
        {**record, "id": "7", "deep": '{"k": ["é"]}', "_extra": None, "_error": None}
    ]


def test_a_row_knows_its_file_and_number(read, write):
    path = write("a.jsonl", lines_of({"text": "a"}, {"text": "b"}))
    expected = [{"path": str(path), "row": 0}, {"path": str(path), "row": 1}]
    assert read(path)["_source"].to_pylist() == expected


def test_a_blank_line_is_no_record_but_counts_in_messages(read, write):
    path = write("a.jsonl", '\n  \r\n{"text": "a"}\n\t\n{"text": null}')
    table = read(path)
    assert [source["row"] for source in table["_source"].to_pylist()] == [0, 1]
    message = table["_error"][1]["message"].as_py()
    assert message == f"{path}, line 5: the field 'text' is null; give it a string."


def test_a_byte_order_mark_is_accepted(read, write):
    assert read(write("a.jsonl", '\ufeff{"text": "a"}'))["text"].to_pylist() == ["a"]


@pytest.mark.parametrize(
    ("line", "kind", "extra"),
    [
        (b'{"text": "a"', "InvalidJSON", {"line": '{"text": "a"'}),
        (b"[" * 100_000, "InvalidJSON", {"line": "[" * 100_000}),
        (b"9" * 5_000, "InvalidJSON", {"line": "9" * 5_000}),
        (b'["a"]', "NotAnObject", {"line": '["a"]'}),
        (b'"a"', "NotAnObject", {"line": '"a"'}),
        (b'{"id": "b"}', "MissingText", None),
        (b'{"text": null}', "NullText", None),
        (b'{"text": 5}', "TextNotString", {"text": 5}),
        (b'{"text": {"a": 1}}', "TextNotString", {"text": {"a": 1}}),
        (b'{"text": "a\\ud800"}', "InvalidUnicode", {"text": "a\ud800"}),
        (b'{"text": "a\xffb"}', "InvalidUnicode", {"text": "a\udcffb"}),
        (b'{"text": "' + b"a" * 101 + b'"}', "TooLarge", None),
    ],
)
def test_a_record_without_usable_text_is_a_row_with_an_error(read, write, line, kind, extra):
    path = write("a.jsonl", b'{"text": "good", "n": 1}\n' + line + b'\n{"text": "also good"}\n')
    table = read(path, max_document_chars=100)
    assert table["text"].to_pylist() == ["good", None, "also good"]
    assert error_types(table) == [None, kind, None]
    error = table["_error"][1].as_py()
    assert (error["stage"], error["component"]) == ("read", None)
    assert error["message"].startswith(f"{path}, line 2: ")
    kept = table["_extra"][1].as_py()
    assert (kept and json.loads(kept)) == extra


def test_the_other_fields_of_a_bad_record_pass_through(read, write):
    table = read(write("a.jsonl", lines_of({"text": "a", "n": 1}, {"text": None, "n": 2})))
    assert table["n"].to_pylist() == [1, 2]


def test_nesting_has_a_limit_of_its_own(read, write):
    deep = '{"text": "a", "deep": ' + "[" * 300 + "]" * 300 + "}\n"
    broad = '{"text": "b", "deep": [' + ",".join(["[]"] * 300) + "]}\n"
    assert error_types(read(write("a.jsonl", broad + deep))) == [None, "NestedTooDeeply"]


def test_a_line_over_the_limit_is_never_held_whole(write):
    path = write("a.jsonl", '{"text": "a"}\n{"text": "' + "x" * 8_000_000 + '"}\n{"text": "b"}\n')
    corpus = open_corpus([str(path)], max_document_chars=1_000)
    (batch,) = corpus.read(corpus.sources[0])
    assert batch["text"].to_pylist() == ["a", None, "b"]
    assert batch["_error"][1]["type"].as_py() == "TooLarge"
    assert batch.nbytes < 10_000


def test_what_does_not_fit_the_first_thousand_records_goes_into_extra(read, write):
    head = [{"text": "t", "n": 1, "x": 0.5, "ok": True}] * 1_000
    tail = {"text": "t", "n": "many", "x": True, "ok": 1, "new": {"a": None}, "ill": "\ud800"}
    table = read(write("a.jsonl", lines_of(*head, tail)))
    assert table.schema.names == ["_source", "text", "n", "x", "ok", "_extra", "_error"]
    row = table.slice(1_000).to_pylist()[0]
    assert (row["n"], row["x"], row["ok"], row["_error"]) == (None, None, None, None)
    kept = {"n": "many", "x": True, "ok": 1, "new": {"a": None}, "ill": "\ud800"}
    assert json.loads(row["_extra"]) == kept


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2.5, None], [1.0, 2.5, None]),
        ([1, "a", [1], True], ["1", "a", "[1]", "true"]),
        ([2**70, 1], [str(2**70), "1"]),
        ([None, None], [None, None]),
        ([True, 1], ["true", "1"]),
    ],
)
def test_types_that_differ_between_records_widen(read, write, values, expected):
    table = read(write("a.jsonl", lines_of(*({"text": "t", "v": v} for v in values))))
    assert table["v"].to_pylist() == expected
    assert table["_extra"].null_count == len(values)


def test_a_number_that_a_float_cannot_hold_goes_into_extra(read, write):
    table = read(write("a.jsonl", lines_of({"text": "t", "v": 0.5}, {"text": "t", "v": 2**53 + 1})))
    assert table["v"].to_pylist() == [0.5, None]
    assert table["_extra"].to_pylist() == [None, '{"v": 9007199254740993}']


def test_ids_become_strings(read, write):
    ids = [1, "b", None, 2.5, [3]]
    table = read(write("a.jsonl", lines_of(*({"text": "t", "id": each} for each in ids))))
    assert table["id"].to_pylist() == ["1", "b", None, "2.5", "[3]"]


def test_columns_of_an_earlier_output_are_replaced(read, write):
    own = {"_source": {"path": "p", "row": 9}, "_error": None, "_extra": None, "_n_tokens": 3}
    table = read(write("a.jsonl", lines_of({"text": "t", **own})))
    assert table.schema.names == ["_source", "text", "_extra", "_error"]
    assert table["_source"][0]["row"].as_py() == 0


def test_a_foreign_column_with_our_name_stops_with_the_cure(read, write):
    path = write("a.jsonl", lines_of({"text": "t", "_source": {"title": "a"}}))
    with pytest.raises(CorpusError, match=r"'_source'.*rename it.*--keep"):
        read(path)
    assert read(path, keep=[]).schema.names == ["_source", "text", "_extra", "_error"]


def test_json_over_several_lines_is_refused_with_the_cure(read, write):
    for content in ('[{"text": "a"}]', '{\n"text": "a"\n}'):
        with pytest.raises(CorpusError, match="one object a line; convert it: jq"):
            read(write("a.json", content))
    assert read(write("b.json", '{"text": "a"}'))["text"].to_pylist() == ["a"]


def test_the_text_field_must_be_in_some_record(read, write):
    with pytest.raises(CorpusError, match=r"'text' but id, body; name the right one"):
        read(write("a.jsonl", lines_of({"id": 1, "body": "t"})))


def test_a_file_of_garbage_is_rows_with_errors(read, write):
    assert error_types(read(write("a.jsonl", "x\ny\n"))) == ["InvalidJSON"] * 2


unicode_texts = st.text(st.characters(codec="utf-8"), max_size=20)
any_texts = st.text(st.characters(codec=None, categories=None), max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(unicode_texts, any_texts, st.none(), st.integers()), min_size=1))
def test_every_record_is_one_row_with_its_text_or_an_error(texts):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.jsonl"
        path.write_text(lines_of(*({"text": text, "n": n} for n, text in enumerate(texts))))
        corpus = open_corpus([str(path)])
        rows = [row for batch in corpus.read(corpus.sources[0]) for row in batch.to_pylist()]
    assert [row["n"] for row in rows] == list(range(len(texts)))
    for row, text in zip(rows, texts, strict=True):
        is_good = isinstance(text, str) and is_utf8(text)
        assert row["text"] == (text if is_good else None)
        assert (row["_error"] is None) == is_good


def is_utf8(text: str) -> bool:
    return not any("\ud800" <= char <= "\udfff" for char in text)


def test_a_skipped_range_is_not_parsed_and_rows_keep_their_numbers(write):
    path = write("a.jsonl", '{"text": "0"}\nnot json\n{"text": "2"}\n{"text": "3"}\n')
    corpus = open_corpus([str(path)])
    batches = list(corpus.read(corpus.sources[0], skip=[(1, 2)], stop=3))
    assert [batch["_source"].field("row").to_pylist() for batch in batches] == [[0], [2]]
