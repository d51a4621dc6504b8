"""The GPU table. On a CPU it runs the same way, to try it out; the figures mean nothing there."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import transformers

from benchmarks.measure import line, ratio
from bertpipe import api
from bertpipe.encoder.resolve import resolve

PIPELINE_SIZES = (1, 8, 32, 64, 128)
MATRIX = {"cuda": 8192, "cpu": 1024}


def run(corpus: Path, *, model: str, n_texts: int, device: str, repeats: int) -> list[str]:
    """Return the lines of the result table."""
    with corpus.open(encoding="utf-8") as lines:
        texts = [json.loads(each)["text"] for each in islice(lines, n_texts)]
    folder = Path(tempfile.mkdtemp(prefix="bertpipe-bench-"))
    pq.write_table(pa.table({"text": texts}), folder / "texts.parquet")
    path = resolve(model).path
    peak = matrix_peak(device)
    reports = [
        api.run(
            folder / "texts.parquet",
            output=folder / "output",
            components=["ner"],
            overrides={"components.ner.model": str(path)},
            device=device,
            precision="bf16",
            overwrite=True,
        )
        for _ in range(repeats)
    ]
    ours = [report.seconds / len(texts) for report in reports]
    some = texts[: max(1, len(texts) // 20)]
    size = min(PIPELINE_SIZES, key=lambda each: pipeline_seconds(path, some, device, each))
    peer = [pipeline_seconds(path, some, device, size) / len(some) for _ in range(repeats)]
    flops = flops_per_token(path)
    shares = [report.tokens_per_second * flops / peak for report in reports]
    idle = [report.device_idle for report in reports]
    return [
        line("matrix peak in bf16", "", f"{peak / 1e12:.2f} TFLOP/s"),
        line(
            "whole run",
            "",
            f"{statistics.median(r.tokens_per_second for r in reports):,.0f} tokens/s",
        ),
        _share("share of the peak, real tokens only, without attention", "45 %", shares),
        ratio(f"against transformers.pipeline, batch_size {size}", "8", peer, ours),
        _share("device busy", "90 %", [1 - each for each in idle]),
    ]


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


def pipeline_seconds(path: Path, texts: list[str], device: str, size: int) -> float:
    """Return the seconds of transformers' pipeline in bf16, start-up apart."""
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
    for _ in pipe(iter(texts), batch_size=size):
        pass
    return time.perf_counter() - start
