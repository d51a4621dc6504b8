import datetime as dt
import decimal
import gzip
import json
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertpipe.corpus import open_corpus
from bertpipe.errors import CorpusError
from bertpipe.records import ERROR_TYPE, SOURCE_TYPE


@pytest.fixture
def store(tmp_path):
    def write(columns, name="a.parquet", **options):
        pq.write_table(pa.table(columns), tmp_path / name, **options)
        return tmp_path / name

    return write


def invalid_strings(*values: bytes) -> pa.Array:
    return pa.array(values, pa.binary()).view(pa.string())


def test_columns_pass_through_with_their_types(read, store):
    columns = {
        "text": pa.array(["a", "b"]),
        "nested": pa.array([{"x": [1, 2]}, None]),
        "time": pa.array([dt.datetime(2024, 5, 1), None], pa.timestamp("us", "UTC")),
        "price": pa.array([decimal.Decimal("1.50"), None]),
        "raw": pa.array([b"\xff", None]),
        "small": pa.array([1, None], pa.int8()),
    }
    table = read(store(columns))
    assert table.select(list(columns)).equals(pa.table(columns))


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.string()])
def test_texts_of_every_string_type_become_string(read, store, kind):
    table = read(store({"text": pa.array(["é", ""]).cast(kind)}))
    assert table["text"].combine_chunks().equals(pa.array(["é", ""]))


def test_a_dictionary_is_decoded_and_a_null_column_becomes_string(read, store):
    kind = pa.array(["x", "y", "x"]).dictionary_encode()
    table = read(store({"text": ["a", "b", "c"], "kind": kind, "none": pa.nulls(3)}))
    assert table["kind"].combine_chunks().equals(pa.array(["x", "y", "x"]))
    assert table["none"].combine_chunks().equals(pa.nulls(3, pa.string()))


def test_ids_become_strings(read, store):
    assert read(store({"text": ["a"], "id": [12]}))["id"].to_pylist() == ["12"]


def test_a_text_that_cannot_be_used_is_a_row_with_an_error(read, store):
    texts = invalid_strings(b"good", b"\xffbad", b"x" * 20)
    texts = pa.concat_arrays([texts, pa.nulls(1, pa.string())])
    path = store({"text": texts, "n": [0, 1, 2, 3]})
    table = read(path, max_document_chars=10)
    assert table["text"].to_pylist() == ["good", None, None, None]
    assert table["n"].to_pylist() == [0, 1, 2, 3]
    errors = [error and error["type"] for error in table["_error"].to_pylist()]
    assert errors == [None, "InvalidUnicode", "TooLarge", "NullText"]
    assert table["_error"][1]["message"].as_py().startswith(f"{path}, row 1: the text is not")
    assert json.loads(table["_extra"][1].as_py()) == {"text": "\udcffbad"}


def test_invalid_unicode_in_other_columns_is_kept_in_extra(read, store):
    nested = pa.StructArray.from_arrays([invalid_strings(b"a", b"b", b"\xff")], ["x"])
    table = read(
        store({"text": ["a", "b", "c"], "who": invalid_strings(b"y", b"\xe9", b"z"), "in": nested})
    )
    assert table["who"].to_pylist() == ["y", None, "z"]
    assert table["in"].to_pylist() == [{"x": "a"}, {"x": "b"}, None]
    assert json.loads(table["_extra"][1].as_py()) == {"who": "\udce9"}
    assert "not valid UTF-8" in json.loads(table["_extra"][2].as_py())["in"]
    table.validate(full=True)


def test_types_that_differ_between_files_widen_or_become_json_text(read, store, tmp_path):
    when = dt.datetime(2024, 5, 1)
    store({"text": ["a"], "n": pa.array([1], pa.int32()), "v": [[1, 2]], "t": [when]}, "1.parquet")
    store({"text": ["b"], "n": [2.5], "v": ["x"], "t": ["today"]}, "2.parquet")
    table = read(tmp_path)
    assert table["n"].to_pylist() == [1.0, 2.5]
    assert table["v"].to_pylist() == ["[1, 2]", "x"]
    assert table["t"].to_pylist() == ["2024-05-01 00:00:00.000000", "today"]


