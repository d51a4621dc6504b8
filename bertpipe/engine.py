"""The run: the parent's loop from corpus to committed parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa

from bertpipe.config import RunConfig
from bertpipe.corpus import Corpus
from bertpipe.corpus.chunks import Chunk, iterate_chunks
from bertpipe.corpus.sources import STANDARD_INPUT
from bertpipe.dispatch import finish, hand_out
from bertpipe.errors import ConfigError, CorpusError, LimitError, WorkerError
from bertpipe.job import (
    agreed_chunk_chars,
    begin_shard,
    chunk_chars,
    column_types,
    fingerprint,
    open_configured,
    recorded,
    refuse_own_output,
    refuse_second_input,
    with_local_models,
    without_schema,
)
from bertpipe.messages import Message
from bertpipe.output.examples import error_examples
from bertpipe.output.folder import recorded_job
from bertpipe.output.footer import Job
from bertpipe.output.inventory import parts
from bertpipe.output.ledger import Ledger
from bertpipe.output.parquet import TemporaryPart
from bertpipe.output.schema import output_schema
from bertpipe.output.shards import Shard
from bertpipe.pool import Pool, worker_devices
from bertpipe.recall import LatePool, circumstances, recall, remember
from bertpipe.report import Progress, Report, Tally
from bertpipe.retry import retry_errors
from bertpipe.rewrite import recompute_stale
from bertpipe.stopping import StopSignal
from bertpipe.tolerance import Tolerance, commonest

PART_BYTES = 128_000_000
PROGRESS_SECONDS = 0.5


def run(
    corpus: Sequence[str],
    *,
    config: RunConfig,
    output: Path,
    limit: int | None = None,
    overwrite: bool = False,
    retry: bool = False,
    changed: str | None = None,
    final: bool = False,
    shard: Shard | None = None,
    tolerance: Tolerance | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Annotate a corpus into Parquet parts in the folder `output`; go on where a run stopped.

    Every input record becomes exactly one row. `limit` stops after that many records of the corpus.
    `overwrite` replaces an output made with other settings. `retry` first computes the rows in
    error again. `changed` says what to do with a source that is no longer what its rows were made
    from: `recompute` or `ignore`; None refuses it. `final` counts the last line of a growing file
    though it does not end. `shard` computes only the chunks of one shard. `tolerance` says how many
    rows of the output, those of earlier runs included, may be in error; None is any number.

    Raises:
        UsageError: The corpus, a setting, a model or the output folder cannot be used as asked.
        BusyError: Another run holds the output folder.
        StoppedError: A signal ended the run; what was whole is committed.
        LimitError: More rows are in error than `tolerance` says; what was whole is committed.
    """
    started = time.monotonic()
    if overwrite and retry:
        raise ConfigError("--overwrite computes all rows, --retry-errors some; give one of them.")
    if shard and (overwrite or retry or changed == "recompute"):
        raise ConfigError(
            "--shard adds rows, --overwrite, --retry-errors and --changed recompute replace some;"
            " run without --shard for that."
        )
    with StopSignal(config.grace) as stop:
        opened = open_configured(corpus, config)
        refuse_own_output(opened, output)
        config = with_local_models(config)
        devices = worker_devices(config, n_bytes=opened.n_bytes)
        state = circumstances(config, devices)
        with closing(LatePool(config, devices, output, recall(output, state))) as pool:
            components = pool.components
            settings = fingerprint(config, components)
            job = recorded_job(output, settings, overwrite=overwrite)
            if job is not None:
                opened = open_configured(corpus, config, job.input_schema)
            job = Job(
                fingerprint=settings,
                input_schema=opened.schema,
                chunk_chars=agreed_chunk_chars(output, job) or chunk_chars(opened.n_bytes, devices),
                text_field=config.text_field,
                recorded=recorded(pool, config, components),
            )
            columns = output_schema(opened.schema, column_types(components))
            ledger = Ledger.open(
                output,
                job,
                columns,
                sources=opened.sources,
                overwrite=overwrite,
                changed=changed,
                final=final,
                shard=shard,
            )
            with closing(ledger):
                if shard:
                    begin_shard(ledger, shard, opened, limit)
                refuse_second_input(ledger)
                remember(output, state, components)
                opened = replace(opened, sources=ledger.sources)
                n_recomputed = recompute_stale(pool, ledger, opened)
                n_retried = retry_errors(pool, ledger, opened) if retry else 0
                loop = _Loop(pool, ledger, opened, components, stop, progress, tolerance)
                loop.n_recomputed, loop.n_retried = n_recomputed, n_retried
                loop.commit_every, loop.started = config.commit_every, started
                return loop.run(limit)


