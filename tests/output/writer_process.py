"""A run that does nothing but write, in children that the parent kills: see test_kill.py.

    python writer_process.py OUT SEED N_KILLS

A child is forked, not started, so that many of them take little time. After the kills one child
runs to its end. Writes how many children were killed while they wrote.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

from conftest import (  # type: ignore[import-not-found]
    SCHEMA,
    STAMP,
    make_batch,
    make_job,
    make_source,
)

from bertpipe.corpus.chunks import Slice
from bertpipe.output.ledger import Ledger
from bertpipe.output.parquet import PartWriter

SOURCES = {f"{name}.jsonl": n_chunks for name, n_chunks in zip("abcdef", range(7, 13), strict=True)}
CHUNK_ROWS = 10
CHUNKS_A_PART = 2


def chunks():
    """Yield all chunks of the corpus: fixed boundaries, the last of a source says so."""
    for source, n_chunks in SOURCES.items():
        for i in range(n_chunks):
            is_last = i == n_chunks - 1
            yield Slice(source, i * CHUNK_ROWS, (i + 1) * CHUNK_ROWS, is_last)


def run(out: Path) -> None:
    """Do what the ledger lacks."""
    job, sources = make_job(), [make_source(name) for name in SOURCES]
    with Ledger.open(out, job, SCHEMA, sources=sources) as ledger:
        left = [chunk for chunk in chunks() if not _is_done(ledger, chunk)]
        for i in range(0, len(left), CHUNKS_A_PART):
            writer = PartWriter(out, SCHEMA, ledger.metadata, worker=i)
            for chunk in left[i : i + CHUNKS_A_PART]:
                writer.write(make_batch([chunk]), [chunk], {chunk.source: STAMP})
            ledger.commit(writer.close())
        ledger.finish({"rows": ledger.n_rows_done})


def _is_done(ledger: Ledger, chunk: Slice) -> bool:
    done = ledger.done.get(chunk.source)
    return done is not None and any(first <= chunk.first_row < end for first, end in done.ranges)


def kill_a_child(out: Path, delay_s: float) -> bool:
    """Start a run and kill it; tell whether it was killed before its end."""
    pid = os.fork()
    if pid == 0:
        run(out)
        os._exit(0)
    time.sleep(delay_s)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def main(out: Path, seed: int, n_kills: int) -> None:
    """Kill so often, then run to the end."""
    random.seed(seed)
    n_killed = 0
    for _ in range(n_kills):
        n_killed += kill_a_child(out, random.uniform(0.0, 0.06))
    run(out)
    sys.stdout.write(str(n_killed))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
