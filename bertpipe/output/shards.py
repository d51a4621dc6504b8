"""`--shard I/N`: several machines divide a corpus without talking to each other.

A chunk belongs to the shard that the hash of its first row names. All shards have to cut the corpus
into the same chunks, so the first of them that starts writes down what that depends on; the others,
and those of another N, are held to it until every shard has ended. Each has a lock of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from bertpipe.corpus.chunks import Chunk
from bertpipe.corpus.sources import Source
from bertpipe.errors import BusyError, ConfigError, OutputError
from bertpipe.output.files import BOOKKEEPING, entries, remove, sync_file, sync_folder

_AGREED = "shards.json"  # in the folder BOOKKEEPING
_ENDED = "ended"


@dataclass(frozen=True)
class Shard:
    """One of `n_shards` parts of the work; `number` counts from 1."""

    number: int
    n_shards: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `I/N`."""
        match = re.fullmatch(r"([1-9]\d{0,4})/([1-9]\d{0,4})", text)
        if match is None or int(match[1]) > int(match[2]):
            raise ConfigError(f"The shard is {text!r}; give one of 1/3, 2/3 and 3/3, say.")
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.n_shards}"

    @property
    def label(self) -> str:
        """Return what its files are named after."""
        return f"shard-{self.number}-of-{self.n_shards}"

    def owns(self, chunk: Chunk) -> bool:
        """Tell whether a chunk is to be computed by this shard."""
        first = chunk.slices[0]
        digest = hashlib.sha256(f"{first.source}\0{first.first_row}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.n_shards == self.number - 1


def agreed_chunk_chars(folder: Path) -> int | None:
    """Return the size of chunks that the shards at work have, if there are any."""
    agreed = _read(folder)
    return int(agreed["chunk_chars"]) if agreed else None


def enlist(
    folder: Path, shard: Shard, sources: Iterable[Source], *, chunk_chars: int, limit: int | None
) -> None:
    """Begin a shard: agree on the corpus and its chunks with those that began before.

    Raises:
        OutputError: Shards of another number, or of another corpus, are not all at their end.
        BusyError: Another shard began at the same time, with chunks of another size.
    """
    corpus = json.dumps([limit, *((source.name, source.size) for source in sources)])
    mine = {
        "n_shards": shard.n_shards,
        "corpus": hashlib.sha256(corpus.encode()).hexdigest(),
        "chunk_chars": chunk_chars,
    }
    agreed = _agree(folder, shard, mine)
    if agreed["n_shards"] != shard.n_shards:
        raise OutputError(
            f"{folder} is divided into {agreed['n_shards']} shards, of which"
            f" {_missing(folder, agreed['n_shards'])} have not ended; end those, or run once"
            " without --shard."
        )
    if agreed["corpus"] != mine["corpus"]:
        raise OutputError(
            f"The corpus is not the one that the first shard of {folder} began with; bring it back"
            " until every shard has ended, or run once without --shard."
        )
    if agreed != mine:
        raise BusyError(f"Another shard of {folder} began just now; run again.")


def end(folder: Path, shard: Shard) -> None:
    """Note that a shard has nothing left to do; the last one dissolves the agreement."""
    (folder / BOOKKEEPING / f"{shard.label}.{_ENDED}").touch()
    if not _missing(folder, shard.n_shards):
        dissolve(folder)


def dissolve(folder: Path) -> None:
    """Forget what the shards agreed on: all that there is to do is done."""
    remove(folder / BOOKKEEPING / _AGREED)
    for path in entries(folder / BOOKKEEPING):
        if path.name.startswith("shard-") and path.name.endswith(_ENDED):
            remove(path)


def _agree(folder: Path, shard: Shard, mine: dict[str, Any]) -> dict[str, Any]:
    """Write down what is agreed on unless that has been done; return what holds."""
    path = folder / BOOKKEEPING / _AGREED
    candidate = path.with_name(f"{shard.label}.new")
    candidate.write_text(json.dumps(mine), encoding="utf-8")
    sync_file(candidate)
    try:
        os.link(candidate, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        remove(candidate)
    return _read(folder) or mine


def _read(folder: Path) -> dict[str, Any] | None:
    path = folder / BOOKKEEPING / _AGREED
    try:
        agreed: dict[str, Any] = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise OutputError(
            f"{path} is damaged ({error}); delete it and run once without --shard."
        ) from error
    return agreed


def _missing(folder: Path, n_shards: int) -> str:
    """Name the shards that have not ended."""
    names = {path.name for path in entries(folder / BOOKKEEPING)}
    shards = (Shard(number, n_shards) for number in range(1, n_shards + 1))
    return ", ".join(str(each) for each in shards if f"{each.label}.{_ENDED}" not in names)
