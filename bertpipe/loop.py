"""The parent's loop over chunks and over what its workers say of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict

import pyarrow as pa

from bertpipe.corpus import Corpus
from bertpipe.corpus.chunks import Chunk, iterate_chunks
from bertpipe.corpus.sources import STANDARD_INPUT
from bertpipe.dispatch import finish, hand_out
from bertpipe.errors import CorpusError, LimitError, WorkerError
from bertpipe.job import without_schema
from bertpipe.messages import Message
from bertpipe.output.examples import error_examples
from bertpipe.output.inventory import parts
from bertpipe.output.ledger import Ledger
from bertpipe.output.parquet import TemporaryPart
from bertpipe.pool import Pool
from bertpipe.report import Progress, Report, Tally
from bertpipe.stopping import StopSignal
from bertpipe.tolerance import Tolerance, commonest

PART_BYTES = 128_000_000
PROGRESS_SECONDS = 0.5


class Loop:
    """Hands out what the ledger lacks, commits what comes of it, and reports."""

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
        self.limit: int | None = None
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
        self.limit = limit
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
                share=self._share_done(),
            )
        )

    def _share_done(self) -> float | None:
        """Return how much is read, or was done and is not read again, by size.

        Of a run with a limit, which ends at it or with the corpus, it is the share of its rows if
        that is more.
        """
        share = self._share_read()
        if self.limit is None:
            return share
        return max(share or 0.0, min(1.0, (self.n_before + self.tally.n_rows) / self.limit))

    def _share_read(self) -> float | None:
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
