"""The run: from corpus to committed parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bertpipe.config import RunConfig
from bertpipe.errors import ConfigError
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
)
from bertpipe.loop import Loop
from bertpipe.output.folder import recorded_job
from bertpipe.output.footer import Job
from bertpipe.output.ledger import Ledger
from bertpipe.output.schema import output_schema
from bertpipe.output.shards import Shard
from bertpipe.pool import worker_devices
from bertpipe.recall import LatePool, circumstances, recall, remember
from bertpipe.report import Progress, Report
from bertpipe.retry import retry_errors
from bertpipe.rewrite import recompute_stale
from bertpipe.stopping import StopSignal
from bertpipe.tolerance import Tolerance


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
                loop = Loop(pool, ledger, opened, components, stop, progress, tolerance)
                loop.n_recomputed, loop.n_retried = n_recomputed, n_retried
                loop.commit_every, loop.started = config.commit_every, started
                return loop.run(limit)
