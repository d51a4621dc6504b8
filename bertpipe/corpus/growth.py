"""Whether a file still begins with what was read of it, and where its last whole line ends."""

import hashlib
import os
from collections.abc import Iterable

from bertpipe.corpus.sources import Source
from bertpipe.corpus.streams import BLOCK_BYTES, reading
from bertpipe.errors import CorpusError


def covered(source: Source) -> tuple[int, str]:
    """Return how many bytes of a file were read, from its first on, and their SHA-256.

    Of a file that is not read in that order it is the whole file. Standard input has none.

    Raises:
        CorpusError: Such a file is no longer the one that was opened: its hash would be of others.
    """
    if source.stdin is not None:
        return 0, ""
    meter = source.meter
    if meter.hash is None:
        with reading(source):
            digest = _hash(source.path, source.end)
        check_unchanged(source)
        meter.hash, meter.n_hashed = digest, source.end
    return meter.n_hashed, meter.hash.hexdigest()


def _hash(path: str, n_bytes: int) -> "hashlib._Hash":
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(min(n_bytes, BLOCK_BYTES)):
            digest.update(block)
            n_bytes -= len(block)
    return digest


def prefix_hashes(source: Source, sizes: Iterable[int]) -> dict[int, str]:
    """Return the SHA-256 of the first bytes of a file, for several sizes in one reading.

    A size that is larger than the file is left out.
    """
    found: dict[int, str] = {}
    digest, position = hashlib.sha256(), 0
    with reading(source), open(source.path, "rb") as file:
        for size in sorted(size for size in sizes if size <= source.size):
            while position < size and (block := file.read(min(size - position, BLOCK_BYTES))):
                digest.update(block)
                position += len(block)
            if position == size:
                found[size] = digest.copy().hexdigest()
    return found


def last_line_end(source: Source) -> int:
    """Return where the last whole line of a file ends: 0 if it has none."""
    position = source.size
    with reading(source), open(source.path, "rb") as file:
        while position > 0:
            start = max(position - BLOCK_BYTES, 0)
            file.seek(start)
            place = file.read(position - start).rfind(b"\n")
            if place >= 0:
                return start + place + 1
            position = start
    return 0


def goes_on(source: Source, position: int) -> bool:
    """Tell whether the line that was cut at a position has more than its end after it."""
    if position in (0, source.end):
        return False
    with reading(source), open(source.path, "rb") as file:
        file.seek(position - 1)
        before, after = file.read(1), file.read(2)
    return before != b"\n" and not after.startswith((b"\n", b"\r\n"))


def check_unchanged(source: Source) -> None:
    """Raise `CorpusError` when what was read of a file is no longer there; it may have grown."""
    if source.stdin is not None:
        return
    try:
        stat = os.stat(source.path)
    except FileNotFoundError as error:
        raise CorpusError(f"{source.name} is gone; put it back and run again.") from error
    if (stat.st_size, stat.st_mtime_ns) == (source.size, source.mtime_ns):
        return
    meter = source.meter
    if meter.hash is not None and stat.st_size >= source.size:
        with reading(source):
            if _hash(source.path, meter.n_hashed).digest() == meter.hash.digest():
                return
    raise CorpusError(
        f"{source.name} changed while it was read ({source.size} bytes then, {stat.st_size}"
        " now); run again when nothing writes to it."
    )
