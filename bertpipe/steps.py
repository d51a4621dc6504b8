"""What a chunk goes through: annotators, alone or several in one pass."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from bertpipe.annotator import Annotator, checked
from bertpipe.records import STATISTICS


@dataclass
class Outcome:
    """What a step gives for some rows: columns by name, statistics, and errors by row."""

    columns: dict[str, pa.Array]
    statistics: pa.RecordBatch | None = None
    errors: dict[int, dict[str, Any]] = field(default_factory=dict)


class Step(Protocol):
    """One or several annotators that run together."""

    names: tuple[str, ...]
    types: tuple[pa.DataType, ...]

    def run(self, batch: pa.RecordBatch) -> Outcome:
        """Annotate every row of the batch or raise."""
        ...


class SingleStep:
    """An annotator on its own."""

    def __init__(self, annotator: Annotator) -> None:
        self.annotator = annotator
        self.turn = threading.RLock()
        self.names: tuple[str, ...] = (annotator.name,)
        self.types: tuple[pa.DataType, ...] = (annotator.type,)

    def run(self, batch: pa.RecordBatch) -> Outcome:
        """Annotate the batch and hold the annotator to its contract."""
        with self.turn:
            values = self.annotator.annotate(batch)
        values = checked(self.annotator, values, batch.num_rows)
        return Outcome({self.annotator.name: values})


class PassStep:
    """Annotators that share one pass through an encoder."""

    def __init__(self, annotators: Sequence[Any]) -> None:
        from bertpipe.annotators.passes import Pass

        self.annotators = annotators
        self.names = tuple(annotator.name for annotator in annotators)
        self.types = tuple(annotator.type for annotator in annotators)
        self.shared = Pass(annotators)

    def run(self, batch: pa.RecordBatch) -> Outcome:
        """Annotate the batch in one pass."""
        result = self.shared.run(batch)
        for annotator in self.annotators:
            checked(annotator, result.columns[annotator.name], batch.num_rows)
        return Outcome(result.columns, result.statistics)


def make_steps(annotators: Sequence[Annotator]) -> list[Step]:
    """Group the annotators: those that may share a pass stand where the first of them stood."""
    groups: dict[object, list[Any]] = {}
    for annotator in annotators:
        key = getattr(annotator, "pass_key", lambda: None)()
        groups.setdefault(key or annotator.name, []).append(annotator)
    steps: list[Step] = []
    for group in groups.values():
        steps.append(PassStep(group) if hasattr(group[0], "pass_key") else SingleStep(group[0]))
    return steps


def no_statistics(n_rows: int) -> pa.RecordBatch:
    """Return the statistics of rows that no encoder read: nulls."""
    return pa.record_batch([pa.nulls(n_rows, kind) for kind in STATISTICS.types], STATISTICS)
