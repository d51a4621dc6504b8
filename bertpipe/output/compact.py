"""Merge many small parts to few large ones: the same rows in the same order, nothing computed.

Parts that follow one another by name are merged until they have the wanted size. A merged part is
written aside; then a journal names it and the parts that it replaces (see overwrite.py), so that a
crash at any moment leaves the old parts or, from the next start on, the merged one. Between the
renaming and the deletions, a few milliseconds, a reader that lists the folder sees rows of both.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.corpus.chunks import Slice
from bertpipe.corpus.sources import Source, find_sources
from bertpipe.errors import OutputError
from bertpipe.output import overwrite
from bertpipe.output.changes import Changes, compare
from bertpipe.output.files import BOOKKEEPING, entries, writing
from bertpipe.output.folder import clean, take_lock
from bertpipe.output.footer import RELATIVE_TO, Part, Stamp, cut
from bertpipe.output.inventory import parts, right_name, source_places
from bertpipe.output.lock import FolderLock
from bertpipe.output.parquet import PartWriter, TemporaryPart

PART_BYTES = 128_000_000
_BATCH_ROWS = 4_096


@dataclass(frozen=True)
class Compaction:
    """What was merged. n_before, n_after: parts."""

    output: Path
    n_rows: int
    n_before: int
    n_after: int


def compact(folder: Path, *, part_bytes: int = PART_BYTES) -> Compaction:
    """Merge small parts until each has about `part_bytes`, and return how many there are then.

    Raises:
        OutputError: The folder is no output of ours, an overwrite is unfinished, or a part is
            damaged.
        BusyError: A run is at work in it.
    """
    if not (folder / BOOKKEEPING).is_dir():
        raise OutputError(f"{folder} is no output of bertpipe; give the --output of a run.")
    with _held(folder) as lock:
        found = list(_whole_parts(folder))
        states = compare(found, _sources_there(found))
        groups = list(_groups(found, states, part_bytes))
        for group in groups:
            with writing(folder):
                merged = _merged(folder, group)
                lock.verify()
                overwrite.exchange_merged(folder, [part.path.name for part in group], merged)
    n_merged = sum(len(group) - 1 for group in groups)
    n_rows = sum(part.n_rows for part in found)
    return Compaction(folder, n_rows, len(found), len(found) - n_merged)


@contextmanager
def _held(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock, with nothing of an earlier process left half done."""
    lock = take_lock(folder)
    try:
        overwrite.finish_exchange(folder)
        clean(folder)
        if entries(overwrite.staging_folder(folder)):
            raise OutputError(
                f"{folder} has an unfinished overwrite; run that command again, then compact."
            )
        yield lock
    finally:
        lock.release()


def _whole_parts(folder: Path) -> Iterator[Part]:
    for path, part in parts(folder):
        if part is None:
            raise OutputError(f"{path} is damaged; run again to compute its rows, then compact.")
        yield right_name(part)


def _sources_there(found: Sequence[Part]) -> list[Source]:
    """Return the sources that can be looked at where they were."""
    relative_to = found[0].job.fingerprint.get(RELATIVE_TO) if found else None
    paths = [place for place in source_places(found).values() if os.path.isfile(place)]
    sources, _ = find_sources(paths, wanted_format="jsonl", relative_to=relative_to)
    return [replace(source, grows=True) for source in sources]


def _groups(found: Iterable[Part], states: Changes, part_bytes: int) -> Iterator[list[Part]]:
    """Yield the parts to merge: neighbours, smaller together than wanted, two at least."""
    group: list[Part] = []
    states_of: defaultdict[str, set[Stamp]] = defaultdict(set)
    n_bytes = 0
    for part in found:
        size = part.path.stat().st_size
        is_alike = all(_is_alike(part, first) for first in group[:1])
        if n_bytes + size > part_bytes or not is_alike or not _fits(states_of, part, states):
            if len(group) > 1:
                yield group
            group, n_bytes = [], 0
            states_of.clear()
        group.append(part)
        for name, stamp in part.stamps.items():
            states_of[name].add(stamp)
        n_bytes += size
    if len(group) > 1:
        yield group


def _is_alike(part: Part, other: Part) -> bool:
    return part.job_hash == other.job_hash and part.schema == other.schema


def _fits(before: Mapping[str, set[Stamp]], part: Part, states: Changes) -> bool:
    """Tell whether rows of the same source were made from one state of it, or one that grew."""
    return all(
        old[:2] == new[:2] or (states.stands(name, old) and states.stands(name, new))
        for name, new in part.stamps.items()
        for old in before.get(name, ())
    )


def _merged(folder: Path, group: Sequence[Part]) -> TemporaryPart:
    """Write the rows of some parts to one, with the newest state of each source."""
    stamps: dict[str, Stamp] = {}
    for part in group:
        for name, stamp in part.stamps.items():
            stamps[name] = max(stamp, stamps.get(name, stamp), key=lambda each: each.covered)
    metadata = {k: group[0].metadata[k] for k in ("format_version", "job", "recorded")}
    writer = PartWriter(folder, group[0].schema, metadata, worker="compact")
    try:
        for part in group:
            for batch, slices in _batches(part):
                writer.write(batch, list(_ends_as(slices, part, stamps)), stamps)
        return writer.close()
    except BaseException:
        writer.abandon()
        raise


def _batches(part: Part) -> Iterator[tuple[pa.RecordBatch, list[Slice]]]:
    n_rows = 0
    with pq.ParquetFile(part.path) as file:
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            yield batch, list(cut(part.slices, n_rows, n_rows + len(batch)))
            n_rows += len(batch)


def _ends_as(slices: Iterable[Slice], part: Part, stamps: dict[str, Stamp]) -> Iterator[Slice]:
    """Yield slices that are the last of a source only where it has not grown since."""
    own = part.stamps
    for each in slices:
        is_newest = own[each.source].covered == stamps[each.source].covered
        yield replace(each, is_last=each.is_last and is_newest)
