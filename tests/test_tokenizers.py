"""A worker with tokenising processes in front of it writes what one without them writes."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pyarrow.dataset as ds
import pytest

from bertpipe import api
from bertpipe.config import Component, RunConfig
from bertpipe.output.verify import verify
from bertpipe.pool import MAX_TOKENIZERS, n_at_once, n_tokenizers
from bertpipe.testing import tiny_model

HERE = Path(__file__).parent
MODULE = "bertpipe.batching.tokenizing"
N_ROWS = 400


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A corpus of about 20 chunks with some bad records, and two components for it."""
    folder = tmp_path_factory.mktemp("job")
    lines = [
        json.dumps({"text": f"Ann saw {i} birds in Paris. " * (1 + i % 40)}) for i in range(N_ROWS)
    ]
    lines[9], lines[77], lines[300] = "{ cut off", json.dumps({"text": None}), lines[10]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    components = {
        "components.ner.model": str(tiny_model(folder / "ner", task="ner")),
        "components.sentiment.model": str(tiny_model(folder / "class", task="classifier")),
        "components.ner.stride": 8,
        "components.sentiment.stride": 0,
    }
    return folder / "corpus.jsonl", components


def run(job, output, **overrides):
    corpus, components = job
    return api.run(
        corpus,
        output=output,
        components=["ner", "sentiment"],
        workers=1,
        precision="fp32",
        overrides={**components, **{f"run.{name}": value for name, value in overrides.items()}},
    )


def rows(output):
    found = ds.dataset(output, format="parquet").to_table().to_pylist()
    return sorted(found, key=lambda row: row["_source"]["row"])


@pytest.fixture(scope="module")
def wanted(job, tmp_path_factory):
    output = tmp_path_factory.mktemp("without")
    run(job, output)
    return rows(output)


def test_the_rows_are_equal_with_and_without(job, wanted, tmp_path):
    report = run(job, tmp_path / "out", tokenizers=2)
    assert rows(tmp_path / "out") == wanted
    assert report.n_rows == N_ROWS
    assert report.n_errors == 2
    assert verify(tmp_path / "out", [str(job[0])]).findings == ()
    assert sum(each["tokens"] for each in report.passes) == report.counts["tokens"] > 0


def tokenisers(process=None):
    """Return the tokenising processes that a process has started, or its workers have."""
    children = psutil.Process(process and process.pid).children(recursive=True)
    found = []
    for child in children:
        try:
            if MODULE in child.cmdline():
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def test_the_rows_are_equal_when_tokenising_processes_are_killed_again_and_again(
    job, wanted, tmp_path
):
    n_killed = 0
    is_over = threading.Event()

    def kill() -> None:
        nonlocal n_killed
        while not is_over.wait(0.05):
            for each in tokenisers():
                each.kill()
                n_killed += 1

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        run(job, tmp_path / "out", tokenizers=2)
    finally:
        is_over.set()
        thread.join()
    assert n_killed > 1
    assert rows(tmp_path / "out") == wanted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_leaves_no_process_running_and_loses_nothing(number, job, wanted, tmp_path):
    corpus, components = job
    output = tmp_path / "out"
    command = [sys.executable, "-m", "bertpipe", "run", str(corpus), "-o", str(output), "--quiet"]
    command += ["--components", "ner,sentiment", "--workers", "1", "--run.tokenizers", "2"]
    command += ["--commit-every", "0", "--precision", "fp32"]
    command += [f"--{name}={value}" for name, value in components.items()]
    with (tmp_path / "errors").open("w") as errors:
        process = subprocess.Popen(
            command,
            stderr=errors,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
    while not list(output.glob("*.parquet")):
        assert process.poll() is None, (tmp_path / "errors").read_text()
        time.sleep(0.01)
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    code = process.wait(timeout=60)
    assert code == (-9 if number == signal.SIGKILL else 128 + number)
    _, alive = psutil.wait_procs(family, timeout=20)
    assert not alive
    assert "Traceback" not in (tmp_path / "errors").read_text()
    assert len(family) == 3
    if number == signal.SIGKILL:
        run(job, output, tokenizers=1)
        assert rows(output) == wanted


DEADLY = """
import os

from bertpipe.annotators import create, plugins


class Deadly:
    def __init__(self, name, *, encoder):
        import pyarrow as pa

        self.name, self.reads, self.type = name, ("text",), pa.int32()

    def annotate(self, batch):
        import pyarrow as pa

        if "deadly" in batch["text"].to_pylist():
            os.abort()
        return pa.array([1] * len(batch), self.type)

    def set_annotations(self, doc, annotation):
        pass


vars(create)["BUILT_IN"] = {**plugins.BUILT_IN, "deadly": f"{__name__}:Deadly"}
"""


def test_a_document_that_kills_the_worker_is_the_only_one_in_error(tmp_path):
    (tmp_path / "deadly.py").write_text(DEADLY)
    lines = [json.dumps({"text": "x" * 900}) for _ in range(200)]
    lines[57] = json.dumps({"text": "deadly"})
    (tmp_path / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    report = api.run(
        tmp_path / "corpus.jsonl",
        output=tmp_path / "out",
        components=["deadly"],
        overrides={"run.code": str(tmp_path / "deadly.py"), "run.tokenizers": 1},
        workers=1,
    )
    assert (report.n_rows, report.n_errors) == (200, 1)
    assert [row["_source"]["row"] for row in rows(tmp_path / "out") if row["_error"]] == [57]


def config(**settings):
    return RunConfig((Component("ner", "bert_ner"),), **settings)


def test_only_a_gpu_has_tokenising_processes_unless_they_are_asked_for(monkeypatch):
    monkeypatch.setattr("bertpipe.pool.n_cpus", lambda: 64)
    assert n_tokenizers(config(), ["cpu"] * 8) == 0
    assert n_tokenizers(config(), [f"cuda:{i}" for i in range(8)]) == 5
    assert n_tokenizers(config(), ["cuda:0"]) == MAX_TOKENIZERS
    assert n_tokenizers(config(workers=0), ["cuda:0"]) == 0
    assert n_tokenizers(config(tokenizers=3), ["cpu"]) == 3
    assert n_tokenizers(config(tokenizers=0), ["cuda:0"]) == 0


def test_only_a_worker_with_tokenising_processes_has_several_chunks_at_work():
    assert n_at_once(config(), ["cpu"]) == 1
    assert n_at_once(config(tokenizers=2), ["cpu"]) == 3
    assert n_at_once(config(tokenizers=2, document_timeout=1.0), ["cpu"]) == 1
