"""The memory of a long run: that of all its processes together, as rows are done."""

import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bertpipe.config import load_config
from bertpipe.engine import run
from bertpipe.report import Progress, Report

SECONDS_BETWEEN = 5.0


@dataclass
class Watch:
    """Notes rows and memory (bytes, shared pages divided among those who share them)."""

    told_at: float = 0.0
    seen: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, moment: Progress) -> None:
        """Look, if the last look is long enough ago."""
        if moment.seconds - self.told_at >= SECONDS_BETWEEN:
            self.told_at = moment.seconds
            self.seen.append((moment.n_rows, memory()))

    def at(self, n_rows: int) -> int:
        """Return the memory at the first look after so many rows."""
        return next(n_bytes for rows, n_bytes in self.seen if rows >= n_rows)

    @property
    def most(self) -> int:
        """Return the most memory that was seen."""
        return max(n_bytes for _, n_bytes in self.seen)


def memory() -> int:
    """Return the bytes of this process and all below it."""
    here = psutil.Process()
    total = 0
    for process in [here, *here.children(recursive=True)]:
        try:
            total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def measure(corpus: Path, components: Sequence[str], *, early: int) -> list[str]:
    """Annotate the whole corpus and return the lines of the result."""
    watch = Watch()
    folder = Path(tempfile.mkdtemp(prefix="bertpipe-long-run-"))
    started = time.monotonic()
    try:
        report = run(
            [str(corpus)],
            config=load_config(None, components),
            output=folder / "out",
            progress=watch,
        )
    finally:
        shutil.rmtree(folder)
    return lines(watch, report, early=early, seconds=time.monotonic() - started)


def lines(watch: Watch, report: Report, *, early: int, seconds: float) -> list[str]:
    """Return a table of what was seen."""
    last = watch.seen[-1][1]
    then = watch.at(early)
    return [
        "| measure | |",
        "|---|---|",
        f"| rows, of them in error | {report.n_rows:,}, {report.n_errors:,} |",
        f"| seconds, workers | {seconds:,.0f}, {report.n_workers} |",
        f"| tokens/s | {report.n_tokens / report.seconds:,.0f} |",
        f"| most memory, all processes | {watch.most / 1e9:.2f} GB |",
        f"| memory at the end over that at {early:,} rows | {last / then:.3f} |",
    ]
