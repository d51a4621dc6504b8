"""Find the files that a user means: files, folders, globs and standard input."""

import glob
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from stat import S_ISREG
from typing import cast
from urllib.parse import unquote

from bertpipe.corpus.streams import Meter, StandardInput, is_unicode
from bertpipe.errors import CorpusError
from bertpipe.records import BOOKKEEPING

STANDARD_INPUT = "-"
FORMAT_OF_EXTENSION = {
    "txt": "txt",
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "jsonlines": "jsonl",
    "json": "json",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
}
FORMATS = tuple(dict.fromkeys(FORMAT_OF_EXTENSION.values()))
COMPRESSIONS = ("gz", "zst", "bz2", "xz")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the corpus, as it was when the corpus was opened.

    `name` is what goes into `_source.path`; `inner` is the path below the folder that was given,
    which identifies a text file to its owner. Standard input has the path `-`, no size, no time.
    `grows` says that lines may be appended. `last_line_end` is set where only the bytes before it
    are to be read, because the line after them is not finished.
    """

    name: str
    path: str
    size: int
    mtime_ns: int
    format: str
    compression: str | None = None
    inner: str = ""
    partitions: Mapping[str, str | None] = field(default_factory=dict)
    grows: bool = False
    last_line_end: int | None = None
    stdin: StandardInput | None = field(default=None, compare=False, repr=False)
    meter: Meter = field(default_factory=Meter, compare=False, repr=False)

    @property
    def end(self) -> int:
        """Return how many bytes of the file are read."""
        return self.size if self.last_line_end is None else self.last_line_end


@dataclass(frozen=True, slots=True)
class _Found:
    """A path on disk, and whether the user named it or a folder brought it along."""

    path: str
    inner: str
    is_named: bool


def find_sources(
    paths: Sequence[str], *, wanted_format: str | None, relative_to: str | None
) -> tuple[tuple[Source, ...], tuple[str, ...]]:
    """Return the sources in order of their names, and the files of folders that no format fits.

    A file that is named, or matched by a glob, must have a known format; inside a folder a file of
    another kind is skipped. With `wanted_format`, named files and files of unknown extension are
    read in that format. The same file counts once.
    """
    sources: dict[str, Source] = {}
    skipped: list[str] = []
    for found in _found(paths):
        if found.path == STANDARD_INPUT:
            stdin = StandardInput(cast("io.BufferedReader", sys.stdin.buffer))
            source = Source("-", "-", 0, 0, wanted_format or "jsonl", inner="-", stdin=stdin)
            sources.setdefault(found.path, source)
            continue
        if os.path.isdir(found.path):
            skipped.append(_name_of(found.path, relative_to))
            continue
        kind, compression = _format_of(found, wanted_format)
        if kind is None:
            skipped.append(_name_of(found.path, relative_to))
        else:
            source = _source(found, kind, compression, relative_to)
            sources.setdefault(os.path.realpath(found.path), source)
    return tuple(sorted(sources.values(), key=lambda source: source.name)), tuple(sorted(skipped))


def _found(paths: Sequence[str]) -> Iterator[_Found]:
    for path in paths:
        if path == STANDARD_INPUT or os.path.isfile(path):
            yield _Found(path, os.path.basename(path), True)
        elif os.path.isdir(path):
            yield from _walk(path, path, set())
        elif os.path.lexists(path):
            raise CorpusError(
                f"{path} is neither a file nor a folder; give a file, or '-' for standard input."
            )
        elif glob.has_magic(path):
            yield from _expand(path)
        else:
            raise CorpusError(f"{path} does not exist; check the path of the corpus.")


def _expand(pattern: str) -> Iterator[_Found]:
    """Yield what a glob matches below its first wildcard, hidden and private names left out."""
    parts = pattern.split("/")
    fixed = "/".join(parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
    root = fixed or ("/" if pattern.startswith("/") else "")
    matches = sorted(path.rstrip("/") for path in glob.glob(pattern, recursive=True))
    inners = ((path, os.path.relpath(path, root or ".")) for path in matches)
    visible = [(path, inner) for path, inner in inners if not _is_private_path(inner)]
    visible = [(path, inner) for path, inner in visible if not _lies_in_output(path, inner)]
    files = [(path, inner) for path, inner in visible if os.path.isfile(path)]
    if "**" in parts and files:
        visible = files
    if not visible:
        raise CorpusError(f"{pattern} matches no file; check the pattern and the folder.")
    for path, inner in visible:
        if os.path.isdir(path):
            yield from _walk(path, root or ".", set())
        else:
            yield _Found(path, inner, True)


def _walk(folder: str, root: str, above: set[str]) -> Iterator[_Found]:
    """Yield the files below a folder; a link back to a folder above is not followed.

    An output of ours below it is yielded as a folder, for its name: it is no part of the corpus.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise CorpusError(f"{folder} cannot be read ({error.strerror}); mend it.") from error
    for entry in entries:
        if _is_private(entry.name):
            continue
        if os.path.isdir(entry.path) and not _is_output(entry.path):
            yield from _walk(entry.path, root, above | {real})
        else:
            yield _Found(entry.path, os.path.relpath(entry.path, root), False)


