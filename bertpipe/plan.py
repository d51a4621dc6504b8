"""`--dry-run`: what a run would do, found without a model, a lock or a written byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bertpipe.config import RunConfig
from bertpipe.corpus import Corpus, iterate_chunks
from bertpipe.corpus.sources import STANDARD_INPUT
from bertpipe.errors import ConfigError, OutputError
from bertpipe.job import chunk_chars, fingerprint, open_configured, with_local_models
from bertpipe.output.changes import Changes, compare
from bertpipe.output.coverage import Coverage
from bertpipe.output.files import BOOKKEEPING
from bertpipe.output.footer import Job, Part
from bertpipe.output.inventory import parts, refuse_other_settings
from bertpipe.output.overwrite import is_exchange_pending
from bertpipe.pool import worker_devices
from bertpipe.recall import COMPONENTS, circumstances, recall


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    n_rows: what the output holds. n_documents, n_chunks: to be computed. n_replaced: parts of which
    rows would be computed again, n_recomputed: these rows at most, n_retried: those in error.
    is_refused: sources have changed and nothing is said of them.
    """

    output: Path
    n_rows: int
    n_documents: int
    n_chunks: int
    n_replaced: int
    n_recomputed: int
    n_retried: int
    is_refused: bool
    new: tuple[str, ...]
    sources: dict[str, list[str]]

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return {**vars(self), "output": str(self.output), "new": list(self.new)}


def plan(
    paths: Sequence[str],
    *,
    config: RunConfig,
    output: Path,
    limit: int | None = None,
    overwrite: bool = False,
    retry: bool = False,
    changed: str | None = None,
    final: bool = False,
) -> Plan:
    """Say what `bertpipe.engine.run` would do when called like this.

    Where the models were seen before, other settings are refused as the run would refuse them.

    Raises:
        UsageError: As the run would; or the corpus is standard input, which can be read only once.
    """
    if STANDARD_INPUT in paths:
        raise ConfigError("--dry-run cannot look at standard input; save it to a file.")
    if is_exchange_pending(output):
        raise OutputError(f"{output} was left in the middle of a change; run again to finish it.")
    found = [] if overwrite else [part for _, part in parts(output) if part]
    job = found[0].job if found else None
    if job is not None:
        _refuse_other_settings(output, job, config)
    corpus = open_configured(paths, config, job.input_schema if job else None)
    changes = compare(found, corpus.sources, final=final)
    is_refused = bool(changes.changed) and changed is None
    told = changes.without_changed() if changed == "ignore" else changes
    if changed != "recompute":
        changes = changes.without_changed()
    sizes = _chunks(corpus, changes, found, _chunk_chars(corpus, config, job), limit)
    stale = [rows for rows in map(changes.stale_rows, found) if rows]
    ranges = [each for rows in stale for of_source in rows.values() for each in of_source]
    return Plan(
        output=output,
        n_rows=sum(part.n_rows for part in found),
        n_documents=sum(sizes),
        n_chunks=len(sizes),
        n_replaced=len(stale),
        n_recomputed=sum(end - first for first, end in ranges),
        n_retried=sum(sum(part.errors.values()) for part in found) if retry else 0,
        is_refused=is_refused,
        new=changes.new,
        sources=told.to_dict(),
    )


def _refuse_other_settings(output: Path, job: Job, config: RunConfig) -> None:
    """Compare what is known without a model: nothing, unless the components are recalled."""
    if not (output / BOOKKEEPING / COMPONENTS).exists():
        return
    local = with_local_models(config)
    devices = worker_devices(local, n_bytes=0)
    components = recall(output, circumstances(local, devices))
    if components is not None:
        refuse_other_settings(output, job.fingerprint, fingerprint(local, components))


def _chunk_chars(corpus: Corpus, config: RunConfig, job: Job | None) -> int:
    if job is not None:
        return job.chunk_chars
    return chunk_chars(corpus.n_bytes, worker_devices(config, n_bytes=corpus.n_bytes))


def _chunks(
    corpus: Corpus, changes: Changes, found: Sequence[Part], size: int, limit: int | None
) -> list[int]:
    """Return how many documents each chunk has that is to be computed."""
    coverage = Coverage()
    for part in found:
        coverage.add(part.path, part.slices, part.stamps)
    ends = {source.name: source.end for source in changes.sources if source.grows}
    now = replace(corpus, sources=changes.sources)
    done = coverage.done(ends)
    return [
        len(chunk.batch) for chunk in iterate_chunks(now, chunk_chars=size, done=done, limit=limit)
    ]
