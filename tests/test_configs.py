"""Every example in configs/run is run."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import bertpipe
from bertpipe.config import load_config

CONFIGS = sorted((Path(__file__).parents[1] / "configs" / "run").glob("*.cfg"))
RECORDS = [
    {"text": "Ada Lovelace met Charles Babbage in London in 1833.", "question": "Who met Babbage?"},
    {"text": "", "question": "Is there anything?"},
]
# Of the first pass: a classifier's last layer is for one token alone, so it is not the others'.
SHARED = {
    "everything": {
        "layers": {"ner": 6, "sentiment": 6, "embeddings": 6},
        "shared": {"ner": 0, "sentiment": 5, "embeddings": 6},
    },
    "ner_sentiment": {
        "layers": {"ner": 6, "sentiment": 6},
        "shared": {"ner": 0, "sentiment": 5},
    },
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_an_example_config_annotates_every_record(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    Path("corpus.jsonl").write_text("\n".join(map(json.dumps, RECORDS)), encoding="utf-8")
    report = bertpipe.run("corpus.jsonl", output="out", config=path, workers=0)
    rows = [row for part in Path("out").glob("*.parquet") for row in read(part)]
    assert [row["_error"] for row in rows] == [None, None]
    assert {component.name for component in load_config(path).components} <= rows[0].keys()
    assert report.passes[0].items() >= SHARED.get(path.stem, {}).items()
    assert sum(each["tokens"] for each in report.passes) == report.counts["tokens"]


def read(part: Path) -> list[dict]:
    return pq.ParquetFile(part).read().to_pylist()


def test_there_are_examples():
    assert CONFIGS
