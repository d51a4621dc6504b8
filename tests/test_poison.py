"""Bad input: every record is one row, and docs/bad-input.md says what happens to each kind."""

import gzip
import json
import re
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from bertpipe import api
from bertpipe.corpus import open_corpus
from bertpipe.errors import UsageError

DOCS = Path(__file__).parents[1] / "docs/bad-input.md"
Row = dict[str, Any]


@dataclass(frozen=True)
class Poison:
    """Files, and what becomes of each record: the type of its error, or None; or a refusal.

    texts: what the plug-in finds in each row (None where it was not run), if that is to be checked.
    check: of the rows, by column name.
    """

    name: str
    files: Mapping[str, Callable[[], bytes]]
    errors: Sequence[str | None] = ()
    refused: str | None = None
    found: Sequence[list[str] | None] | None = None
    check: Callable[[list[Row]], bool] = lambda rows: True
    settings: Mapping[str, Any] = field(default_factory=dict)
    is_slow: bool = False


def lines(*records: object) -> Callable[[], bytes]:
    """Return JSON lines; a string or bytes stands as it is."""
    raw = [each if isinstance(each, bytes) else _line(each).encode() for each in records]
    return lambda: b"".join(line + b"\n" for line in raw)


def _line(record: object) -> str:
    return record if isinstance(record, str) else json.dumps(record)


def parquet(**columns: pa.Array) -> Callable[[], bytes]:
    def write() -> bytes:
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table(columns), sink)
        return sink.getvalue().to_pybytes()

    return write


def content(text: str | bytes) -> Callable[[], bytes]:
    return lambda: text if isinstance(text, bytes) else text.encode()


