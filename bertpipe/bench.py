"""Measure a corpus with several settings, to find the one that annotates it fastest."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.dataset as ds

from bertpipe.config import RunConfig
from bertpipe.encoder.device import (
    OPENVINO,
    default_batch_tokens,
    list_devices,
    n_cpus,
    precisions_of,
)
from bertpipe.engine import run
from bertpipe.errors import ConfigError
from bertpipe.report import Report

BUDGETS = (0.5, 2.0)  # times the default of the device


@dataclass(frozen=True)
class Setting:
    """What a trial changes; the results of a run depend on the precision alone."""

    precision: str
    batch_tokens: int
    workers: int | None
    compile: bool = False

    def words(self) -> list[str]:
        """Return the setting as options of `bertpipe run`."""
        words = ["--precision", self.precision, "--run.batch_tokens", str(self.batch_tokens)]
        words += ["--run.compile", "true"] * self.compile
        return words if self.workers is None else [*words, "--workers", str(self.workers)]


@dataclass(frozen=True)
class Trial:
    """What a setting gave. same: the share of documents annotated as in fp32, scores apart."""

    setting: Setting
    documents_per_second: float
    tokens_per_second: float
    startup_seconds: float
    device_idle: float
    same: float


def bench(
    corpus: Sequence[str],
    *,
    config: RunConfig,
    n_documents: int = 500,
    tell: Callable[[Trial], None] = lambda trial: None,
) -> list[Trial]:
    """Run the first documents of a corpus with several settings; the fastest comes first.

    Precisions are compared first, then batches, compiling, and numbers of workers, each with the
    best of what came before. `tell` hears of each trial as it ends.

    Raises:
        UsageError: As `bertpipe.engine.run` raises it.
    """
    with TemporaryDirectory(prefix="bertpipe-bench-") as folder:
        runner = _Runner(corpus, config, n_documents, Path(folder), tell)
        for settings in _searches(config):
            for setting in settings(runner.best):
                runner.try_out(setting)
        return sorted(runner.trials, key=lambda trial: -trial.documents_per_second)


Search = Callable[[Setting | None], list[Setting]]


def _searches(config: RunConfig) -> Iterator[Search]:
    """Yield what to try next, given the best setting so far."""
    device = list_devices(config.encoder.device)[0]
    workers = config.workers
    if workers is None and device == "cpu":
        workers = n_cpus()
    yield lambda best: [
        Setting(name, config.encoder.batch_tokens or default_batch_tokens(device, name), workers)
        for name in precisions_of(device)
    ]
    yield lambda best: [
        replace(best, batch_tokens=int(factor * best.batch_tokens)) for factor in BUDGETS if best
    ]
    yield lambda best: [replace(best, compile=True)] if best and _takes_compile(best) else []
    if device == "cpu":
        yield lambda best: [replace(best, workers=n) for n in _other_numbers(workers) if best]


def _takes_compile(best: Setting) -> bool:
    return best.precision not in OPENVINO  # which compiles by itself


def _other_numbers(workers: int | None) -> list[int]:
    """Return some smaller numbers of workers: memory or a shared cache may be the limit."""
    return sorted(n for n in {1, (workers or 1) // 2} if 0 < n < (workers or 1))


class _Runner:
    def __init__(
        self,
        corpus: Sequence[str],
        config: RunConfig,
        n_documents: int,
        folder: Path,
        tell: Callable[[Trial], None],
    ) -> None:
        self.corpus = corpus
        self.config = config
        self.n_documents = n_documents
        self.folder = folder
        self.tell = tell
        self.trials: list[Trial] = []
        self.expected: list[Any] = []

    @property
    def best(self) -> Setting | None:
        """Return the fastest setting so far."""
        fastest = max(self.trials, key=lambda trial: trial.documents_per_second, default=None)
        return fastest.setting if fastest else None

    def try_out(self, setting: Setting) -> None:
        """Run with a setting and keep what it gave; compiling may be impossible here."""
        encoder = replace(
            self.config.encoder,
            precision=setting.precision,
            batch_tokens=setting.batch_tokens,
            compile=setting.compile,
        )
        config = replace(self.config, encoder=encoder, workers=setting.workers)
        output = self.folder / "output"
        try:
            report = run(self.corpus, config=config, output=output, limit=self.n_documents)
        except ConfigError:
            if setting.compile:
                return
            raise
        trial = self._trial(setting, report, _values(output, [c.name for c in config.components]))
        shutil.rmtree(output)
        self.trials.append(trial)
        self.tell(trial)

    def _trial(self, setting: Setting, report: Report, values: list[Any]) -> Trial:
        if not self.expected:  # fp32 is tried first
            self.expected = values
        n_same = sum(a == b for a, b in zip(values, self.expected, strict=True))
        return Trial(
            setting=setting,
            documents_per_second=report.documents_per_second,
            tokens_per_second=report.tokens_per_second,
            startup_seconds=report.startup_seconds,
            device_idle=report.device_idle,
            same=n_same / len(values) if values else 1.0,
        )


def _values(output: Path, names: Sequence[str]) -> list[Any]:
    """Return the annotations of each row without their scores, in the order of the corpus."""
    table = ds.dataset(sorted(map(str, output.glob("*.parquet")))).to_table(["_source", *names])
    rows = sorted(
        table.to_pylist(), key=lambda row: (row["_source"]["path"], row["_source"]["row"])
    )
    return [[without_scores(row[name]) for name in names] for row in rows]


def without_scores(value: Any) -> Any:
    """Return an annotation without its real numbers, which any precision changes."""
    if isinstance(value, float):
        return None
    if isinstance(value, dict):
        return {k: without_scores(v) for k, v in value.items() if k != "scores"}
    if isinstance(value, list):
        return [without_scores(each) for each in value]
    return value
