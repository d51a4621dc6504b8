"""The corpus of the demo: what the README and the demo say of it."""

from pathlib import Path

import pyarrow as pa
import pytest

from bertpipe.corpus import open_corpus

SAMPLES = Path(__file__).parents[1] / "samples"


@pytest.fixture(scope="module")
def records() -> list[dict]:
    corpus = open_corpus([str(SAMPLES)])
    batches = (batch for source in corpus.sources for batch in corpus.read(source))
    return pa.Table.from_batches(batches, corpus.record_schema).to_pylist()


def test_there_are_sixty_documents_in_three_formats(records):
    assert len(records) == 60
    assert {Path(record["_source"]["path"]).suffix for record in records} == {
        ".csv",
        ".jsonl",
        ".txt",
    }


def test_three_records_are_broken(records):
    broken = {
        (Path(record["_source"]["path"]).name, record["_error"]["type"])
        for record in records
        if record["_error"]
    }
    assert {name for name, _ in broken} == {"attic-1987.txt", "news.jsonl"}
    assert len(broken) == 3, broken


def test_every_id_stands_once(records):
    ids = [record["id"] for record in records if record["id"]]
    assert len(ids) == len(set(ids))


def test_one_document_is_longer_than_a_window(records):
    assert max(len((record["text"] or "").split()) for record in records) > 512


def test_one_document_is_blank_and_no_error(records):
    blank = [record for record in records if record["text"] is not None and not record["text"]]
    assert blank
    assert not any(record["_error"] for record in blank)
