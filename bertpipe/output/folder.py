"""Begin with an output folder and leave it: its lock, its leftovers, the job that it belongs to."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bertpipe.errors import OutputError
from bertpipe.output import overwrite as overwriting
from bertpipe.output.files import BOOKKEEPING, LOCK, entries, remove
from bertpipe.output.footer import Job, differences
from bertpipe.output.inventory import parts, refuse_other_settings
from bertpipe.output.lock import FolderLock
from bertpipe.output.parquet import TEMPORARY


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


def take_lock(folder: Path) -> FolderLock:
    """Take the lock of an output folder, which is made if it is not there.

    Raises:
        BusyError: Another process holds it.
        OutputError: The folder cannot be made or written.
    """
    bookkeeping = folder / BOOKKEEPING
    try:
        bookkeeping.mkdir(parents=True, exist_ok=True)
        return FolderLock.acquire(bookkeeping / LOCK)
    except OSError as error:
        raise OutputError(
            f"{folder} cannot be written ({error.strerror}); mend that or give another --output."
        ) from error


def remove_empty(*folders: Path) -> None:
    """Delete those of some folders that are empty."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def clean(folder: Path) -> None:
    """Delete what earlier processes left behind, all of it temporary; only under the lock.

    An exchange has to be finished before.
    """
    merged = overwriting.merged_folder(folder)
    for path in (*entries(folder / BOOKKEEPING / TEMPORARY), *entries(merged)):
        remove(path)
    remove_empty(merged)
    for path in entries(folder / BOOKKEEPING):
        # A file `.lock.TOKEN` may belong to a process that is asking for the lock just now.
        if path.name.startswith(".") and not path.name.startswith(f".{LOCK}."):
            remove(path)
