"""A long run takes no more memory, file handles or threads at its end than in its middle.

python -m pytest -m soak -s tests/test_leak.py
"""

import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from bertpipe.output.verify import verify
from bertpipe.testing import tiny_model

QUICK = ["--code", str(Path(__file__).parent / "plugin/quick.py")]
N_FILES, N_DOCUMENTS = 20, 5_000
MB = 1_000_000


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """100,000 documents of a few hundred characters."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for file in range(N_FILES):
        texts = (f"Ann saw {i} of {file} birds. " * (1 + i % 12) for i in range(N_DOCUMENTS))
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        (folder / f"{file:02}.jsonl").write_text(lines)
    return folder


def sample(process: psutil.Process) -> dict[str, list[tuple[int, int, int]]]:
    """Look at a run and its workers until it ends: bytes, file handles and threads of each."""
    found: dict[str, list[tuple[int, int, int]]] = {}
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        for each in (process, *process.children()):
            try:
                with each.oneshot():
                    seen = (each.memory_info().rss, each.num_fds(), each.num_threads())
            except psutil.Error:
                continue
            found.setdefault("run" if each == process else f"worker {each.pid}", []).append(seen)
        time.sleep(0.05)
    return found


@pytest.mark.soak
@pytest.mark.parametrize("component", ["quick", "bert"])
def test_a_hundred_thousand_documents_leave_memory_handles_and_threads_as_they_were(
    component, corpus, tmp_path, regex_plugin
):
    options = [*QUICK, "--components", "numbers=quick_numbers"]
    if component == "bert":
        model = tiny_model(tmp_path / "model", task="ner")
        options = ["--components", "ner", f"--components.ner.model={model}", "--run.stride=8"]
    command = [sys.executable, "-m", "bertpipe", "run", str(corpus), "-o", str(tmp_path / "out")]
    command += [*options, "--workers", "2", "--commit-every", "1", "--quiet"]
    with subprocess.Popen(command) as run:
        samples = sample(psutil.Process(run.pid))
    assert run.returncode == 0
    assert len(samples) == 3
    for name, seen in samples.items():
        middle, end = seen[len(seen) // 2 : 3 * len(seen) // 4], seen[3 * len(seen) // 4 :]
        (rss, fds, threads), last = (
            tuple(map(max, zip(*part, strict=True))) for part in (middle, end)
        )
        record = {"process": name, "middle_mb": rss // MB, "end_mb": last[0] // MB}
        record |= {"handles": [fds, last[1]], "threads": [threads, last[2]], "samples": len(seen)}
        sys.stdout.write(f"\n{component} {json.dumps(record)}")
        assert last[0] < 1.1 * rss + 10 * MB
        assert last[1] <= fds + 1  # a file may be open just then
        assert last[2] <= threads
    found = verify(tmp_path / "out", [str(corpus)])
    assert (found.n_rows, found.findings) == (N_FILES * N_DOCUMENTS, ())
