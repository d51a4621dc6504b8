"""Read a whole output again and say what is not as it was written, or not all there."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bertpipe.corpus import Source, SourceDone, open_corpus
from bertpipe.corpus.sources import STANDARD_INPUT, find_sources
from bertpipe.errors import BusyError, CorpusError, OutputError
from bertpipe.output.changes import Changes, compare
from bertpipe.output.coverage import Coverage
from bertpipe.output.files import BOOKKEEPING, LOCK, sha256
from bertpipe.output.footer import LINES, RELATIVE_TO, Job, Part, differences, read_part
from bertpipe.output.inventory import part_paths, source_places
from bertpipe.output.lock import living_holder
from bertpipe.output.parquet import count_errors, part_name
from bertpipe.records import SOURCE

_BATCH_ROWS = 4_096
_CURE = "move it out of the folder and run again to compute its rows anew."


@dataclass(frozen=True)
class Verification:
    """What a reading of an output found; `findings` is empty when all is well.

    gone: sources that have rows here but cannot be looked at any more, which is no finding.
    """

    output: Path
    n_rows: int
    n_parts: int
    n_sources: int
    findings: tuple[str, ...]
    gone: tuple[str, ...]


def verify(
    folder: Path,
    paths: Sequence[str] = (),
    *,
    format: str | None = None,  # noqa: A002
) -> Verification:
    """Read every page of an output and hold it against its footers and against the sources.

    Without `paths` the sources are looked for where they were; with them every record of that
    corpus has to have its row. A source of another size or time is compared by its bytes.

    Raises:
        OutputError: The folder is no output of ours. BusyError: a run is at work in it.
        CorpusError: A path does not exist, or its format is unknown.
    """
    if not (folder / BOOKKEEPING).is_dir():
        raise OutputError(f"{folder} is no output of bertpipe; give the --output of a run.")
    running = living_holder(folder / BOOKKEEPING / LOCK)
    if running:
        raise BusyError(f"{folder} is in use by {running}; wait for its end to verify it.")
    findings: list[str] = []
    found = list(_whole_parts(folder, findings))
    done = _coverage(found, findings)
    findings += _other_jobs(found)
    changes = compare(found, _sources(found, paths, format))
    now = {source.name: source for source in changes.sources}
    doubted = {*changes.grown, *(name for name, each in done.items() if not each.complete)}
    longer = {name for name in doubted if _is_longer(found[0].job, now.get(name), done[name])}
    for name, each in done.items():
        findings += _missing_rows(name, each, longer.difference(changes.grown))
    findings += _changed(changes, longer)
    if found:
        findings += _left_out(found[0].job, now, done)
    return Verification(
        output=folder,
        n_rows=sum(part.n_rows for part in found),
        n_parts=len(found),
        n_sources=len(done),
        findings=tuple(findings),
        gone=tuple(name for name in changes.gone if name != STANDARD_INPUT),
    )


def _whole_parts(folder: Path, findings: list[str]) -> Iterator[Part]:
    """Yield the parts whose footer can be used; note what is wrong with any."""
    for path in part_paths(folder):
        try:
            part = read_part(path)
        except OutputError as error:
            findings.append(str(error))
            continue
        if part is None:
            findings.append(f"{path} is truncated, or its footer is damaged; {_CURE}")
            continue
        findings += _part_findings(part)
        yield part


def _part_findings(part: Part) -> Iterator[str]:
    if part.path.name != part_name(part.slices):
        yield f"{part.path} is not named {part_name(part.slices)}, as its rows say; rename it."
    if part.job.hash != part.job_hash:
        yield f"{part.path} names settings that do not have the hash beside them; {_CURE}"
    try:
        yield from _row_findings(part)
        n_bytes, digest = part.content
        if sha256(part.path, n_bytes) != digest:
            yield f"{part.path} was changed after it was written: its hash is another; {_CURE}"
    except (pa.ArrowException, OSError) as error:
        yield f"{part.path} has a damaged page ({' '.join(str(error).split())}); {_CURE}"


def _row_findings(part: Part) -> Iterator[str]:
    """Read all pages; say if the rows or the errors are not those that the footer names."""
    wanted = _rows(part)
    is_right, errors = True, Counter[str]()
    options = {"page_checksum_verification": True, "pre_buffer": False}
    with pq.ParquetFile(part.path, **options) as file:
        for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
            errors += count_errors(batch)
            is_right = is_right and _identities(batch) == [next(wanted) for _ in range(len(batch))]
    if not is_right:
        yield f"{part.path} holds other rows than its footer names; {_CURE}"
    if errors != part.errors:
        yield f"{part.path} has {errors.total():,} rows in error, its footer counts others; {_CURE}"


def _rows(part: Part) -> Iterator[tuple[str, int]]:
    for slice_ in part.slices:
        for row in range(slice_.first_row, slice_.end_row):
            yield slice_.source, row


def _identities(batch: pa.RecordBatch) -> list[tuple[str, int]]:
    identity = batch.column(SOURCE)
    names = pc.struct_field(identity, "path").to_pylist()
    rows: np.ndarray = pc.struct_field(identity, "row").to_numpy(zero_copy_only=False)
    return list(zip(names, rows.tolist(), strict=True))


def _coverage(found: Iterable[Part], findings: list[str]) -> dict[str, SourceDone]:
    coverage = Coverage()
    for part in found:
        try:
            coverage.add(part.path, part.slices, part.stamps)
        except OutputError as error:
            findings.append(str(error))
    return coverage.done()


def _other_jobs(found: Sequence[Part]) -> Iterator[str]:
    for part in found[1:]:
        first = found[0]
        if part.job_hash != first.job_hash:
            how = differences(first.job.settings(), part.job.settings())
            yield f"{part.path} was made with other settings than {first.path.name}: {how}; {_CURE}"
        if not part.schema.equals(first.schema):
            yield f"{part.path} has other columns than {first.path.name}; {_CURE}"


def _missing_rows(name: str, done: SourceDone, longer: Collection[str]) -> Iterator[str]:
    end_row = 0
    for first, end in done.ranges:
        if first > end_row:
            yield f"{name}: rows {end_row:,} to {first - 1:,} are missing; run again."
        end_row = end
    if not done.complete and name in longer:
        yield f"{name}: rows from {end_row:,} on are missing, its end was not reached; run again."


def _sources(
    found: Sequence[Part],
    paths: Sequence[str],
    format: str | None,  # noqa: A002
) -> list[Source]:
    """Return the sources that can be looked at now: those of the paths, or where they were."""
    relative_to = found[0].job.fingerprint.get(RELATIVE_TO) if found else None
    if paths:
        sources = find_sources(paths, wanted_format=format, relative_to=relative_to)[0]
    else:
        places = filter(os.path.isfile, source_places(found).values())
        sources = tuple(_source(place, format, relative_to) for place in places)
    return [replace(source, grows=True) for source in sources]


def _source(place: str, format: str | None, relative_to: str | None) -> Source:  # noqa: A002
    try:
        (source,), _ = find_sources([place], wanted_format=format, relative_to=relative_to)
    except CorpusError:  # the extension does not tell the format, so its records cannot be read
        (source,), _ = find_sources([place], wanted_format="txt", relative_to=relative_to)
        return replace(source, format="")
    return source


def _changed(changes: Changes, longer: Collection[str]) -> Iterator[str]:
    for name in changes.changed:
        yield f"{name} changed since its rows were written; run again with --changed recompute."
    for name in changes.grown:
        if name in longer:
            yield f"{name} has grown since its rows were written; run again to compute what is new."


def _left_out(job: Job, now: Mapping[str, Source], done: Mapping[str, SourceDone]) -> Iterator[str]:
    """Name the sources without any row, unless they have no record."""
    for name, source in now.items():
        if name not in done and _has_record(job, source, 0):
            yield f"{name}: no row is here; run again to compute them."


def _is_longer(job: Job, source: Source | None, done: SourceDone) -> bool:
    """Tell whether a source has records after the last that has a row, or may have some."""
    return source is None or _has_record(job, source, done.ranges[-1][1])


def _has_record(job: Job, source: Source, row: int) -> bool:
    if not source.format:
        return True
    corpus = open_corpus(
        [source.path],
        format=source.format,
        text_field=job.text_field,
        lines=bool(job.fingerprint.get(LINES)),
        schema=job.input_schema,
    )
    now = replace(corpus.sources[0], last_line_end=source.last_line_end)
    skip = [(0, row)] if row else []
    return next(corpus.read(now, skip=skip, stop=row + 1), None) is not None
