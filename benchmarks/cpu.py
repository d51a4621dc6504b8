"""The CPU table: bertpipe against its peers, equal results checked first."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from benchmarks import bare, scale
from benchmarks.agreement import entities, labels
from benchmarks.measure import Measurement, line, ratio, repeat
from bertpipe import api
from bertpipe.encoder.resolve import resolve

MODELS = {"ner": "en_ner_mini", "sentiment": "en_sentiment_mini"}
AS_PEERS = {"components.ner.aggregation": "first"}  # of transformers' strategies
BATCH_SIZES = (1, 8, 32)
ROWS = ("pipelines", "forward", "openvino", "padding", "spacy", "scale")
Runs = tuple[Measurement, list[Any]]


class Bench:
    """Measures on the first `n_texts` texts of a JSONL file, `repeats` times each, in a folder."""

    def __init__(
        self, corpus: Path, folder: Path, n_texts: int, repeats: int, say: Callable[[str], None]
    ) -> None:
        with corpus.open(encoding="utf-8") as lines:
            self.texts = [json.loads(line)["text"] for line in islice(lines, n_texts)]
        self.repeats = repeats
        self.say = say
        self.folder = folder
        self.parquet = self._write("texts", self.texts)
        self._known: dict[str, Runs] = {}

    def _write(self, name: str, texts: Sequence[str]) -> Path:
        path = self.folder / f"{name}.parquet"
        pq.write_table(pa.table({"text": texts}), path)
        return path

    def ours(self, components: str, precision: str) -> Runs:
        """Run bertpipe, Parquet in and Parquet out, with its default workers."""
        name = f"bertpipe {components} {precision}"
        if name not in self._known:
            output = self.folder / name.replace(" ", "-")

            def once() -> tuple[float, float]:
                report = api.run(
                    self.parquet,
                    output=output,
                    components=components.split(","),
                    overrides=AS_PEERS if "ner" in components else {},
                    precision=precision,
                    overwrite=True,
                )
                return report.seconds, report.startup_seconds

            measured = self.said(repeat(name, self.repeats, once))
            table = ds.dataset(sorted(map(str, output.glob("*.parquet")))).to_table()
            rows = sorted(table.to_pylist(), key=lambda row: row["_source"]["row"])
            self._known[name] = measured, rows
        return self._known[name]

    def peer(self, kind: str, component: str, *, python: str, repeats: int, **job: Any) -> Runs:
        """Run a peer in a process of its own."""
        results: list[Any] = []

        def once() -> tuple[float, float]:
            found = self._peer(python, {"kind": kind, "component": component, **job})
            results[:] = found["results"]
            return found["seconds"], found["startup"]

        size = f" batch_size {job['batch_size']}" if "batch_size" in job else ""
        return self.said(repeat(f"{kind} {component}{size}", repeats, once)), results

    def _peer(self, python: str, wanted: dict[str, Any]) -> dict[str, Any]:
        job = self.folder / "job.json"
        model = str(resolve(MODELS[wanted["component"]]).path)
        job.write_text(json.dumps({"model": model, "texts": self.texts, **wanted}))
        script = str(Path(__file__).with_name("peers.py"))
        subprocess.run([python, script, str(job)], check=True)
        return json.loads(job.with_suffix(".result.json").read_text())

    def best_peer(self, kind: str, component: str, *, python: str = sys.executable) -> Runs:
        """Run a peer at each batch size on a third of the texts; then the best on all of them."""
        some = self.texts[: max(1, len(self.texts) // 3)]

        def seconds(size: int) -> float:
            tried: dict[str, Any] = {
                "python": python,
                "repeats": 1,
                "texts": some,
                "batch_size": size,
            }
            return self.peer(kind, component, **tried)[0].median

        size = min(BATCH_SIZES, key=seconds)
        return self.peer(kind, component, python=python, repeats=self.repeats, batch_size=size)

    @cached_property
    def pipelines(self) -> dict[str, Runs]:
        """Return the runs of transformers' pipeline of each component."""
        return {component: self.best_peer("pipeline", component) for component in MODELS}

    def bare(self, precision: str) -> Measurement:
        """Run the encoder of ner alone on the batches of a run."""
        job = {
            "model": str(resolve(MODELS["ner"]).path),
            "encoder": {"device": "cpu", "precision": precision},
        }

        def once() -> tuple[float, float]:
            return bare.measure(self.folder / "bare.json", self.parquet, **job)[0], 0.0

        return self.said(repeat(f"bare forward pass {precision}", self.repeats, once))

    def said(self, measured: Measurement) -> Measurement:
        """Say a measurement and return it."""
        self.say(str(measured))
        return measured


