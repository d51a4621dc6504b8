"""What a part says of itself: the key `bertpipe` of its Parquet footer, as JSON.

Parquet protects pages with checksums but not the footer, so a second key holds the JSON's hash.

    format_version   of everything below and of the column types
    job              what has to be equal in all parts of a folder, see `Job`
    recorded         versions, device and the like: kept, not compared
    sources          {name: [size in bytes, modification time in ns, bytes covered, their SHA-256]}
    slices           [[source, first row, end row, is the source's last row among them], ...]
    errors           {type: number of rows whose `_error` has that type}
    content          [bytes before the indexes and the footer, their SHA-256]
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from bertpipe.corpus.chunks import Slice
from bertpipe.errors import OutputError
from bertpipe.records import FORMAT_VERSION

LINES, RELATIVE_TO = "lines", "paths relative to"  # in the fingerprint
KEY, HASH_KEY = b"bertpipe", b"bertpipe_sha256"
_SHOWN_CHARS = 80


class Stamp(NamedTuple):
    """The state of a source: size in bytes and modification time in nanoseconds.

    covered: how many bytes from the first on the rows depend on. digest: their SHA-256, if known.
    """

    size: int
    mtime_ns: int
    covered: int = 0
    digest: str = ""


@dataclass(frozen=True)
class Job:
    """What the first start fixes for every part of an output folder.

    `fingerprint` holds the settings that change results, by readable name, nested at will.
    `input_schema` and `chunk_chars` are found at the first start and read back by later ones.
    `recorded` is what is worth knowing but never compared: versions, device, workers, budget.
    """

    fingerprint: Mapping[str, Any]
    input_schema: pa.Schema
    chunk_chars: int
    text_field: str = "text"
    recorded: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def hash(self) -> str:
        """Return the same short text for the same settings, whatever their order."""
        canonical = json.dumps(_flat(self.settings()), sort_keys=True)
        return hashlib.sha256(canonical.encode("utf-8")).hexdigest()[:16]

    def settings(self) -> dict[str, Any]:
        """Return all that has to be equal in every part."""
        own = {"text_field": self.text_field, "chunk_chars": self.chunk_chars}
        return {**self.fingerprint, **own}

    def metadata(self) -> dict[str, Any]:
        """Return the same as JSON values, for the footers."""
        schema = self.input_schema.remove_metadata().serialize().to_pybytes()
        return {
            "format_version": FORMAT_VERSION,
            "job": {
                "fingerprint": dict(self.fingerprint),
                "hash": self.hash,
                "text_field": self.text_field,
                "chunk_chars": self.chunk_chars,
                "input_schema": base64.b64encode(schema).decode("ascii"),
            },
            "recorded": dict(self.recorded),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """Return the job that a footer names."""
        job = metadata["job"]
        return cls(
            fingerprint=job["fingerprint"],
            input_schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(job["input_schema"]))),
            chunk_chars=job["chunk_chars"],
            text_field=job["text_field"],
            recorded=metadata["recorded"],
        )


@dataclass(frozen=True)
class Part:
    """A whole part on disk: where it is, its columns as stored, and what its footer says."""

    path: Path
    n_rows: int
    schema: pa.Schema
    metadata: Mapping[str, Any]

    @property
    def job(self) -> Job:
        return Job.from_metadata(self.metadata)

    @property
    def job_hash(self) -> str:
        return self.metadata["job"]["hash"]

    @property
    def slices(self) -> tuple[Slice, ...]:
        return tuple(Slice(*values) for values in self.metadata["slices"])

    @property
    def stamps(self) -> dict[str, Stamp]:
        return {name: Stamp(*values) for name, values in self.metadata["sources"].items()}

    @property
    def errors(self) -> dict[str, int]:
        return self.metadata["errors"]

    @property
    def content(self) -> tuple[int, str]:
        """Return how many bytes of pages the file begins with, and their SHA-256."""
        n_bytes, digest = self.metadata["content"]
        return n_bytes, digest


def cut(slices: Sequence[Slice], first: int, end: int) -> Iterator[Slice]:
    """Yield what the rows `first` to `end` of a part are in its sources."""
    position = 0
    for each in slices:
        n_rows = each.end_row - each.first_row
        start, stop = max(first - position, 0), min(end - position, n_rows)
        if start < stop:
            is_last = each.is_last and stop == n_rows
            yield Slice(each.source, each.first_row + start, each.first_row + stop, is_last)
        position += n_rows


def footer_keys(
    metadata: Mapping[str, Any],
    *,
    slices: Sequence[Slice],
    stamps: Mapping[str, Stamp],
    errors: Mapping[str, int],
    content: tuple[int, str],
) -> dict[bytes, bytes]:
    """Return the footer keys for a part of the job that `metadata` describes."""
    text = json.dumps(
        {
            **metadata,
            "sources": {name: list(stamps[name]) for name in {s.source: None for s in slices}},
            "slices": [dataclasses.astuple(slice_) for slice_ in slices],
            "errors": dict(errors),
            "content": content,
        }
    ).encode()
    return {KEY: text, HASH_KEY: hashlib.sha256(text).hexdigest().encode()}


def read_part(path: Path) -> Part | None:
    """Read the footer of a part; None if the file is truncated or damaged.

    Raises:
        OutputError: The file is a Parquet file of somebody else, or of another output format.
    """
    stored = _read_footer(path)
    if stored is None:
        return None
    keys = stored.metadata or {}
    if KEY not in keys:
        raise OutputError(f"{path} was not written by bertpipe; move it or give another --output.")
    if hashlib.sha256(keys[KEY]).hexdigest().encode() != keys.get(HASH_KEY):
        return None
    metadata = json.loads(keys[KEY])
    if metadata["format_version"] != FORMAT_VERSION:
        raise OutputError(
            f"{path} has the output format {metadata['format_version']}, this bertpipe writes"
            f" {FORMAT_VERSION}; give another --output, or --overwrite to compute all rows again."
        )
    schema = stored.schema.to_arrow_schema().remove_metadata()
    part = Part(path, stored.num_rows, schema, metadata)
    n_rows = sum(slice_.end_row - slice_.first_row for slice_ in part.slices)
    return part if part.n_rows == n_rows else None


def is_foreign(path: Path) -> bool:
    """Tell whether a file is a whole Parquet file that lacks our footer key."""
    stored = _read_footer(path)
    return stored is not None and KEY not in (stored.metadata or {})


def _read_footer(path: Path) -> pq.FileMetaData | None:
    try:
        return pq.read_metadata(path)
    except pa.ArrowException:
        return None
    except OSError as error:
        # Arrow reports some damage as an OSError without a number; one with a number says
        # nothing about the content of the file.
        if error.errno is not None:
            raise
        return None


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return one phrase for each setting that differs: its dotted name, old and new value."""
    before, after = _flat(old), _flat(new)
    names = [*before, *(name for name in after if name not in before)]
    return [
        f"{name} was {_shown(before, name)}, now {_shown(after, name)}"
        for name in names
        if before.get(name) != after.get(name) or (name in before) != (name in after)
    ]


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the leaves of nested settings as JSON texts by dotted name."""
    leaves: dict[str, str] = {}
    for name, item in value.items():
        if isinstance(item, Mapping) and item:
            leaves |= _flat(item, f"{prefix}{name}.")
        else:
            leaves[f"{prefix}{name}"] = json.dumps(item, sort_keys=True, ensure_ascii=False)
    return leaves


def _shown(values: Mapping[str, str], name: str) -> str:
    text = values.get(name, "not set")
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