class _Loop:
    """The parent's loop over chunks and messages."""

    def __init__(
        self,
        pool: Pool,
        ledger: Ledger,
        corpus: Corpus,
        components: list[Message],
        stop: StopSignal,
        progress: Callable[[Progress], None] | None,
        tolerance: Tolerance | None,
    ) -> None:
        self.pool = pool
        self.ledger = ledger
        self.corpus = corpus
        self.components = components
        self.stop = stop
        self.progress = progress or (lambda moment: None)
        self.tolerance = tolerance
        self.tally = Tally()
        self.started = 0.0
        self.ready = time.monotonic()
        self.told = 0.0
        self.commit_every = 0.0
        self.has_workers = False
        self.done = ledger.done
        self.n_recomputed = self.n_retried = 0
        self.n_before = ledger.n_rows_done
        self.n_errors_before = ledger.errors.total()

    def _prepare(self) -> None:
        """Tell the workers where and how to write; this starts them, if nothing has before."""
        message = {
            "type": "open",
            "folder": str(self.ledger.folder),
            "schema": self.ledger.schema.serialize().to_pybytes().hex(),
            "metadata": self.ledger.metadata,
            "part_bytes": PART_BYTES,
            "part_seconds": self.commit_every,
        }
        for worker in range(self.pool.n_workers):
            self.pool.send(worker, {**message, "worker": self._label(worker)})
        self.has_workers = True
        self.ready = time.monotonic()

    def _label(self, worker: int) -> str:
        """Return what the names of a worker's files begin with."""
        return f"{self.ledger.shard.label}.{worker}" if self.ledger.shard else str(worker)

    def run(self, limit: int | None) -> Report:
        """Annotate what the ledger lacks; when it ends early, commit what is whole first."""
        if self._has_too_many_errors():
            raise self._limit_error()
        with self.stop.held():
            self._annotate(limit)
            while self.tally.has_lost and not self._is_over():
                self._refuse_to_read_twice()
                self.tally.has_lost = False
                self._annotate(limit)
        if self.stop.is_set():
            n_rows = self.ledger.n_rows_done
            raise self.stop.error(f"after {n_rows} rows were committed in {self.ledger.folder}")
        report = self._report()
        tolerance = self.tolerance
        if tolerance and not tolerance.bears(report.n_errors, report.n_rows):
            self.ledger.write_report(report.to_dict())
            raise self._limit_error()
        self.ledger.finish(report.to_dict())
        return report

    def _annotate(self, limit: int | None) -> None:
        """Hand out the chunks that the ledger lacks, and commit what comes of them."""
        chunks: Iterator[Chunk] = iterate_chunks(
            self.corpus, chunk_chars=self.ledger.job.chunk_chars, done=self.ledger.done, limit=limit
        )
        if self.ledger.shard:
            chunks = filter(self.ledger.shard.owns, chunks)
        work = map(self._work, self.stop.waiting_for(chunks))
        try:
            self._listen(hand_out(self.pool, work, self._is_over))
        except CorpusError:
            self._finish()  # what was read before is kept
            raise
        self._finish()

    def _finish(self) -> None:
        if self.has_workers:
            self._listen(finish(self.pool, self._is_over))

    def _is_over(self) -> bool:
        return self.stop.is_set() or self._has_too_many_errors()

    def _refuse_to_read_twice(self) -> None:
        if STANDARD_INPUT in (source.name for source in self.corpus.sources):
            raise WorkerError(
                "A worker died with rows that were not committed, and standard input cannot be read"
                f" a second time; what is committed in {self.ledger.folder} stands. Save the input"
                " to a file and run on that."
            )

    def _has_too_many_errors(self) -> bool:
        n_errors = self.n_errors_before + self.tally.n_errors
        n_rows = self.n_before + self.tally.n_rows
        return self.tolerance is not None and not self.tolerance.bears_so_far(n_errors, n_rows)

    def _limit_error(self) -> LimitError:
        folder, errors = self.ledger.folder, self.ledger.errors
        examples = error_examples(part for _, part in parts(folder) if part)
        return LimitError(
            f"{errors.total():,} of {self.ledger.n_rows_done:,} rows of {folder} are in error, more"
            f" than the limit of {self.tolerance}: "
            f"{commonest(errors, {**examples, **self.tally.examples})}; what is whole is committed."
            " Mend the corpus or the settings, or raise --max-errors, and run again."
        )

    def _work(self, chunk: Chunk) -> tuple[Message, pa.RecordBatch]:
        if not self.has_workers:
            self._prepare()
        slices = [asdict(each) for each in chunk.slices]
        stamps = self.ledger.stamps(chunk.slices)
        return {"type": "chunk", "slices": slices, "stamps": stamps}, chunk.batch

    def _listen(self, messages: Iterator[Message]) -> None:
        for message in messages:
            self.tally.add(message)
            if message["type"] == "part":
                self.ledger.commit(TemporaryPart.from_json(message["part"]))
            elif message["type"] == "died":
                self.ledger.clean_up_after(self._label(message["worker"]))
            self._tell()

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self.told < PROGRESS_SECONDS:
            return
        self.told = now
        self.progress(
            Progress(
                n_rows=self.tally.n_rows,
                n_done=self.n_before,
                n_errors=self.tally.n_errors,
                n_tokens=self.tally.n_tokens,
                seconds=now - self.ready,
                share=self._share_read(),
            )
        )

    def _share_read(self) -> float | None:
        """Return how much of the corpus is read, or was done and is not read again, by size."""
        n_bytes = self.corpus.n_bytes
        complete = {name for name, done in self.done.items() if done.complete}
        n_skipped = sum(source.size for source in self.corpus.sources if source.name in complete)
        return min(1.0, (self.corpus.n_bytes_read + n_skipped) / n_bytes) if n_bytes else None

    def _report(self) -> Report:
        return Report(
            output=self.ledger.folder,
            n_rows=self.ledger.n_rows_done,
            n_errors=sum(self.ledger.errors.values()),
            errors_by_type=dict(self.ledger.errors),
            examples=self.tally.examples,
            n_new=self.tally.n_rows,
            n_recomputed=self.n_recomputed,
            n_retried=self.n_retried,
            sources=self.ledger.changes.to_dict(),
            n_tokens=self.tally.n_tokens,
            labels=self.tally.top_labels(),
            seconds=time.monotonic() - self.ready,
            startup_seconds=self.ready - self.started,
            stage_seconds={name: round(each, 3) for name, each in self.tally.seconds.items()},
            counts=dict(self.tally.counts),
            passes=self.tally.passes,
            components=[without_schema(component) for component in self.components],
            skipped=[str(path) for path in self.corpus.skipped],
            n_workers=self.pool.n_workers,
        )
