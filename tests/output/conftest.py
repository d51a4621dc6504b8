"""A small job to write: rows that are a function of their source and number."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.corpus.sources import Source
from bertpipe.output.files import BOOKKEEPING
from bertpipe.output.footer import Job, Stamp
from bertpipe.output.parquet import PartWriter, TemporaryPart
from bertpipe.output.schema import output_schema
from bertpipe.records import CLASSIFICATION_TYPE, NER_TYPE

INPUT = pa.schema([("id", pa.string()), ("text", pa.string())])
SCHEMA = output_schema(INPUT, {"ner": NER_TYPE, "sentiment": CLASSIFICATION_TYPE})
STAMP = Stamp(size=1_000, mtime_ns=1_700_000_000_000_000_000)


def make_source(name: str, *, size: int = STAMP.size) -> Source:
    return Source(name, f"/{name}", size, STAMP.mtime_ns, "jsonl")


def make_row(source: str, row: int) -> dict[str, object]:
    """Return a row; every seventh is in error, every fifth has no entity."""
    text = f"Anna lives in {source}, row {row}."
    error = {"stage": "read", "component": None, "type": "invalid_json", "message": "no"}
    entity = {"start": 0, "end": 4, "label": "PER", "score": 0.5, "text": "Anna"}
    scores = [{"label": "positive", "score": 0.75}]
    is_bad = row % 7 == 6
    return {
        "_source": {"path": source, "row": row},
        "id": f"{source}:{row}",
        "text": None if is_bad else text,
        "ner": None if is_bad else [entity] * (row % 5),
        "sentiment": None
        if is_bad
        else {"label": "positive", "score": 0.75, "labels": ["positive"], "scores": scores},
        "_n_tokens": None if is_bad else 8,
        "_n_windows": None if is_bad else 1,
        "_truncated": None if is_bad else False,
        "_extra": None,
        "_error": error if is_bad else None,
    }


def make_batch(slices: Sequence[Slice]) -> pa.RecordBatch:
    rows = [make_row(s.source, row) for s in slices for row in range(s.first_row, s.end_row)]
    return pa.RecordBatch.from_pylist(rows, schema=SCHEMA)


def make_job(**changes: object) -> Job:
    fingerprint = {"component ner": {"model": "a1b2", "aggregation": "simple"}, "precision": "fp32"}
    return Job({**fingerprint, **changes}, INPUT, 1_000, recorded={"versions": {"torch": "2.13"}})


def write_part(folder: Path, *slices: Slice, job: Job | None = None) -> TemporaryPart:
    """Write a temporary part of some chunks as a worker does."""
    metadata = (job or make_job()).metadata()
    (folder / BOOKKEEPING).mkdir(parents=True, exist_ok=True)
    writer = PartWriter(folder, SCHEMA, metadata, worker=0)
    stamps = {slice_.source: STAMP for slice_ in slices}
    for slice_ in slices:
        writer.write(make_batch([slice_]), [slice_], stamps)
    return writer.close()


@pytest.fixture
def schema() -> pa.Schema:
    return SCHEMA


@pytest.fixture
def job() -> Callable[..., Job]:
    return make_job


@pytest.fixture
def source() -> Callable[..., Source]:
    return make_source


@pytest.fixture
def batch() -> Callable[..., pa.RecordBatch]:
    return make_batch


@pytest.fixture
def part() -> Callable[..., TemporaryPart]:
    return write_part


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"
