import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.errors import ConfigError
from bertpipe.output.footer import Stamp
from bertpipe.output.parquet import PartWriter
from bertpipe.output.schema import as_stored, leaf_columns, output_schema
from bertpipe.records import (
    CLASSIFICATION_TYPE,
    FORMAT_VERSION,
    NER_TYPE,
    OWN_COLUMNS,
    QA_TYPE,
    SOURCE_TYPE,
    list_of,
)

GOLDEN = Path(__file__).with_name("golden_schema.json")
ANNOTATIONS = {"ner": NER_TYPE, "sentiment": CLASSIFICATION_TYPE, "qa": QA_TYPE}
INPUT = pa.schema([("id", pa.string()), ("text", pa.string()), ("stars", pa.int64())])


def test_no_column_and_no_type_changes_unseen(out, job):
    schema = output_schema(INPUT, ANNOTATIONS)
    (out / "_bertpipe").mkdir(parents=True)
    writer = PartWriter(out, schema, job().metadata(), worker=0)
    row = {"_source": {"path": "a.jsonl", "row": 0}}
    batch = pa.RecordBatch.from_pylist([row], schema=schema)
    writer.write(batch, [Slice("a.jsonl", 0, 1)], {"a.jsonl": Stamp(1, 1)})
    stored = pq.ParquetFile(writer.close().path).schema
    leaves = [stored.column(i) for i in range(len(stored))]
    found = {
        "format_version": FORMAT_VERSION,
        "columns": [[each.path, each.physical_type, str(each.logical_type)] for each in leaves],
    }
    assert found == json.loads(GOLDEN.read_text()), "a new format needs a new FORMAT_VERSION"


def test_columns_stand_in_the_documented_order():
    names = output_schema(INPUT, ANNOTATIONS).names
    assert names == [
        *("_source", "id", "text", "stars", "ner", "sentiment", "qa"),
        *("_n_tokens", "_n_windows", "_truncated", "_extra", "_error"),
    ]


def test_an_input_column_with_the_name_of_a_component_is_refused():
    with pytest.raises(ConfigError, match=r"'stars'.*--keep.*--components NEW=stars"):
        output_schema(INPUT, {"stars": NER_TYPE})


@pytest.mark.parametrize("name", sorted(OWN_COLUMNS))
def test_an_input_column_with_a_name_of_ours_is_refused(name):
    with pytest.raises(ConfigError, match=rf"'{name}'.*binary.*--keep"):
        output_schema(pa.schema([("text", pa.string()), (name, pa.binary())]), ANNOTATIONS)


def test_a_component_with_a_name_of_ours_is_refused():
    with pytest.raises(ConfigError, match=r"'_error'.*--components NEW=_error"):
        output_schema(INPUT, {"_error": NER_TYPE})


def test_our_columns_of_an_earlier_output_are_replaced():
    earlier = output_schema(INPUT, {"old": NER_TYPE})
    schema = output_schema(earlier, {"ner": NER_TYPE})
    assert schema.names.count("_source") == 1
    assert schema.field("_source").type == SOURCE_TYPE
    assert "old" in schema.names


def test_columns_of_ours_may_be_null_whatever_the_input_says():
    schema = output_schema(pa.schema([pa.field("text", pa.string(), nullable=False)]), {})
    assert schema.field("text").nullable


def test_a_schema_as_stored_is_what_a_file_gives_back(tmp_path):
    schema = pa.schema(
        [("tags", pa.list_(pa.string())), ("seen", pa.timestamp("s")), ("a.b", pa.uint16())]
    )
    pq.write_table(schema.empty_table(), tmp_path / "x.parquet")
    stored = pq.read_schema(tmp_path / "x.parquet")
    assert as_stored(schema).equals(stored)
    assert not as_stored(schema).equals(schema)


def test_leaf_columns_are_dotted_paths():
    schema = pa.schema([("labels", list_of(pa.string())), ("n", pa.int32())])
    assert leaf_columns(schema) == ("labels.list.element", "n")
