"""Begin with an output folder and leave it: its lock, its leftovers, the job that it belongs to."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertpipe.errors import BusyError, OutputError
from bertpipe.output import overwrite as overwriting
from bertpipe.output.files import BOOKKEEPING, LOCK, entries, remove
from bertpipe.output.footer import Job, differences
from bertpipe.output.inventory import parts, refuse_other_settings
from bertpipe.output.lock import FolderLock
from bertpipe.output.parquet import TEMPORARY
from bertpipe.output.shards import Shard


def recorded_job(
    folder: Path, fingerprint: Mapping[str, Any], *, overwrite: bool = False
) -> Job | None:
    """Return the job that the parts of a folder belong to; None if it has none to go on with.

    With `overwrite` that is an unfinished overwrite with the same fingerprint. Nothing is made or
    locked, so this may be asked before the rest of the job is known to be right.

    Raises:
        OutputError: Without `overwrite`, the parts were made with another fingerprint.
    """
    if overwriting.is_exchange_pending(folder):
        lock = take_lock(folder)
        overwriting.finish_exchange(folder)
        lock.release()
    found = overwriting.staged_parts(folder) if overwrite else parts(folder)
    job = next((part.job for _, part in found if part), None)
    if job is None or (overwrite and differences(job.fingerprint, fingerprint)):
        return None
    refuse_other_settings(folder, job.fingerprint, fingerprint)
    return job


def take_lock(folder: Path, shard: Shard | None = None) -> FolderLock:
    """Take the lock of an output folder, or of a shard of it; the folder is made if need be.

    Raises:
        BusyError: Another process holds it; or one of a shard, where all is wanted, or all.
        OutputError: The folder cannot be made or written.
    """
    bookkeeping = folder / BOOKKEEPING
    try:
        bookkeeping.mkdir(parents=True, exist_ok=True)
        lock = FolderLock.acquire(bookkeeping / (f"{LOCK}-{shard.label}" if shard else LOCK))
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); mend that or give another --output."
        ) from error
    try:
        lock.refuse_others(LOCK if shard else f"{LOCK}-*")
    except BusyError:
        lock.release()
        raise
    return lock


def remove_empty(*folders: Path) -> None:
    """Delete those of some folders that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def clean(folder: Path, shard: Shard | None = None) -> None:
    """Delete what earlier processes left behind, all of it temporary; only under the lock.

    A shard deletes only what is its own. An exchange has to be finished before.
    """
    left = entries(folder / BOOKKEEPING / TEMPORARY)
    for path in (path for path in left if not shard or path.name.startswith(f"{shard.label}.")):
        remove(path)
    if shard is None:
        _clean_bookkeeping(folder)


def _clean_bookkeeping(folder: Path) -> None:
    merged = overwriting.merged_folder(folder)
    for path in entries(merged):
        remove(path)
    remove_empty(merged)
    for path in entries(folder / BOOKKEEPING):
        # A file `.lock.TOKEN` may belong to a process that is asking for the lock just now.
        is_hidden = path.name.startswith(".") and not path.name.startswith(f".{LOCK}")
        if is_hidden or path.name.startswith(f"{LOCK}-"):
            remove(path)
