"""The parent's view of an output folder: what is done, what goes in, who may write.

The folder is its own ledger: everything is read from the footers of the parts, and nothing else has
to survive a crash. `_bertpipe/` beside the parts holds

    lock         who writes now
    tmp/         the files of workers; what a start finds there is left over and deleted
    next/        the parts of an `--overwrite`, until they replace the old ones (see overwrite.py)
    damaged/     parts that were found truncated or damaged; their rows are computed anew
    report.json  what the last run did
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from bertpipe.corpus.chunks import Slice, SourceDone
from bertpipe.corpus.growth import covered
from bertpipe.corpus.sources import Source
from bertpipe.output import overwrite as overwriting
from bertpipe.output import shards
from bertpipe.output.changes import Changes, Ranges, compare
from bertpipe.output.coverage import Coverage
from bertpipe.output.files import (
    BOOKKEEPING,
    REPORT,
    entries,
    remove,
    sync_folder,
    write_json,
    writing,
)
from bertpipe.output.folder import clean, remove_empty, take_lock
from bertpipe.output.footer import Job, Part, Stamp
from bertpipe.output.inventory import (
    decide,
    is_current,
    own_parts,
    parts,
    refuse_other_job,
    right_name,
    set_aside,
)
from bertpipe.output.parquet import SUFFIX, TEMPORARY, TemporaryPart, commit_part
from bertpipe.output.shards import Shard


class Ledger:
    """An output folder that this process holds the lock of.

    `n_parts`, `n_rows_done` and `errors` (rows in error by type) grow with each commit. `damaged`
    names the parts that were set aside. `changes` says how the sources differ from what the parts
    say of them, `stale` which rows of which parts are to be computed again for that, by source.
    `metadata` is for the workers' writers.
    """

    def __init__(
        self,
        folder: Path,
        job: Job,
        schema: pa.Schema,
        sources: Sequence[Source],
        shard: Shard | None,
    ) -> None:
        self.folder = folder
        self.shard = shard
        self.job = job
        self.schema = schema
        self.metadata = job.metadata()
        self.changes = Changes(tuple(sources))
        self.stale: list[tuple[Part, dict[str, Ranges]]] = []
        self.n_parts = 0
        self.n_rows_done = 0
        self.errors: Counter[str] = Counter()
        self.damaged: list[str] = []
        self._coverage = Coverage()
        self._errors_of: dict[str, Mapping[str, int]] = {}  # by the name of the part
        self._replaced: list[str] | None = None
        self._is_new = not folder.exists()
        self._lock = take_lock(folder, shard)

    @classmethod
    def open(
        cls,
        folder: Path,
        job: Job,
        schema: pa.Schema,
        *,
        sources: Sequence[Source],
        overwrite: bool = False,
        changed: str | None = None,
        final: bool = False,
        shard: Shard | None = None,
    ) -> Self:
        """Take the lock, delete leftovers, and read what earlier runs of the job have done.

        changed: `recompute` makes the rows of a source that has changed stale, `ignore` leaves it
        out. final: a last line counts though it does not end. shard: take the lock of this shard
        alone.

        Raises:
            BusyError: Another process holds the lock.
            OutputError: The parts are of another job, or of sources that have changed since and
                nothing is said of these, or something in the folder is not ours.
        """
        ledger = cls(folder, job, schema, sources, shard)
        try:
            overwriting.finish_exchange(folder)
            clean(folder, shard)
            ledger._read_staged() if overwrite else ledger._read(changed, final)
        except BaseException:
            ledger.close()
            raise
        return ledger

    @property
    def sources(self) -> tuple[Source, ...]:
        """Return the sources that are to be read, each as far as it is to be read."""
        return self.changes.sources

    @property
    def done(self) -> dict[str, SourceDone]:
        """Return what is done of each source, this run's commits included."""
        return self._coverage.done({each.name: each.end for each in self.sources if each.grows})

    def stamps(self, slices: Iterable[Slice]) -> dict[str, Stamp]:
        """Return the state of the sources of a chunk that was just read, to hand out with it."""
        return {name: self.stamp(name) for name in dict.fromkeys(each.source for each in slices)}

    @cached_property
    def _by_name(self) -> dict[str, Source]:
        return {source.name: source for source in self.sources}

    def stamp(self, name: str) -> Stamp:
        """Return the state of a source as far as it has been read."""
        source = self._by_name[name]
        return Stamp(source.size, source.mtime_ns, *covered(source))

    def commit(self, part: TemporaryPart) -> Part:
        """Put a worker's part in its place; once more the same slices replace the first part.

        Raises:
            BusyError: Another process has taken the lock over.
            WriteError: The lock is gone, or the part cannot be put in its place.
            OutputError: The part is not as announced, or holds rows that another part holds.
        """
        self._lock.verify()
        is_new = part.name not in self._errors_of
        if is_new:
            self._coverage.add(self.folder / part.name, part.slices, part.stamps)
        if self._replaced is None:
            place, suffix = self.folder, SUFFIX
        else:
            place, suffix = overwriting.staging_folder(self.folder), overwriting.STAGED_SUFFIX
        with writing(self.folder):
            committed = commit_part(place, part, schema=self.schema, suffix=suffix)
        if is_new:
            self._count(part.name, committed)
        else:
            self._count_again(part.name, committed)
        return committed

    def replace_part(self, old: Part, new: TemporaryPart | None) -> None:
        """Put a part in the place of one whose rows it has anew; None where no row is left.

        Both steps are atomic, and a reader between them finds the new rows under the old name.
        """
        self._lock.verify()
        self._coverage.remove(old.path, old.slices, old.stamps)
        self._uncount(old)
        with writing(self.folder):
            if new is None:
                remove(old.path)
                sync_folder(self.folder)
                return
            there = replace(new, name=old.path.name)
            committed = right_name(commit_part(self.folder, there, schema=self.schema))
        self._add(committed.path.name, committed)

    def finish(self, report: Mapping[str, Any]) -> None:
        """Say that everything is done: an overwrite takes effect, and the report is written."""
        self._lock.verify()
        with writing(self.folder):
            if self._replaced is not None:
                overwriting.exchange(self.folder, self._replaced)
            self.write_report(report)
            shards.end(self.folder, self.shard) if self.shard else shards.dissolve(self.folder)

    def write_report(self, report: Mapping[str, Any]) -> None:
        """Write `_bertpipe/report.json`, also for a run that ends early."""
        write_json(self.folder / BOOKKEEPING / REPORT, report)

    def clean_up_after(self, worker: str) -> None:
        """Delete what a worker that died was writing."""
        for path in entries(self.folder / BOOKKEEPING / TEMPORARY):
            if path.name.startswith(f"{worker}-"):
                remove(path)

    def close(self) -> None:
        """Give the lock back, and leave no empty folder behind."""
        bookkeeping = self.folder / BOOKKEEPING
        if self.shard is None:  # another one may be about to write there
            remove_empty(bookkeeping / TEMPORARY, overwriting.staging_folder(self.folder))
        self._lock.release()
        remove_empty(bookkeeping, *([self.folder] if self._is_new else []))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, changed: str | None, final: bool) -> None:
        """Count the parts in; stop at what cannot be gone on with."""
        found = []
        for path, part in parts(self.folder):
            if part is None:
                set_aside(self.folder, path)
                self.damaged.append(path.name)
                continue
            refuse_other_job(self.folder, part, self.job, self.schema)
            found.append(right_name(part))
            self._add(found[-1].path.name, found[-1])
        self.changes = decide(self.folder, compare(found, self.sources, final=final), changed)
        stale = ((part, self.changes.stale_rows(part)) for part in found)
        self.stale = [(part, rows) for part, rows in stale if rows]

    def _read_staged(self) -> None:
        """Count in what an earlier start of the same overwrite has made; delete other parts."""
        self._replaced = own_parts(self.folder)
        overwriting.staging_folder(self.folder).mkdir(exist_ok=True)
        now = {source.name: (source.size, source.mtime_ns) for source in self.sources}
        for path, part in overwriting.staged_parts(self.folder):
            if part is None or not is_current(part, self.job, self.schema, now):
                remove(path)
            else:
                self._add(path.name.removesuffix(overwriting.STAGED_SUFFIX) + SUFFIX, part)

    def _add(self, name: str, part: Part) -> None:
        self._coverage.add(self.folder / name, part.slices, part.stamps)
        self._count(name, part)

    def _count(self, name: str, part: Part) -> None:
        self._errors_of[name] = part.errors
        self.n_parts += 1
        self.n_rows_done += part.n_rows
        self.errors.update(part.errors)

    def _uncount(self, part: Part) -> None:
        self.errors = self.errors - Counter(self._errors_of.pop(part.path.name))
        self.n_parts -= 1
        self.n_rows_done -= part.n_rows

    def _count_again(self, name: str, part: Part) -> None:
        """Count the errors of a part that replaced one with the same rows."""
        self.errors = self.errors - Counter(self._errors_of[name]) + Counter(part.errors)
        self._errors_of[name] = part.errors