def _is_output(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, BOOKKEEPING))


def _lies_in_output(path: str, inner: str) -> bool:
    """Tell whether a folder between the fixed part of a glob and a match of it is an output."""
    above = [path]
    for _ in inner.split("/"):
        above.append(os.path.dirname(above[-1]))
    return any(_is_output(folder) for folder in above[:-1])


def _is_private(name: str) -> bool:
    return name.startswith(("_", "."))


def _is_private_path(inner: str) -> bool:
    return any(_is_private(part) for part in inner.split("/") if part not in (".", ".."))


def _format_of(found: _Found, wanted: str | None) -> tuple[str | None, str | None]:
    """Return format and compression; the format is None for a file to skip."""
    stem, _, last = os.path.basename(found.path).lower().rpartition(".")
    compression = last if last in COMPRESSIONS else None
    extension = stem.rpartition(".")[2] if compression else last
    known = FORMAT_OF_EXTENSION.get(extension) if stem else None
    if wanted is not None and (found.is_named or known is None):
        return wanted, compression
    if wanted is not None and not _reads_alike(known, wanted):
        return None, compression
    if known is None and found.is_named:
        raise CorpusError(
            f"{found.path} has no known extension ({', '.join(FORMAT_OF_EXTENSION)}, each also with"
            f" .{', .'.join(COMPRESSIONS)}); rename it or say --format."
        )
    return known, compression


def _reads_alike(known: str | None, wanted: str) -> bool:
    return known == wanted or {known, wanted} <= {"json", "jsonl"}


def _source(found: _Found, kind: str, compression: str | None, relative_to: str | None) -> Source:
    try:
        stat = os.stat(found.path)
    except OSError as error:
        raise CorpusError(
            f"{found.path} cannot be read ({error.strerror}); mend or remove it."
        ) from error
    if not S_ISREG(stat.st_mode):
        raise CorpusError(
            f"{found.path} is neither a file nor a folder but a pipe, say; remove it, or read it as"
            " standard input."
        )
    return Source(
        name=_name_of(found.path, relative_to),
        path=os.path.abspath(found.path),
        size=stat.st_size,
        mtime_ns=stat.st_mtime_ns,
        format=kind,
        compression=compression,
        inner=found.inner,
        partitions=_partitions(found.path),
    )


def _name_of(path: str, relative_to: str | None) -> str:
    name = os.path.abspath(path)
    if relative_to is not None:
        name = os.path.relpath(name, os.path.abspath(relative_to))
        if name.split("/")[0] == "..":
            raise CorpusError(
                f"{path} does not lie in {relative_to}; give --relative-to a folder above it."
            )
    if not is_unicode(name):
        raise CorpusError(f"{path!r} is not a valid Unicode file name; rename it.")
    return name


def _partitions(path: str) -> dict[str, str | None]:
    """Return the `key=value` folders of a path as it was given."""
    pairs = (part.split("=", 1) for part in os.path.dirname(path).split("/"))
    return {
        pair[0]: None if pair[1] == _NO_VALUE else unquote(pair[1])
        for pair in pairs
        if len(pair) == 2 and pair[0]
    }
