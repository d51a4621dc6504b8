"""Write parts: in a worker to a temporary file, in the parent to their place.

A worker's file lies in `_bertpipe/tmp/` and is not called `.parquet`, so no reader takes it for
output. It is closed and synced before the parent hears of it. The parent reads its footer, renames
it and syncs the folder: after a crash a part is there whole or not at all.
"""

import contextlib
import hashlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path, PurePath
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.corpus.chunks import Slice
from bertpipe.corpus.sources import COMPRESSIONS
from bertpipe.errors import OutputError
from bertpipe.output.files import BOOKKEEPING, move, remove, sha256, sync_file
from bertpipe.output.footer import Part, Stamp, footer_keys, read_part
from bertpipe.output.schema import as_stored, leaf_columns
from bertpipe.records import ERROR, SOURCE

TEMPORARY = "tmp"
SUFFIX = ".parquet"
ROW_GROUP_ROWS = 50_000
ROW_GROUP_BYTES = 64 << 20
PART_NAME = re.compile(r".+-\d{10,}-[0-9a-f]{12}\.parquet")
_MAX_STEM_BYTES = 100
_FEW_VALUES = frozenset({"_source.path", "_error.stage", "_error.component", "_error.type"})
_LABELS = frozenset({"label", "labels", "question"})


