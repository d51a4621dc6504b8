"""Outputs made by hand, through the same writer as those of a run."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bertpipe.corpus.chunks import Slice
from bertpipe.output.footer import Job, Stamp
from bertpipe.output.parquet import PartWriter
from bertpipe.output.schema import output_schema
from bertpipe.records import CLASSIFICATION_TYPE, NER_TYPE, QA_TYPE

INPUT = pa.schema([("id", pa.string()), ("text", pa.string()), ("stars", pa.int64())])
TYPES = {"ner": NER_TYPE, "mood": CLASSIFICATION_TYPE, "qa": QA_TYPE}
SCHEMA = output_schema(INPUT, TYPES)
FINGERPRINT = {"component qa": {"questions": {"who": "Who is it?", "when": "When was it?"}}}
SOURCE = "letters/a.jsonl"
Row = dict[str, Any]


def span(text: str, part: str, label: str = "PER", score: float = 0.9) -> Row:
    """Return the first place of a part as an entity."""
    start = text.index(part)
    return {"start": start, "end": start + len(part), "label": label, "score": score, "text": part}


def classes(**scores: float) -> Row:
    """Return classes of which those over one half are chosen."""
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return {
        "label": ordered[0][0],
        "score": ordered[0][1],
        "labels": [label for label, score in ordered if score > 0.5],
        "scores": [{"label": label, "score": score} for label, score in ordered],
    }


def write_output(folder: Path, rows: list[Row], *, schema: pa.Schema = SCHEMA) -> Path:
    """Write rows as an output of one part; what a row does not say is null."""
    n = len(rows)
    whole = [{**row, "_source": {"path": SOURCE, "row": i}} for i, row in enumerate(rows)]
    (folder / "_bertpipe").mkdir(parents=True, exist_ok=True)
    writer = PartWriter(folder, schema, Job(FINGERPRINT, INPUT, 1_000).metadata(), worker=0)
    chunk = Slice(SOURCE, 0, n, True)
    writer.write(pa.RecordBatch.from_pylist(whole, schema), [chunk], {SOURCE: Stamp(1, 1)})
    part = writer.close()
    Path(part.path).rename(folder / part.name)
    return folder


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    """Return a socket that waits for requests on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        yield server


@pytest.fixture
def make_output(tmp_path: Path) -> Callable[[list[Row]], Path]:
    """Return a function that writes rows to `letters.annotated`."""
    folder = tmp_path / "letters.annotated"
    folder.mkdir()
    return lambda rows: write_output(folder, rows)
