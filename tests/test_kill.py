"""The command under SIGKILL: in every stage, and at any moment, again and again.

The long ones are not part of a usual run of the tests:

    python -m pytest -m soak -s tests/test_kill.py
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds
import pytest

from bertpipe.testing import tiny_model

HERE = Path(__file__).parent
QUICK = ["--code", str(HERE / "plugin/quick.py"), "--components", "numbers=quick_numbers"]
STAGES = (
    "taking the lock",
    "reading",
    "tokenising",
    "forward",
    "decoding",
    "writing",
    "closing a part",
    "between write and rename",
    "between rename and what follows",
    "counting a part",
    "writing the report",
    "giving back the lock",
)


@pytest.fixture(scope="module")
def killed_in_stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What was found after a kill in each stage, and after the run that followed it."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(HERE / "plugin"),
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    folder = tmp_path_factory.mktemp("stages")
    command = [sys.executable, str(HERE / "stage_process.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    assert tuple(found) == STAGES
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_killed_in_a_stage_nothing_is_lost_or_doubled(stage, killed_in_stages):
    found = killed_in_stages[stage]
    n_rows = found.pop("n_rows_then")
    assert found == {
        "ended_by": -9,
        "n_twice": 0,
        "then": 0,
        "is_equal": True,
        "findings": [],
        "left": ["components.json", "report.json"],
    }
    # A part that stands under its name is whole, also if the run was killed right after that.
    is_early = STAGES.index(stage) < STAGES.index("writing the report")
    assert (n_rows < 180) == is_early


class Job:
    """A corpus that grows, and the command that is killed while it annotates it."""

    def __init__(self, folder: Path, components: Sequence[str], *, seed: int) -> None:
        self.corpus, self.output = folder / "corpus", folder / "out"
        self.corpus.mkdir()
        self.command = [sys.executable, "-m", "bertpipe", "run", str(self.corpus), *components]
        self.random = random.Random(seed)
        self.n_files = 0

    def grow(self, n_documents: int) -> None:
        """Add a file; a few of its documents are bad."""
        numbers = (self.random.randrange(10**6) for _ in range(n_documents))
        lines = [json.dumps({"text": f"Number {i}. " + "word " * 140}) for i in numbers]
        lines[n_documents // 2] = self.random.choice(['{"cut', '{"text": null}', lines[0]])
        (self.corpus / f"{self.n_files:04}.jsonl").write_text("\n".join(lines) + "\n")
        self.n_files += 1

    def start(self, output: Path | None = None) -> subprocess.Popen[bytes]:
        """Start the command; its parts are of one chunk, of some, or of all that a worker does."""
        every = self.random.choice(("0", "0.05", "1h"))
        more = ["-o", str(output or self.output), "--commit-every", every, "--quiet"]
        return subprocess.Popen([*self.command, *more, "--allow-errors", "100%"])

    def kill_until(self, n_kills: int, *, n_documents: int) -> dict[str, int]:
        """Kill the command so often at work; where it ends before, let the corpus grow."""
        n_killed = n_ended = 0
        began = time.monotonic()
        self.grow(n_documents)
        assert self.start().wait() == 0
        longest = time.monotonic() - began
        while n_killed < n_kills:
            self.grow(n_documents)
            process = self.start()
            try:
                code = process.wait(timeout=self.random.uniform(0, longest))
                assert code == 0
                n_ended += 1
            except subprocess.TimeoutExpired:
                self.kill(process)
                n_killed += 1
        return {"kills": n_killed, "runs": n_killed + n_ended + 2}

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the command; its workers end with it, and no row stands there twice."""
        workers = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive
        found = [row[:2] for row in self.rows(["_source"])]
        assert len(found) == len(set(found))

    def rows(self, columns: Sequence[str], output: Path | None = None) -> list[tuple[Any, ...]]:
        """Return the rows as texts, in order."""
        output = output or self.output
        if not list(output.glob("*.parquet")):
            return []
        table = ds.dataset(output, format="parquet").to_table(columns=list(columns))
        key = ("path", "row")
        return sorted(
            (*map(row.pop("_source").get, key), json.dumps(row)) for row in table.to_pylist()
        )

    def finish(self, assert_whole: Callable[..., None]) -> dict[str, int]:
        """Let the command come to its end; compare with a run that nobody disturbed."""
        assert self.start().wait() == 0
        assert_whole(self.output, self.corpus)
        fresh = self.output.with_name("undisturbed")
        assert self.start(fresh).wait() == 0
        columns = ds.dataset(fresh, format="parquet").schema.names
        found, wanted = self.rows(columns), self.rows(columns, fresh)
        left = {path.name for path in (self.output / "_bertpipe").iterdir()}
        # A process that dies while it asks for the lock leaves a file for a minute at most.
        left = {name for name in left if not name.startswith(".lock.")}
        assert left == {"components.json", "report.json"}
        n_different = len(set(found) ^ set(wanted))
        return {"files": self.n_files, "rows": len(found), "differences": n_different}


@pytest.fixture
def assert_survives(assert_whole: Callable[..., None]) -> Callable[..., None]:
    """Kill a job again and again, let it end, and compare it with one that nobody disturbed."""

    def survive(job: Job, n_kills: int, *, n_documents: int) -> None:
        killed = job.kill_until(n_kills, n_documents=n_documents)
        record = {**killed, **job.finish(assert_whole)}
        sys.stdout.write(f"\n{json.dumps(record)}\n")
        assert record["differences"] == 0
        assert record["rows"] == record["files"] * n_documents

    return survive


def test_killed_ten_times_at_any_moment_nothing_is_lost_or_doubled(
    tmp_path, regex_plugin, assert_survives
):
    job = Job(tmp_path, [*QUICK, "--workers", "2"], seed=1)
    assert_survives(job, 10, n_documents=60)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2])
def test_killed_two_hundred_times_nothing_is_lost_or_doubled(
    seed, tmp_path, regex_plugin, assert_survives
):
    job = Job(tmp_path, [*QUICK, "--workers", "2"], seed=seed)
    assert_survives(job, 200, n_documents=120)


@pytest.mark.soak
def test_killed_ten_times_with_a_bert_nothing_is_lost_or_doubled(tmp_path, assert_survives):
    model = tiny_model(tmp_path / "model", task="ner")
    components = [
        "--components",
        "ner",
        f"--components.ner.model={model}",
        "--precision",
        "fp32",
        "--run.stride=8",
    ]
    job = Job(tmp_path, [*components, "--workers", "2"], seed=3)
    assert_survives(job, 10, n_documents=60)
