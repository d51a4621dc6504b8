"""What an output holds, read from the footers of its parts; nothing is written or locked."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bertpipe.corpus.chunks import SourceDone
from bertpipe.errors import OutputError
from bertpipe.output.coverage import Coverage
from bertpipe.output.examples import error_examples
from bertpipe.output.files import BOOKKEEPING, LOCK, REPORT, entries
from bertpipe.output.footer import Part, read_part
from bertpipe.output.inventory import DAMAGED, part_paths, source_places
from bertpipe.output.lock import living_holder
from bertpipe.output.overwrite import staged_parts


@dataclass(frozen=True)
class Status:
    """The state of an output folder.

    n_missing: rows that lie before, or between, rows that are there. sources_partly_done: rows done
    by name, of sources whose end has not been reached. sources_gone: those that are not where they
    were. sources_touched: those of another size or time, whatever their content. damaged: parts
    that cannot be read, or were set aside. n_staged: rows that an unfinished overwrite has
    gathered. running: who holds the lock now. recorded: versions, workers and components as the
    last part names them. last_run: report of the last run that ended.
    """

    output: Path
    n_rows: int
    n_errors: int
    n_missing: int
    n_parts: int
    n_bytes: int
    errors_by_type: Mapping[str, int]
    examples: Mapping[str, str]
    n_sources_complete: int
    sources_partly_done: Mapping[str, int]
    sources_gone: tuple[str, ...]
    sources_touched: tuple[str, ...]
    damaged: tuple[str, ...]
    n_staged: int
    running: str | None
    recorded: Mapping[str, Any]
    last_run: Mapping[str, Any] | None

    def to_dict(self) -> dict[str, Any]:
        """Return the status as plain JSON values."""
        return {**asdict(self), "output": str(self.output)}


def status(folder: Path) -> Status:
    """Read the state of an output folder, also while a run is at work in it.

    Raises:
        OutputError: The folder is no output of ours, or two parts hold the same rows.
    """
    if not (folder / BOOKKEEPING).is_dir():
        raise OutputError(f"{folder} is no output of bertpipe; give the --output of a run.")
    found = list(_parts(folder))
    whole = [part for _, part in found if part]
    done = _coverage(whole)
    errors = sum((Counter(part.errors) for part in whole), Counter())
    shelf = (path.name for path in entries(folder / BOOKKEEPING / DAMAGED))
    running = living_holder(folder / BOOKKEEPING / LOCK)
    gone, touched = _other_sources(whole)
    return Status(
        output=folder,
        n_rows=sum(part.n_rows for part in whole),
        n_errors=errors.total(),
        n_missing=sum(n_missing(each) for each in done.values()),
        n_parts=len(whole),
        n_bytes=sum(part.path.stat().st_size for part in whole),
        errors_by_type=dict(errors.most_common()),
        examples=error_examples(whole),
        n_sources_complete=sum(_is_complete(each) for each in done.values()),
        sources_partly_done={
            name: sum(end - first for first, end in each.ranges)
            for name, each in done.items()
            if not _is_complete(each)
        },
        sources_gone=gone,
        sources_touched=touched,
        damaged=(*(path.name for path, part in found if part is None), *shelf),
        n_staged=sum(part.n_rows for _, part in staged_parts(folder) if part),
        running=str(running) if running else None,
        recorded=_recorded(whole),
        last_run=_report(folder),
    )


def _other_sources(found: Sequence[Part]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the sources that are gone, and those of a size or time that no part knows."""
    known: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    for part in found:
        for name, stamp in part.stamps.items():
            known[name].add((stamp.size, stamp.mtime_ns))
    now = {name: _stat(place) for name, place in source_places(found).items()}
    gone = tuple(name for name, stat in now.items() if stat is None)
    return gone, tuple(name for name, stat in now.items() if stat and stat not in known[name])


def _stat(place: str) -> tuple[int, int] | None:
    """Return size and time of a file; None if it is not there."""
    try:
        found = os.stat(place)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


def _is_complete(done: SourceDone) -> bool:
    return done.complete and not n_missing(done)


def n_missing(done: SourceDone) -> int:
    """Return how many rows before the last one that is done are not done themselves."""
    n_done = sum(end - first for first, end in done.ranges)
    return done.ranges[-1][1] - n_done


def _parts(folder: Path) -> Iterator[tuple[Path, Part | None]]:
    """Yield the parts; one that a run at work takes away meanwhile is left out."""
    for path in part_paths(folder):
        with contextlib.suppress(FileNotFoundError):
            yield path, read_part(path)


def _coverage(found: Iterable[Part]) -> dict[str, SourceDone]:
    coverage = Coverage()
    for part in found:
        coverage.add(part.path, part.slices, part.stamps)
    return coverage.done()


def _recorded(found: Sequence[Part]) -> Mapping[str, Any]:
    """Return what the part that was written last says of its making."""
    if not found:
        return {}
    return max(found, key=lambda part: part.path.stat().st_mtime_ns).metadata["recorded"]


def _report(folder: Path) -> Mapping[str, Any] | None:
    path = folder / BOOKKEEPING / REPORT
    try:
        report: Mapping[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise OutputError(
            f"{path} is damaged ({error}); delete it: it tells of the last run alone."
        ) from error
    return report
