"""Change files so that after a crash they are either the old or the new ones."""

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bertpipe.errors import WriteError
from bertpipe.records import BOOKKEEPING as BOOKKEEPING

LOCK, REPORT = "lock", "report.json"  # in the folder BOOKKEEPING
_BLOCK_BYTES = 1 << 20


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a failure of the file system into a WriteError that names the output folder."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise WriteError(
            f"{folder} cannot be written ({reason}); what is committed stands. Make room, or raise"
            " the limit that was met, and run the same command again to go on."
        ) from error


def sync_file(path: Path) -> None:
    """Return when the content of a closed file is on disk."""
    _sync(path, os.O_RDONLY)


def sync_folder(folder: Path) -> None:
    """Return when the names in a folder are on disk."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def move(source: Path, target: Path) -> None:
    """Rename a synced file, replacing what stands there, and make the new name last."""
    os.replace(source, target)
    sync_folder(target.parent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file for people and programs; a reader sees the old or the new one whole."""
    write_bytes(path, (json.dumps(value, indent=2) + "\n").encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; a reader sees the old or the new one whole."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        sync_file(temporary)
        move(temporary, path)
    except BaseException:
        remove(temporary)
        raise


def remove(path: Path) -> None:
    """Delete a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def sha256(path: Path, n_bytes: int) -> str:
    """Return the hash of the first bytes of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(min(n_bytes, _BLOCK_BYTES)):
            digest.update(block)
            n_bytes -= len(block)
    return digest.hexdigest()


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder, by name; nothing for a folder that does not exist."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