def pipelines(bench: Bench) -> Iterator[str]:
    """Compare with transformers' pipelines, once the results are seen to be equal."""
    fp32, rows = bench.ours("ner", "fp32")
    ner, found = bench.pipelines["ner"]
    bench.say(entities(rows, found))
    sentiment, classes = bench.pipelines["sentiment"]
    bench.say(labels(bench.ours("sentiment", "fp32")[1], classes))
    auto, _ = bench.ours("ner", "auto")
    both, _ = bench.ours("ner,sentiment", "auto")
    two = [a + b for a, b in zip(ner.seconds, sentiment.seconds, strict=True)]
    yield ratio("ner fp32, against transformers.pipeline", "2.3", ner.seconds, fp32.seconds)
    yield ratio("ner auto, against transformers.pipeline fp32", "4", ner.seconds, auto.seconds)
    yield ratio("ner,sentiment auto, against two such pipelines", "5.5", two, both.seconds)
    yield ratio("time of ner,sentiment over that of ner", "under 1.5", both.seconds, auto.seconds)


def forward(bench: Bench) -> Iterator[str]:
    """Compare the whole run with the bare forward pass on the batches that it plans."""
    for precision in ("fp32", "auto"):
        what = f"speed of the whole run over the bare forward pass, {precision}"
        whole = bench.ours("ner", precision)[0]
        yield ratio(what, "0.95", bench.bare(precision).seconds, whole.seconds)


def openvino(bench: Bench) -> Iterator[str]:
    """Compare with OpenVINO, our extra, on the same batches: one thread a core both."""
    theirs, ours = bench.bare("bf16-openvino"), bench.bare("bf16")
    what = "speed of the bare forward pass over OpenVINO's, bf16"
    yield ratio(what, "0.9", theirs.seconds, ours.seconds)
    int8, _ = bench.ours("ner", "int8")
    pipeline = bench.pipelines["ner"][0]
    yield ratio("ner int8, against transformers.pipeline fp32", "6", pipeline.seconds, int8.seconds)


def padding(bench: Bench) -> Iterator[str]:
    """Measure the padded share on pieces of the texts of very different length."""
    random.seed(0)
    words = (text.split() for text in bench.texts)
    pieces = [" ".join(each[: random.randint(1, 400)]) for each in words]
    corpus = bench._write("mixed", pieces)
    report = api.run(corpus, output=bench.folder / "mixed", components=["ner"])
    yield line(
        "padded share of computed tokens, mixed lengths", "under 3 %", f"{report.padding:.2%}"
    )


def spacy(bench: Bench, python: str) -> Iterator[str]:
    """Compare with spacy-huggingface-pipelines, which needs transformers 4."""
    auto, _ = bench.ours("ner", "auto")
    piped, _ = bench.best_peer("nlp.pipe", "ner", python=python)
    applied, _ = bench.peer("spacy-apply", "ner", python=python, repeats=bench.repeats)
    what = "ner auto, against spacy-huggingface-pipelines in "
    yield ratio(f"{what}nlp.pipe", "5", piped.seconds, auto.seconds)
    yield ratio(f"{what}spacy apply", "5", applied.seconds, auto.seconds)


def run(
    corpus: Path,
    *,
    rows: Sequence[str],
    n_texts: int,
    repeats: int,
    peer_python: str | None,
    factor: float,
    say: Callable[[str], None],
) -> list[str]:
    """Return the lines of the result table."""
    with TemporaryDirectory(prefix="bertpipe-bench-") as folder:
        bench = Bench(corpus, Path(folder), n_texts, repeats, say)
        return _lines(bench, rows, peer_python=peer_python, factor=factor)


def _lines(
    bench: Bench, rows: Sequence[str], *, peer_python: str | None, factor: float
) -> list[str]:
    makers: dict[str, Callable[[], Iterator[str] | list[str]]] = {
        "pipelines": lambda: pipelines(bench),
        "forward": lambda: forward(bench),
        "openvino": lambda: openvino(bench),
        "padding": lambda: padding(bench),
        "spacy": lambda: spacy(bench, peer_python) if peer_python else iter(()),
        "scale": lambda: scale.run(bench.folder, bench.repeats, factor),
    }
    if "openvino" in rows and find_spec("openvino") is None:
        bench.say("OpenVINO not measured: pip install 'bertpipe[openvino]'")
        rows = [name for name in rows if name != "openvino"]
    if "spacy" in rows and not peer_python:
        bench.say("spacy-huggingface-pipelines not measured: --peer-python was not given")
    return [each for name in ROWS if name in rows for each in makers[name]()]
