"""How memory and CPU time grow with a corpus: many short documents through a tiny model."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from benchmarks.measure import line
from bertpipe.testing import tiny_model

SIZES = (100, 10_000, 100_000)  # the first is start-up


def run(folder: Path, repeats: int, factor: float = 1.0) -> list[str]:
    """Return the lines for peak memory, and for CPU seconds a document, of SIZES times `factor`."""
    model = tiny_model(folder / "tiny", task="ner", max_length=256)
    _, small, large = sizes = [max(1, int(size * factor)) for size in SIZES]
    found = {n: [_run(folder, model, n) for _ in range(repeats)] for n in sizes}
    memory = {n: [each[0] for each in runs] for n, runs in found.items()}
    startup = min(seconds for _, seconds in found[sizes[0]])
    cpu = {n: [(seconds - startup) / n for _, seconds in found[n]] for n in (small, large)}
    title = f"{large:,} short documents over {small:,}, tiny model: "
    return [
        _growth(f"{title}peak memory", memory[large], memory[small]),
        _growth(f"{title}CPU seconds a document", cpu[large], cpu[small]),
    ]


def _growth(what: str, large: list[float], small: list[float]) -> str:
    low, high = min(large) / max(small), max(large) / min(small)
    middle = sorted(large)[len(large) // 2] / sorted(small)[len(small) // 2]
    return line(what, "under 1.1", f"{middle:.2f}", f"{low:.2f} to {high:.2f}")


def _run(folder: Path, model: Path, n: int) -> tuple[float, float]:
    """Return the largest process's bytes and the CPU seconds of all processes of a run."""
    corpus, output = folder / f"short-{n}.jsonl", folder / f"short-{n}"
    if not corpus.exists():
        with corpus.open("w", encoding="utf-8") as lines:
            for i in range(n):
                text = f"Anna met {i} people in Bad Ems, {i % 97} days ago."
                lines.write(json.dumps({"text": text}) + "\n")
    command = [
        sys.executable, "-m", "bertpipe", "run", str(corpus), "-o", str(output), "--overwrite",
        "--components", "ner", "--components.ner.model", str(model), "--quiet",
    ]  # fmt: skip
    process = os.posix_spawn(sys.executable, command, os.environ)
    _, status, usage = os.wait4(process, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with status {status}")
    return usage.ru_maxrss * 1024.0, usage.ru_utime + usage.ru_stime
