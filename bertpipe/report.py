"""What a run says of itself: progress while it works, a report at its end."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bertpipe.masking import without_secrets

N_TOP_LABELS = 20
ENCODER_STAGES = ("tokenize", "pack", "forward", "decode")
PACKAGES = ("bertpipe", "pyarrow", "spacy", "tokenizers", "torch", "transformers")


@dataclass(frozen=True)
class Progress:
    """A moment of a run.

    n_rows: annotated in this run. n_done: in the output from earlier runs. seconds: since the
    workers were ready. share: of the corpus, by the size of what was read, or of the records that
    the run is limited to; None if unknown.
    """

    n_rows: int
    n_done: int
    n_errors: int
    n_tokens: int
    seconds: float
    share: float | None


@dataclass
class Report:
    """What a run did, and what the whole output holds.

    n_rows, n_errors, errors_by_type: of the whole output, earlier runs included.
    n_new: rows annotated by this run. n_recomputed: rows that it computed again because their
    source changed. n_retried: rows in error that it computed again.
    sources: names of those that have grown or changed, are gone, or have a last line unfinished.
    examples: one message of each type of error.
    labels: how often each component found each label, in this run.
    passes: for each pass through an encoder of this run the `layers` of its components by name, how
    many of them are `shared`, computed for a component before it already, its `tokens`, and
    `batch_tokens`, the budget of a batch at the end: less than at first if one did not fit.
    n_tokens: special tokens not counted. seconds: from ready workers to the last commit.
    """

    output: Path
    n_rows: int = 0
    n_errors: int = 0
    errors_by_type: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)
    n_new: int = 0
    n_recomputed: int = 0
    n_retried: int = 0
    sources: dict[str, list[str]] = field(default_factory=dict)
    n_tokens: int = 0
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    seconds: float = 0.0
    startup_seconds: float = 0.0
    stage_seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    passes: list[dict[str, Any]] = field(default_factory=list)
    components: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    n_workers: int = 0

    @property
    def documents_per_second(self) -> float:
        """Return how many documents this run annotated a second."""
        return self.n_new / self.seconds if self.seconds else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Return how many tokens this run annotated a second."""
        return self.n_tokens / self.seconds if self.seconds else 0.0

    @property
    def padding(self) -> float:
        """Return the share of the computed tokens that were padding."""
        computed = self.counts.get("tokens", 0) + self.counts.get("padded", 0)
        return self.counts.get("padded", 0) / computed if computed else 0.0

    @property
    def stages(self) -> dict[str, float]:
        """Return the seconds of all workers by stage; together they are the workers' time.

        Where workers have several chunks at work, they are more. other: components without an
        encoder, and joining columns. wait: for the next chunk, and for the other workers at the
        end.
        """
        spent = self.stage_seconds
        stages = {name: spent.get(name, 0.0) for name in ENCODER_STAGES}
        at_work = spent.get("annotate", 0.0) - spent.get("turn", 0.0)
        stages["other"] = max(0.0, at_work - sum(stages.values()))
        stages["write"] = spent.get("write", 0.0)
        stages["wait"] = max(0.0, self.n_workers * self.seconds - sum(stages.values()))
        return {name: round(seconds, 3) for name, seconds in stages.items()}

    @property
    def device_idle(self) -> float:
        """Return the share of the workers' time in which no batch was on the device."""
        total = self.n_workers * self.seconds
        return max(0.0, 1 - self.stage_seconds.get("forward", 0.0) / total) if total else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values, without secrets."""
        found: dict[str, Any] = {
            **vars(self),
            "output": str(self.output),
            "documents_per_second": round(self.documents_per_second, 2),
            "tokens_per_second": round(self.tokens_per_second, 1),
            "padding": round(self.padding, 5),
            "stages": self.stages,
            "device_idle": round(self.device_idle, 4),
            "versions": versions(),
            "machine": platform.machine(),
            "finished_at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        plain: dict[str, Any] = without_secrets(found)
        return plain


class Tally:
    """Adds up what the workers say.

    has_lost: whether a worker died with annotated rows in a part that it had not finished. What it
    said of them counts no more.
    """

    def __init__(self) -> None:
        self.has_lost = False
        self._open: dict[int, list[Mapping[str, Any]]] = {}  # by worker, of its part at work
        self._finished: dict[int, Mapping[str, Any]] = {}
        self.n_rows = self.n_errors = self.n_tokens = 0
        self.examples: dict[str, str] = {}
        self.labels: dict[str, Counter[str]] = {}

    @property
    def seconds(self) -> Counter[str]:
        """Return how the workers spent their time."""
        return self._sum("seconds")

    @property
    def counts(self) -> Counter[str]:
        """Return what the workers' passes counted."""
        return self._sum("counts")

    @property
    def passes(self) -> list[dict[str, Any]]:
        """Return what the workers say of their passes: tokens summed, and the least budget."""
        said = zip(*(message["passes"] for message in self._finished.values()), strict=True)
        return [
            {
                **same[0],
                "tokens": sum(each["tokens"] for each in same),
                "batch_tokens": min(each["batch_tokens"] for each in same),
            }
            for same in said
        ]

    def _sum(self, what: str) -> Counter[str]:
        total: Counter[str] = Counter()
        for message in self._finished.values():
            total.update(message[what])
        return total

    def add(self, message: Mapping[str, Any]) -> None:
        """Add what a worker says, of whatever type it is."""
        worker = message["worker"]
        if message["type"] == "chunk":
            self._open.setdefault(worker, []).append(message)
            self.examples = {**message["examples"], **self.examples}
            self._count(message, 1)
        elif message["type"] == "part":
            self._open.pop(worker, None)
        elif message["type"] == "died":
            for lost in self._open.pop(worker, ()):
                self.has_lost = True
                self._count(lost, -1)
        elif message["type"] == "finished":
            self._finished[worker] = message  # it counts from the worker's start

    def _count(self, message: Mapping[str, Any], sign: int) -> None:
        self.n_rows += sign * message["n_rows"]
        self.n_tokens += sign * message["n_tokens"]
        self.n_errors += sign * sum(message["errors"].values())
        for name, counts in message["labels"].items():
            total = self.labels.setdefault(name, Counter())
            total.update({label: sign * n for label, n in counts.items()})

    def top_labels(self) -> dict[str, dict[str, int]]:
        """Return the commonest labels of each component."""
        return {name: dict((+each).most_common(N_TOP_LABELS)) for name, each in self.labels.items()}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
