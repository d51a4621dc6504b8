"""Number the records of a file and gather the wanted ones in runs of bounded size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_ROWS = 4_096
MAX_BYTES = 4 << 20


class Raw(NamedTuple):
    """A record before it is parsed: its first line (0: none), its size, its content."""

    line: int
    n_bytes: int
    content: Any


class Run(NamedTuple):
    """Consecutive records of one source, the first of them number `first_row`."""

    first_row: int
    records: list[Raw]

    def line(self, position: int) -> str:
        """Say where a record begins, for messages: nothing where the file is the record."""
        line = self.records[position].line
        return f"line {line}" if line else ""


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of a source to read: up to `stop`, without the ranges in `skip` (sorted)."""

    skip: Sequence[tuple[int, int]] = ()
    stop: int | None = None


def wanted_runs(records: Iterable[Raw], span: Span) -> Iterator[Run]:
    """Number the records from 0 and yield the wanted ones in runs of bounded size."""
    ranges = iter((*span.skip, (2**63, 2**63)))
    first, end = next(ranges)
    run, n_bytes = Run(0, []), 0
    for row, record in enumerate(records):
        while row >= end:
            first, end = next(ranges)
        if row == span.stop:
            break
        if row == first or len(run.records) == MAX_ROWS or n_bytes >= MAX_BYTES:
            if run.records:
                yield run
            run, n_bytes = Run(row, []), 0
        if row >= first:
            run = Run(row + 1, [])
            continue
        run.records.append(record)
        n_bytes += record.n_bytes
    if run.records:
        yield run