def test_with_a_fixed_schema_what_does_not_fit_goes_into_extra(store):
    first = open_corpus([str(store({"text": ["a"], "n": [1]}, "1.parquet"))])
    later = store({"text": ["b", "c"], "n": ["x", None], "new": [None, 2.0]}, "2.parquet")
    corpus = open_corpus([str(later)], schema=first.schema)
    (batch,) = corpus.read(corpus.sources[0])
    assert batch.schema.equals(first.record_schema)
    assert batch["n"].to_pylist() == [None, None]
    assert batch["_extra"].to_pylist() == ['{"n": "x"}', '{"new": 2.0}']


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"body": ["a"], "n": [1]}, r"no column 'text' but body, n; name the right one"),
        ({"text": [1]}, r"has int64 in the column 'text', not strings; convert"),
        ({"text": [b"a"]}, r"has binary in the column 'text', not strings"),
        ({"text": ["a"], "_error": ["b"]}, r"'_error', a name of bertpipe's own"),
        ({"text": pa.array([], pa.string())}, r"has no documents"),
    ],
)
def test_columns_that_cannot_be_used_stop_the_run(read, store, columns, message):
    with pytest.raises(CorpusError, match=message):
        read(store(columns))


def test_columns_of_an_earlier_output_are_replaced(read, store):
    own = {
        "_source": pa.array([{"path": "p", "row": 4}], SOURCE_TYPE),
        "_error": pa.nulls(1, ERROR_TYPE),
        "_extra": pa.nulls(1, pa.string()),
    }
    table = read(store({"text": ["a"], **own}))
    assert table.schema.names == ["_source", "text", "_extra", "_error"]
    assert table["_source"][0]["row"].as_py() == 0


def test_a_column_that_no_record_has_a_place_for_is_dropped_with_keep(read, store):
    path = store({"text": ["a"], "x": [1], "y": [2]})
    assert read(path, keep=["y"]).schema.names == ["_source", "text", "y", "_extra", "_error"]
    assert read(path, keep=["y"])["_extra"].null_count == 1


def test_skipped_rows_are_left_out_across_row_groups(store):
    path = store({"text": [str(n) for n in range(50)]}, row_group_size=7)
    corpus = open_corpus([str(path)])
    batches = list(corpus.read(corpus.sources[0], skip=[(3, 20), (21, 22), (40, 45)], stop=48))
    rows = [batch["_source"].field("row").to_pylist() for batch in batches]
    assert list(chain.from_iterable(rows)) == [0, 1, 2, 20, *range(22, 40), 45, 46, 47]
    assert all(group == list(range(group[0], group[-1] + 1)) for group in rows)
    texts = [text for batch in batches for text in batch["text"].to_pylist()]
    assert texts == [str(row) for row in chain.from_iterable(rows)]


def test_batches_of_large_rows_are_small(store):
    path = store({"text": ["x" * 100_000 + str(n) for n in range(200)]})
    corpus = open_corpus([str(path)])
    sizes = [batch.num_rows for batch in corpus.read(corpus.sources[0])]
    assert sum(sizes) == 200
    assert max(sizes) <= 4096


def test_a_damaged_file_is_named(store, write, read):
    path = store({"text": [f"{n} text" for n in np.arange(9_999)]}, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0xFF
    with pytest.raises(CorpusError, match=r"b.parquet cannot be read to its end.*replace"):
        read(write("b.parquet", bytes(content)))
    with pytest.raises(CorpusError, match=r"c.parquet cannot be read"):
        read(write("c.parquet", bytes(content[:500])))


def test_a_compressed_parquet_file_is_read(store, write, read):
    content = store({"text": ["a"]}).read_bytes()
    assert read(write("b.parquet.gz", gzip.compress(content)))["text"].to_pylist() == ["a"]