TWO = pa.array(["1", "2"])
POISONS = [
    Poison("empty-text", {"a.jsonl": lines({"text": ""})}, [None], found=[[]]),
    Poison("blank-text", {"a.jsonl": lines({"text": " \t\r\n\u2003"})}, [None], found=[[]]),
    Poison("empty-file", {"a.txt": content("")}, [None], found=[[]]),
    Poison("missing-text", {"a.jsonl": lines({"text": "1"}, {"id": "b"})}, [None, "MissingText"]),
    Poison("null-text", {"a.jsonl": lines({"text": None}, {"text": "1"})}, ["NullText", None]),
    Poison(
        "text-not-string",
        {"a.jsonl": lines({"text": 12}, {"text": ["1"]}, {"text": "1"})},
        ["TextNotString", "TextNotString", None],
        check=lambda rows: json.loads(rows[0]["_extra"]) == {"text": 12},
    ),
    Poison(
        "long-document",
        {"a.jsonl": lambda: lines({"text": "x" * 5_000_000 + " 7"})()},
        [None],
        found=[["7"]],
    ),
    Poison(
        "100-mb-document",
        {"a.jsonl": lambda: lines({"text": "x" * 100_000_000 + " 7"}, {"text": "8"})()},
        [None, None],
        found=[["7"], ["8"]],
        settings={"max_document_chars": 200_000_000},
        is_slow=True,
    ),
    Poison(
        "too-long-document",
        {"a.jsonl": lines({"text": "1" * 1_001}, {"text": "2" * 1_000})},
        ["TooLarge", None],
        settings={"max_document_chars": 1_000},
    ),
    Poison(
        "combining-marks",
        {"a.jsonl": lambda: lines({"text": "e" + "\u0301" * 1_000_000 + "7"})()},
        [None],
        found=[["7"]],
        check=lambda rows: rows[0]["numbers"][0]["start"] == 1_000_001,
    ),
    Poison(
        "nul",
        {"a.jsonl": lines({"text": "a\0b 7\0"}), "b.csv": content("text\na\0b 8\n")},
        [None, None],
        found=[["7"], ["8"]],
        check=lambda rows: rows[0]["text"] == "a\0b 7\0",
    ),
    Poison(
        "lone-surrogate",
        {"a.jsonl": lines('{"text": "\\ud800 1"}', '{"text": "\\ud83d\\ude00 2"}')},
        ["InvalidUnicode", None],
        check=lambda rows: json.loads(rows[0]["_extra"]) == {"text": "\ud800 1"},
    ),
    Poison(
        "lone-surrogate-beside-the-text",
        {"a.jsonl": lines('{"text": "1", "id": "\\udfff"}', {"text": "2", "id": "b"})},
        [None, None],
        check=lambda rows: rows[0]["id"] is None and "\\udfff" in rows[0]["_extra"],
    ),
    Poison(
        "invalid-utf-8",
        {
            "a.jsonl": lines(b'{"text": "caf\xe9 1"}', {"text": "2"}),
            "b.csv": content(b"text\ncaf\xe9\n3\n"),
            "c.txt": content(b"caf\xe9"),
        },
        ["InvalidUnicode", None, "InvalidUnicode", None, "InvalidUnicode"],
    ),
    Poison(
        "cut-off-json",
        {"a.jsonl": lines('{"text": "1', {"text": "2"}, "[1]", "null")},
        ["InvalidJSON", None, "NotAnObject", "NotAnObject"],
        check=lambda rows: json.loads(rows[0]["_extra"]) == {"line": '{"text": "1'},
    ),
    Poison(
        "enormous-json-line",
        {"a.jsonl": lambda: lines({"text": "1", "junk": "x" * 2_000_000}, {"text": "2"})()},
        ["TooLarge", None],
        settings={"max_document_chars": 1_000},
    ),
    Poison(
        "200-mb-json-line",
        {"a.jsonl": lambda: lines({"text": "1", "junk": "x" * 200_000_000}, {"text": "2"})()},
        ["TooLarge", None],
        is_slow=True,
    ),
    Poison(
        "deep-json",
        {
            "a.jsonl": lines(
                '{"text": "1", "deep": ' + "[" * 300 + "]" * 300 + "}",
                '{"text": "2", "deep": ' + "[" * 100_000 + "]" * 100_000 + "}",
                '{"text": "3", "deep": ' + "[" * 200 + "]" * 200 + "}",
            )
        },
        ["NestedTooDeeply", "InvalidJSON", None],
    ),
    Poison("json-array", {"a.json": content('[{"text": "1"}]')}, refused="in one array"),
    Poison(
        "ragged-csv",
        {"a.csv": content("id,text\n1,one\n2\n3,three,more\n4,4\n")},
        [None, "WrongFieldCount", "WrongFieldCount", None],
        check=lambda rows: json.loads(rows[2]["_extra"]) == {"fields": ["3", "three", "more"]},
    ),
    Poison(
        "unclosed-quote",
        {"a.csv": content('id,text\n1,"open\n2,two\n3,"3"\n')},
        ["InvalidCSV", None, None],
        found=[None, [], ["3"]],
    ),
    Poison("column-twice", {"a.csv": content("text,text\n1,2\n")}, refused="'text' twice"),
    Poison(
        "parquet-nested",
        {"a.parquet": parquet(text=TWO, tags=pa.array([[{"a": 1}], []]))},
        [None, None],
        check=lambda rows: rows[0]["tags"] == [{"a": 1}],
    ),
    Poison(
        "parquet-dictionary",
        {"a.parquet": parquet(text=TWO.dictionary_encode(), kind=TWO.dictionary_encode())},
        [None, None],
        found=[["1"], ["2"]],
        check=lambda rows: rows[1]["kind"] == "2",
    ),
    Poison(
        "parquet-binary",
        {"a.parquet": parquet(text=TWO, raw=pa.array([b"\xff\0", None]))},
        [None, None],
        check=lambda rows: rows[0]["raw"] == b"\xff\0",
    ),
    Poison(
        "parquet-binary-text",
        {"a.parquet": parquet(text=pa.array([b"1", b"2"]))},
        refused="has binary in the column 'text'",
    ),
    Poison(
        "parquet-null-typed",
        {"a.parquet": parquet(text=TWO, nothing=pa.nulls(2))},
        [None, None],
        check=lambda rows: rows[0]["nothing"] is None,
    ),
    Poison(
        "parquet-null-typed-text",
        {"a.parquet": parquet(text=pa.nulls(2)), "b.jsonl": lines({"text": "1"})},
        ["NullText", "NullText", None],
    ),
    Poison(
        "parquet-not-utf-8",
        {"a.parquet": parquet(text=pa.array([b"caf\xe9", b"2"]).view(pa.string()))},
        ["InvalidUnicode", None],
    ),
    Poison(
        "our-column-name",
        {"a.jsonl": lines({"text": "1", "_source": 5})},
        refused="'_source'.*--keep",
    ),
    Poison(
        "component-column-name",
        {"a.jsonl": lines({"text": "1", "numbers": 5})},
        refused="'numbers'.*--components NEW=numbers",
    ),
    Poison(
        "duplicate-ids",
        {"a.jsonl": lines(*[{"id": "x", "text": str(i)} for i in range(3)])},
        [None] * 3,
        found=[["0"], ["1"], ["2"]],
    ),
    Poison(
        "integer-ids",
        {"a.jsonl": lines({"id": 7, "text": "1"}, {"id": 2**70, "text": "2"})},
        [None, None],
        check=lambda rows: [row["id"] for row in rows] == ["7", str(2**70)],
    ),
    Poison(
        "schema-changes-between-files",
        {
            "a.jsonl": lines({"text": "1", "n": 1, "tag": True}),
            "b.jsonl": lines({"text": "2", "n": 2.5, "new": {"k": 1}}),
            "c.csv": content("n,text\nthree,3\n"),
            "d.parquet": parquet(n=pa.array([4], pa.int8()), text=pa.array(["4"])),
        },
        [None] * 4,
        check=lambda rows: [row["n"] for row in rows] == ["1", "2.5", "three", "4"],
    ),
    Poison(
        "schema-changes-in-a-file",
        {"a.jsonl": lines(*[{"text": "1", "n": 1}] * 1_000, {"text": "2", "n": "x", "new": 3})},
        [None] * 1_001,
        check=lambda rows: json.loads(rows[1_000]["_extra"]) == {"n": "x", "new": 3},
    ),
    Poison(
        "gz-bomb",
        {"a.txt.gz": lambda: gzip.compress(bytes(50_000_000), 9), "b.txt": content("2")},
        ["TooLarge", None],
        settings={"max_document_chars": 1_000_000},
    ),
    Poison(
        "gz-cut-off",
        {"a.jsonl.gz": lambda: gzip.compress(lines(*[{"text": "1"}] * 9)())[:-9]},
        refused=r"a\.jsonl\.gz cannot be read to its end",
    ),
    Poison(
        "text-that-fails",
        {"a.jsonl": lines({"text": "1"}, {"text": "POISON"}, {"text": "3"})},
        [None, "ValueError", None],
        found=[["1"], None, ["3"]],
    ),
]


