"""The bare forward pass: the batches that a run would plan, through the encoder and no further.

`measure` starts one process a core; each runs `python -m benchmarks.bare JOB.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bertpipe.corpus import open_corpus
from bertpipe.corpus.chunks import iterate_chunks
from bertpipe.encoder.device import n_cpus
from bertpipe.job import chunk_chars
from bertpipe.processes import ONE_THREAD


def measure(job: Path, corpus: Path, **settings: object) -> tuple[float, int]:
    """Return the seconds of the slowest of one process a core, and the tokens of all."""
    chunks = _chunks(corpus)
    n_processes = min(n_cpus(), len(chunks))
    processes = []
    for i in range(n_processes):
        path = job.with_suffix(f".{i}.json")
        path.write_text(json.dumps({"chunks": chunks[i::n_processes], **settings}))
        command = [sys.executable, "-m", "benchmarks.bare", str(path)]
        processes.append(
            subprocess.Popen(
                command,
                env=os.environ | ONE_THREAD,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()  # ready
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in processes]
    return max(each["seconds"] for each in found), sum(each["tokens"] for each in found)


def _chunks(path: Path) -> list[list[str]]:
    """Return the texts of the chunks that a run makes of a file."""
    corpus = open_corpus([str(path)])
    size = chunk_chars(corpus.n_bytes, ["cpu"] * n_cpus())
    chunks = iterate_chunks(corpus, chunk_chars=size, done={})
    return [chunk.batch.column("text").to_pylist() for chunk in chunks]


def main(job: Path) -> None:
    """Plan the batches of the chunks, say so, wait for a line, and run them."""
    import pyarrow as pa
    import torch

    from bertpipe.annotators.ner import BertNer
    from bertpipe.annotators.passes import Pass
    from bertpipe.batching.plan import pack, plan
    from bertpipe.config import EncoderSettings
    from bertpipe.encoder.base import to_device

    wanted = json.loads(job.read_text())
    annotator = BertNer(model=wanted["model"], encoder=EncoderSettings(**wanted["encoder"]))
    run = Pass([annotator])
    device = run.loaded.encoder.device
    inputs = []
    for texts in wanted["chunks"]:
        request = annotator.request(pa.record_batch({"text": texts}))
        windowed = run._cut(request)
        for which in plan(windowed.windows.lengths, budget=run.scorer.batch_tokens):
            batch = pack(which, windowed.tokens, windowed.windows, run.loaded.template)
            inputs.append(to_device(batch, device))
    with torch.inference_mode():
        run.encoders(inputs[0])
        print("ready", flush=True)  # noqa: T201
        sys.stdin.readline()
        start = time.perf_counter()
        for each in inputs:
            run.encoders(each)
        if device != "cpu":
            torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    n_tokens = sum(len(each.ids) for each in inputs)
    print(json.dumps({"seconds": seconds, "tokens": n_tokens}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
