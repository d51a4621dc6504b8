"""The CPU table: bertpipe against transformers' pipelines, equal results checked first."""

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from bertpipe import api
from bertpipe.encoder.resolve import resolve

MODELS = {"ner": "en_ner_mini", "sentiment": "en_sentiment_mini"}
BATCH_SIZES = (1, 8, 32)
SCORE_TOLERANCE = 1e-4


@dataclass
class Measurement:
    """Seconds of work of some repetitions, start-up apart."""

    name: str
    seconds: list[float] = field(default_factory=list)
    startup: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median of the seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        startup = statistics.median(self.startup)
        return f"{self.name}: {self.median:.1f} s ({low:.1f}-{high:.1f}), start-up {startup:.1f} s"


class Bench:
    """Measures on the first `n_texts` texts of a JSONL file, `repeats` times each."""

    def __init__(
        self, corpus: Path, n_texts: int, repeats: int, say: Callable[[str], None]
    ) -> None:
        with corpus.open(encoding="utf-8") as lines:
            self.texts = [json.loads(line)["text"] for line in islice(lines, n_texts)]
        self.repeats = repeats
        self.say = say
        self.folder = Path(tempfile.mkdtemp(prefix="bertpipe-bench-"))
        self.parquet = self.folder / "texts.parquet"
        pq.write_table(pa.table({"text": self.texts}), self.parquet)

    def ours(self, components: Sequence[str], precision: str) -> tuple[Measurement, list[Any]]:
        """Run bertpipe, Parquet in and Parquet out, with its default workers."""
        measured = Measurement(f"bertpipe {','.join(components)} {precision}")
        for i in range(self.repeats):
            output = self.folder / f"{'-'.join(components)}-{precision}-{i}"
            report = api.run(
                self.parquet, output=output, components=components, precision=precision
            )
            measured.seconds.append(report.seconds)
            measured.startup.append(report.startup_seconds)
        self.say(str(measured))
        table = ds.dataset(output, format="parquet").to_table()
        rows = sorted(table.to_pylist(), key=lambda row: row["_source"]["row"])
        return measured, rows

    def pipeline(self, component: str) -> tuple[Measurement, list[Any]]:
        """Run transformers' pipeline at each batch size; return the best."""
        runs = [self._pipeline(component, size) for size in BATCH_SIZES]
        return min(runs, key=lambda run: run[0].median)

    def _pipeline(self, component: str, batch_size: int) -> tuple[Measurement, list[Any]]:
        measured = Measurement(f"transformers pipeline {component} batch_size {batch_size}")
        job = self.folder / "job.json"
        model = str(resolve(MODELS[component]).path)
        wanted = {"component": component, "model": model, "texts": self.texts}
        job.write_text(json.dumps({**wanted, "batch_size": batch_size}))
        for _ in range(self.repeats):
            subprocess.run([sys.executable, "-m", "benchmarks.peers", str(job)], check=True)
            result = json.loads(job.with_suffix(".result.json").read_text())
            measured.seconds.append(result["seconds"])
            measured.startup.append(result["startup"])
        self.say(str(measured))
        return measured, result["results"]


def agreement(rows: Sequence[dict[str, Any]], ner: Sequence[Any], one_window: int = 1) -> str:
    """Compare entities on the texts of one window; longer ones differ on purpose."""
    n_texts = n_equal = 0
    worst = 0.0
    for row, theirs in zip(rows, ner, strict=True):
        if row["_n_windows"] > one_window:
            continue
        ours = [[e["start"], e["end"], e["label"], e["score"]] for e in row["ner"]]
        n_texts += 1
        if [e[:3] for e in ours] == [e[:3] for e in theirs]:
            n_equal += 1
            worst = max([worst, *(abs(a[3] - b[3]) for a, b in zip(ours, theirs, strict=True))])
    return (
        f"entities equal on {n_equal} of {n_texts} texts of one window, scores within {worst:.1e}"
    )


def run(corpus: Path, *, n_texts: int, repeats: int, say: Callable[[str], None]) -> list[str]:
    """Return the lines of the result table."""
    bench = Bench(corpus, n_texts, repeats, say)
    fp32, rows = bench.ours(["ner"], "fp32")
    auto, _ = bench.ours(["ner"], "auto")
    both, _ = bench.ours(["ner", "sentiment"], "auto")
    sentiment, _ = bench.ours(["sentiment"], "auto")
    ner_peer, found = bench.pipeline("ner")
    sentiment_peer, _ = bench.pipeline("sentiment")
    say(agreement(rows, found))
    two = ner_peer.median + sentiment_peer.median
    return [
        f"| ner fp32 / {ner_peer.name} | {ner_peer.median / fp32.median:.2f} |",
        f"| ner auto / {ner_peer.name} | {ner_peer.median / auto.median:.2f} |",
        f"| ner,sentiment auto / two pipelines | {two / both.median:.2f} |",
        f"| time of ner,sentiment over ner | {both.median / auto.median:.2f} |",
        f"| sentiment auto / {sentiment_peer.name} | "
        f"{sentiment_peer.median / sentiment.median:.2f} |",
    ]