def marked(poison: Poison) -> Any:
    marks = [pytest.mark.slow] if poison.is_slow else []
    return pytest.param(poison, id=poison.name, marks=marks)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.mark.parametrize("poison", [marked(poison) for poison in POISONS])
def test_every_record_is_one_row(
    poison: Poison,
    tmp_path: Path,
    output: Path,
    regex_plugin: str,
    assert_whole: Callable[..., None],
):
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name, write in poison.files.items():
        (corpus / name).write_bytes(write())
    options: dict[str, Any] = {
        "output": output,
        "components": [f"numbers={regex_plugin}"],
        "workers": 0,
    }
    if poison.refused is not None:
        with pytest.raises(UsageError, match=poison.refused):
            api.run(corpus, **options, **poison.settings)
        assert not list(tmp_path.glob("out/*.parquet"))
        return
    report = api.run(corpus, **options, **poison.settings)
    table = ds.dataset(output, format="parquet").to_table()
    rows = sorted(
        table.to_pylist(), key=lambda row: (row["_source"]["path"], row["_source"]["row"])
    )
    assert [row["_error"] and row["_error"]["type"] for row in rows] == list(poison.errors)
    assert report.n_rows == len(rows)
    if poison.found is not None:
        assert [row["numbers"] and [span["text"] for span in row["numbers"]] for row in rows] == (
            poison.found
        )
    assert poison.check(rows)
    assert_whole(output, corpus)


def test_a_million_combining_marks_are_read_by_the_model_that_ships(
    tmp_path: Path, output: Path, assert_whole: Callable[..., None]
):
    marks, name = "\u0301" * 1_000_000, "Angela Merkel"
    corpus = tmp_path / "a.jsonl"
    corpus.write_bytes(lines({"text": marks}, {"text": f"e{marks} {name}"}, {"text": name})())
    report = api.run(corpus, output=output, components=["ner"], workers=0)
    assert report.n_errors == 0
    rows = ds.dataset(output, format="parquet").to_table().to_pylist()
    places = [[(span["start"], span["text"]) for span in row["ner"]] for row in rows]
    assert places == [[], [(1_000_002, name)], [(0, name)]]
    assert [row["_n_windows"] for row in rows] == [0, 1, 1]
    assert_whole(output, corpus)


def test_a_gz_bomb_is_not_held_in_memory(tmp_path: Path):
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"text": "1"}\n' + bytes(50_000_000), 9))
    tracemalloc.start()
    try:
        corpus = open_corpus([str(tmp_path)], max_document_chars=1_000)
        n_rows = sum(batch.num_rows for batch in corpus.read(corpus.sources[0]))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_rows == 2
    assert peak < 20_000_000


def test_the_table_in_the_docs_names_every_case_and_no_other():
    named = re.findall(r"(?m)^\|.*\| `([\w-]+)` \|$", DOCS.read_text(encoding="utf-8"))
    assert sorted(named) == sorted(poison.name for poison in POISONS)
