"""What a user does with an output folder, with the libraries that they use."""

import duckdb
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow.dataset as ds
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.output.ledger import Ledger

SLICES = [Slice("a.jsonl", 0, 20), Slice("a.jsonl", 20, 30, True), Slice("b.jsonl", 0, 5, True)]
ROWS = [row for slice_ in SLICES for row in range(slice_.first_row, slice_.end_row)]
ENTITIES = sum(row % 5 for row in ROWS if row % 7 != 6)
ERRORS = sum(row % 7 == 6 for row in ROWS)


@pytest.fixture
def output(part, out, schema, job, source):
    """An output of three parts beside an open one, a damaged one and a staged one."""
    sources = [source("a.jsonl"), source("b.jsonl")]
    with Ledger.open(out, job(), schema, sources=sources) as ledger:
        for slice_ in SLICES:
            ledger.commit(part(out, slice_))
        ledger.finish({"rows": 35})
        part(out, Slice("a.jsonl", 0, 1))
    for folder in ("next", "damaged"):
        (out / "_bertpipe" / folder).mkdir()
        (out / "_bertpipe" / folder / "a-0000000000-0123456789ab.staged").write_bytes(b"PAR1")
    return out


def test_duckdb_counts_rows_sources_and_entities(output):
    query = f"""
        select count(*), count(distinct _source), count(_error), sum(len(ner))
        from '{output}/*.parquet'"""
    assert duckdb.execute(query).fetchall() == [(35, 35, ERRORS, ENTITIES)]


def test_duckdb_reads_entities_as_rows(output):
    query = f"""
        select e.label, count(*) from
        (select unnest(ner) as e from '{output}/*.parquet') group by all"""
    assert duckdb.execute(query).fetchall() == [("PER", ENTITIES)]


def test_polars_scans_the_glob(output):
    table = pl.scan_parquet(f"{output}/*.parquet").collect()
    assert table.height == 35
    assert table["_source"].n_unique() == 35
    assert table["ner"].list.len().sum() == ENTITIES
    assert table["sentiment"].struct.field("label").drop_nulls().unique().to_list() == ["positive"]


def test_a_pyarrow_dataset_reads_the_folder(output, schema):
    dataset = ds.dataset(output, format="parquet")
    assert dataset.schema.remove_metadata().equals(schema)
    assert dataset.count_rows() == 35
    assert dataset.count_rows(filter=ds.field("_source", "row") < 5) == 10


def test_pandas_reads_the_folder(output):
    frame = pd.read_parquet(output)
    assert len(frame) == 35
    assert frame["_error"].notna().sum() == ERRORS
    assert frame["ner"].dropna().map(len).sum() == ENTITIES


def test_parts_are_read_in_corpus_order(output):
    rows = ds.dataset(output, format="parquet").to_table(columns=["_source"])["_source"]
    keys = [(each["path"], each["row"]) for each in rows.to_pylist()]
    assert keys == sorted(keys)
