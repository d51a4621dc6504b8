"""The lock of an output folder: one process at a time, on however many machines.

The lock is a file that appears whole (a hard link of a finished file) and names its holder. The
holder renews its modification time; nobody renews it after a crash. It is stale when

- it was not renewed for `stale_s` seconds, wherever the holder ran, or
- the holder ran here and its process is gone. The process is known by its start time and by the
  boot and pid namespace it lived in, so that neither a reused pid nor another container misleads.

Ages are differences of two times that the same file system wrote, so clocks may disagree. A holder
that was suspended may find its lock taken over: `verify` says so, and is called before each commit.
"""

import contextlib
import dataclasses
import json
import os
import socket
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bertpipe.errors import BusyError, OutputError, WriteError
from bertpipe.output.files import remove

REFRESH_S = 10.0
STALE_S = 60.0


@dataclass(frozen=True)
class Holder:
    """The process that holds a lock."""

    host: str
    pid: int
    started: str
    machine: str
    token: str

    @classmethod
    def this_process(cls) -> Self:
        """Describe the running process; every call gives another token."""
        pid = os.getpid()
        return cls(
            host=socket.gethostname(),
            pid=pid,
            started=_start_time(pid) or "",
            machine=_machine(),
            token=uuid.uuid4().hex,
        )

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"

    def is_dead(self) -> bool:
        """Return whether the process ran on this machine and is gone; False if unknown."""
        return self.machine == _machine() and _start_time(self.pid) != self.started


class FolderLock:
    """A lock that this process holds until `release`; renewed by a thread."""

    def __init__(self, path: Path, holder: Holder, *, refresh_s: float) -> None:
        self._path = path
        self._holder = holder
        self._refresh_s = refresh_s
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="bertpipe-lock", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, path: Path, *, refresh_s: float = REFRESH_S, stale_s: float = STALE_S) -> Self:
        """Take the lock at `path`, whose folder exists.

        Raises:
            BusyError: Another process holds it.
        """
        holder = Holder.this_process()
        candidate = path.with_name(f".{path.name}.{holder.token}")
        candidate.write_text(json.dumps(dataclasses.asdict(holder)), encoding="utf-8")
        try:
            if not _appear(candidate, path):
                _set_aside(path, candidate, stale_s)
                if not _appear(candidate, path):
                    raise _busy(path, _read(path))
        finally:
            remove(candidate)
        _sweep(path, stale_s)
        return cls(path, holder, refresh_s=refresh_s)

    def verify(self) -> None:
        """Return if this process still holds the lock.

        Raises:
            BusyError: Another process has taken it over.
            WriteError: It is gone, and perhaps the folder with it.
        """
        current = _read(self._path)
        if current is None:
            raise WriteError(
                f"{self._path} is gone: the folder was moved or emptied, or another run had it"
                " while this one stood still; what is committed stands. Run the same command again"
                " to go on."
            )
        if current != self._holder:
            raise _busy(self._path, current)

    def refuse_others(self, names: str) -> None:
        """Raise BusyError if a lock beside this one is held, whose name fits the pattern."""
        for other in self._path.parent.glob(names):
            found = _read(other)
            if other != self._path and found and not _is_stale(other, found, self._path, STALE_S):
                raise _busy(other, found)

    def release(self) -> None:
        """Give the lock back; a lock that another process has taken over stays."""
        self._released.set()
        self._thread.join()
        if _read(self._path) == self._holder:
            remove(self._path)

    def _refresh(self) -> None:
        while not self._released.wait(self._refresh_s):
            # A file system that does not answer now may answer at the next turn.
            with contextlib.suppress(OSError):
                if _read(self._path) == self._holder:
                    os.utime(self._path)


def living_holder(path: Path) -> Holder | None:
    """Return who holds the lock at `path` or one of a shard; None if all that did are gone."""
    found = (_read(each) for each in (path, *path.parent.glob(f"{path.name}-*")))
    return next((each for each in found if each is not None and not each.is_dead()), None)


def _appear(candidate: Path, path: Path) -> bool:
    """Give the finished file its public name; False if that name is taken."""
    try:
        os.link(candidate, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise OutputError(
            f"{path} cannot be made ({error.strerror}); give an --output on a file system that"
            " can be written and knows hard links."
        ) from error
    return True


def _set_aside(path: Path, candidate: Path, stale_s: float) -> None:
    """Remove a stale lock, or raise BusyError naming who holds it.

    Of two processes that find the same stale lock, the slower one may move away the lock of the
    faster: it notices by the content and puts it back.
    """
    found = _read(path)
    if not _is_stale(path, found, candidate, stale_s):
        raise _busy(path, found)
    aside = candidate.with_name(f"{candidate.name}.stale")
    with contextlib.suppress(FileNotFoundError):
        os.rename(path, aside)
        moved = _read(aside)
        if moved != found:
            with contextlib.suppress(FileExistsError):
                os.link(aside, path)
        remove(aside)
        if moved != found:
            raise _busy(path, moved)


def _is_stale(path: Path, found: Holder | None, fresh: Path, stale_s: float) -> bool:
    """Tell whether a file was left by `found`; `fresh` is a file that was written just now."""
    if found is not None and found.is_dead():
        return True
    try:
        written_at = path.stat().st_mtime
    except FileNotFoundError:
        return True
    try:
        now = fresh.stat().st_mtime
    except FileNotFoundError:
        return False  # another process has just moved it away: nothing to compare with
    return now - written_at > stale_s


def _sweep(path: Path, stale_s: float) -> None:
    """Delete what processes left that died while they asked for the lock."""
    for left in path.parent.glob(f".{path.name}.*"):
        if _is_stale(left, _read(left), path, stale_s):
            remove(left)


def _read(path: Path) -> Holder | None:
    """Return the holder a lock file names; None if the file is gone or not one of ours."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _busy(path: Path, holder: Holder | None) -> BusyError:
    who = holder or "another process"
    folder = path.parent.parent
    return BusyError(f"{folder} is in use by {who}; wait for its end or give another --output.")


def _start_time(pid: int) -> str | None:
    """Return when a process began, in clock ticks since boot; None if it does not run."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # The name stands in brackets and may hold anything, so count from the last bracket.
    fields = stat.rpartition(")")[2].split()
    is_over = fields[0] in "ZX"
    return None if is_over else fields[19]


def _machine() -> str:
    """Return what two processes share if and only if their pids can be compared."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return f"unknown {uuid.uuid4().hex}"