@dataclass(frozen=True)
class TemporaryPart:
    """A part that is whole and synced but not yet in its place."""

    path: str
    name: str
    n_rows: int
    slices: tuple[Slice, ...]
    stamps: Mapping[str, Stamp]

    def to_json(self) -> dict[str, Any]:
        """Return what goes over a pipe."""
        slices = [astuple(slice_) for slice_ in self.slices]
        return {**vars(self), "slices": slices}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return what `to_json` was called on."""
        slices = tuple(Slice(*values) for values in value["slices"])
        stamps = {name: Stamp(*each) for name, each in value["stamps"].items()}
        return cls(value["path"], value["name"], value["n_rows"], slices, stamps)


class PartWriter:
    """One temporary part, written chunk by chunk.

    `metadata` is `Job.metadata()`. Small chunks are gathered to row groups of about 64 MB.
    """

    def __init__(
        self, folder: Path, schema: pa.Schema, metadata: Mapping[str, Any], *, worker: str | int
    ) -> None:
        self.n_rows = 0
        self._path = folder / BOOKKEEPING / TEMPORARY / f"{worker}-{uuid.uuid4().hex}"
        self._schema = schema
        self._metadata = metadata
        self._slices: list[Slice] = []
        self._stamps: dict[str, Stamp] = {}
        self._errors: Counter[str] = Counter()
        self._waiting: list[pa.RecordBatch] = []
        self._n_waiting_bytes = 0
        self._path.parent.mkdir(exist_ok=True)  # no output is made anew where one was moved away
        self._sink = pa.OSFile(str(self._path), "wb")
        self._writer = _open_writer(self._sink, schema, metadata["job"]["text_field"])

    @property
    def n_bytes(self) -> int:
        """Return the size of the file plus what still waits in memory, not yet compressed."""
        return self._sink.tell() + self._n_waiting_bytes

    def write(
        self, batch: pa.RecordBatch, slices: Sequence[Slice], stamps: Mapping[str, Stamp]
    ) -> None:
        """Append a whole chunk; `stamps` has the state of each of its sources (`Ledger.stamps`)."""
        self._check(batch, slices)
        for slice_ in slices:
            _extend(self._slices, slice_)
            self._stamps[slice_.source] = Stamp(*stamps[slice_.source])
        self._errors += count_errors(batch)
        self.n_rows += batch.num_rows
        self._waiting.append(batch)
        self._n_waiting_bytes += batch.nbytes
        n_waiting_rows = sum(waiting.num_rows for waiting in self._waiting)
        if self._n_waiting_bytes >= ROW_GROUP_BYTES or n_waiting_rows >= ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> TemporaryPart:
        """Write the footer and return when the file is on disk."""
        self._flush()
        n_bytes = self._sink.tell()
        keys = footer_keys(
            self._metadata,
            slices=self._slices,
            stamps=self._stamps,
            errors=self._errors,
            content=(n_bytes, sha256(self._path, n_bytes)),
        )
        self._writer.add_key_value_metadata(keys)
        self._writer.close()
        self._sink.close()
        sync_file(self._path)
        slices = tuple(self._slices)
        name = part_name(slices)
        return TemporaryPart(str(self._path), name, self.n_rows, slices, dict(self._stamps))

    def abandon(self) -> None:
        """Leave nothing behind, also after a write that failed."""
        remove(self._path)
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._sink.close()

    def _check(self, batch: pa.RecordBatch, slices: Sequence[Slice]) -> None:
        """Hold the rows that came through the annotators against those that were handed out."""
        if not batch.schema.equals(self._schema):
            raise ValueError(f"A chunk has the columns {batch.schema}; wanted are {self._schema}.")
        rows = np.concatenate([np.arange(each.first_row, each.end_row) for each in slices])
        found = pc.struct_field(batch.column(SOURCE), "row").to_numpy(zero_copy_only=False)
        if not np.array_equal(rows, found):
            raise ValueError(f"A chunk of {len(rows)} rows, {slices}, came back with other rows.")

    def _flush(self) -> None:
        table = pa.Table.from_batches(self._waiting, self._schema)
        if table.num_rows:
            n_rows = ROW_GROUP_BYTES * table.num_rows // max(table.nbytes, 1)
            self._writer.write_table(table, max(1, min(ROW_GROUP_ROWS, n_rows)))
        self._waiting = []
        self._n_waiting_bytes = 0


def part_name(slices: Sequence[Slice]) -> str:
    """Return STEM-FIRSTROW-HASH.parquet: equal for equal slices, sorted as the corpus is.

    STEM is the file name of the first source without its extension, FIRSTROW has ten digits.
    """
    first = slices[0]
    covered = json.dumps([(s.source, s.first_row, s.end_row) for s in slices])
    digest = hashlib.sha256(covered.encode("utf-8")).hexdigest()[:12]
    return f"{_stem(first.source)}-{first.first_row:010d}-{digest}{SUFFIX}"


def commit_part(
    folder: Path, part: TemporaryPart, *, schema: pa.Schema, suffix: str = SUFFIX
) -> Part:
    """Check a temporary part and put it in its place; the parent alone does so, under the lock.

    Raises:
        OutputError: Its footer cannot be read, or rows, slices or columns are not as announced.
    """
    found = read_part(Path(part.path))
    if found is None or (found.n_rows, found.slices) != (part.n_rows, part.slices):
        raise OutputError(
            f"{part.path} does not hold the {part.n_rows} rows that its worker announced for"
            f" {part.name}; run again to compute them anew."
        )
    if not found.schema.equals(as_stored(schema)):
        raise OutputError(
            f"{part.path} has the columns {found.schema.names}, or types, that differ from those"
            f" of the job, {schema.names}; run again with the same settings."
        )
    target = folder / f"{part.name.removesuffix(SUFFIX)}{suffix}"
    move(found.path, target)
    return Part(target, found.n_rows, found.schema, found.metadata)


def _open_writer(sink: pa.NativeFile, schema: pa.Schema, text_field: str) -> pq.ParquetWriter:
    leaves = leaf_columns(schema)
    return pq.ParquetWriter(
        sink,
        schema.remove_metadata(),
        version="2.6",
        data_page_version="1.0",
        compression="zstd",
        compression_level=3,
        use_dictionary=[leaf for leaf in leaves if _has_few_values(leaf)],
        # Smallest and largest text of a page help no query and make the footer large.
        write_statistics=[
            leaf for leaf in leaves if leaf.rpartition(".")[2] != "text" and leaf != text_field
        ],
        write_page_index=True,
        write_page_checksum=True,
    )


def _has_few_values(leaf: str) -> bool:
    parts = leaf.split(".")
    return leaf in _FEW_VALUES or (len(parts) > 1 and not _LABELS.isdisjoint(parts[1:]))


def _extend(slices: list[Slice], new: Slice) -> None:
    """Append a slice, or lengthen the last one where the new one goes on."""
    last = slices[-1] if slices else None
    if last and (last.source, last.end_row) == (new.source, new.first_row):
        slices[-1] = Slice(new.source, last.first_row, new.end_row, new.is_last)
    else:
        slices.append(new)


def count_errors(batch: pa.RecordBatch) -> Counter[str]:
    """Return how many rows are in error, by type."""
    errors = batch.column(ERROR).drop_null()
    types = pc.fill_null(pc.struct_field(errors, "type"), "unknown")
    return Counter({pair["values"]: pair["counts"] for pair in pc.value_counts(types).to_pylist()})


def _stem(source: str) -> str:
    """Return a readable piece of a file name: no leading sign that hides it or reads as an option.

    Spark and pyarrow pass over names that begin with `_` or a dot.
    """
    path = PurePath(source)
    if path.suffix.removeprefix(".").lower() in COMPRESSIONS:
        path = path.with_suffix("")
    stem = re.sub(r"[^\w.]+", "-", path.stem).strip("._-")
    short = stem.encode("utf-8", "replace")[:_MAX_STEM_BYTES].decode("utf-8", "ignore")
    return short or "part"
