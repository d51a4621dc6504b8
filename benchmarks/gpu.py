"""The GPU table. On a CPU it runs the same way, to try it out; the figures mean nothing there."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import torch
import transformers

from benchmarks.measure import line, ratio
from bertpipe import api
from bertpipe.encoder.resolve import resolve
from bertpipe.report import Report

PIPELINE_SIZES = (1, 8, 32, 64, 128)
Entity = tuple[int, int, str]
MATRIX = {"cuda": 8192, "cpu": 1024}


def run(corpus: Path, *, model: str, n_texts: int, device: str, repeats: int) -> list[str]:
    """Return the lines of the result table."""
    with corpus.open(encoding="utf-8") as lines:
        texts = [json.loads(each)["text"] for each in islice(lines, n_texts)]
    path = resolve(model).path
    peak = matrix_peak(device)
    with TemporaryDirectory(prefix="bertpipe-bench-") as folder:
        reports = [_ours(texts, path, Path(folder), device) for _ in range(repeats)]
        rows = _rows(Path(folder))
    some = texts[: max(1, len(texts) // 20)]
    size = min(PIPELINE_SIZES, key=lambda each: pipeline_run(path, some, device, each)[0])
    runs = [pipeline_run(path, some, device, size) for _ in range(repeats)]
    peer = [seconds / len(some) for seconds, _ in runs]
    ours = [report.seconds / len(texts) for report in reports]
    rates = [report.tokens_per_second for report in reports]
    flops = flops_per_token(path)
    return [
        line("matrix peak in bf16", "", f"{peak / 1e12:.2f} TFLOP/s"),
        _agreement(rows, runs[0][1]),
        line("whole run", "", f"{statistics.median(rates):,.0f} tokens/s"),
        _share(
            "share of the peak, real tokens only, without attention",
            "45 %",
            [rate * flops / peak for rate in rates],
        ),
        ratio(f"against transformers.pipeline, batch_size {size}", "8", peer, ours),
        _share("device busy", "90 %", [1 - report.device_idle for report in reports]),
    ]


def _ours(texts: list[str], model: Path, folder: Path, device: str) -> Report:
    corpus = folder / "texts.parquet"
    pq.write_table(pa.table({"text": texts}), corpus)
    return api.run(
        corpus,
        output=folder / "output",
        components=["ner"],
        overrides={"components.ner.model": str(model)},
        device=device,
        precision="bf16",
        overwrite=True,
    )


def _rows(folder: Path) -> list[dict[str, Any]]:
    parts = sorted(map(str, (folder / "output").glob("*.parquet")))
    rows = ds.dataset(parts).to_table(columns=["_source", "_n_windows", "ner"]).to_pylist()
    return sorted(rows, key=lambda row: row["_source"]["row"])


def _agreement(rows: list[dict[str, Any]], peer: list[list[Entity]]) -> str:
    """Compare the entities of texts of one window, both in bf16; longer ones differ on purpose."""
    pairs = [(row, found) for row, found in zip(rows, peer, strict=False) if row["_n_windows"] == 1]
    n_equal = sum(
        [(each["start"], each["end"], each["label"]) for each in row["ner"]] == found
        for row, found in pairs
    )
    return line("texts of one window with equal entities", "", f"{n_equal:,} of {len(pairs):,}")


def _share(what: str, wanted: str, found: list[float]) -> str:
    spread = f"{min(found):.1%} to {max(found):.1%}"
    return line(what, wanted, f"{statistics.median(found):.1%}", spread)


def matrix_peak(device: str) -> float:
    """Return the FLOP/s of a large product in bf16."""
    size = MATRIX[device.partition(":")[0]]
    one = torch.randn(size, size, device=device, dtype=torch.bfloat16)
    seconds = min(_timed(lambda: one @ one, device) for _ in range(10))
    return 2 * size**3 / seconds


def _timed(call: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    call()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def flops_per_token(path: Path) -> float:
    """Return the FLOPs of products with weights: two for each weight of the layers."""
    config = transformers.AutoConfig.from_pretrained(path)
    width, inner = config.hidden_size, config.intermediate_size
    return 2.0 * config.num_hidden_layers * (4 * width**2 + 2 * width * inner)


def pipeline_run(
    path: Path, texts: list[str], device: str, size: int
) -> tuple[float, list[list[Entity]]]:
    """Return the seconds of transformers' pipeline in bf16, start-up apart, and what it finds."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(path, model_max_length=512)
    pipe: Any = transformers.pipeline(
        "token-classification",
        model=str(path),
        tokenizer=tokenizer,
        aggregation_strategy="first",
        stride=64,
        device=device,
        dtype="bfloat16",
    )
    start = time.perf_counter()
    found = list(pipe((text for text in texts), batch_size=size))
    seconds = time.perf_counter() - start
    return seconds, [
        [(each["start"], each["end"], each["entity_group"]) for each in entities]
        for entities in found
    ]
