"""Real faults: limits that are met, folders that cannot be written, input and workers that go."""

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pyarrow.dataset as ds
import pytest

from bertpipe import api
from bertpipe.errors import (
    BertpipeError,
    BusyError,
    CorpusError,
    OutputError,
    WorkerError,
    WriteError,
)
from bertpipe.output.verify import verify

SCRIPT = """
import sys
from bertpipe import api
api.run(sys.argv[1], output=sys.argv[2], code=sys.argv[3], components=["numbers=quick_numbers"],
        workers=0, commit_every=0, overrides={"components.numbers.seconds": 60.0})
"""
QUICK = str(Path(__file__).parent / "plugin/quick.py")


@pytest.fixture
def corpus(tmp_path: Path, regex_plugin: str) -> Path:
    """400 documents in two files, about 12 chunks."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b"):
        lines = [json.dumps({"text": f"{i} {os.urandom(400).hex()}"}) for i in range(200)]
        lines[7] = "{ cut off"
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def run(corpus: Path, output: Path, *, seconds: float = 0.0, workers: int = 0, **settings: Any):
    return api.run(
        corpus,
        output=output,
        code=QUICK,
        components=["numbers=quick_numbers"],
        overrides={"components.numbers.seconds": seconds},
        workers=workers,
        **{"commit_every": 0, **settings},
    )


def put(file: Path, row: int, text: str) -> None:
    """Put a text in the place of a record."""
    lines = file.read_text().splitlines()
    lines[row] = json.dumps({"text": text})
    file.write_text("\n".join(lines) + "\n")


def rows(output: Path) -> list[tuple[str, int]]:
    table = ds.dataset(output, format="parquet").to_table(columns=["_source"])
    return sorted((row["_source"]["path"], row["_source"]["row"]) for row in table.to_pylist())


@contextmanager
def limited(kind: int, soft: int) -> Iterator[None]:
    """Lower a limit of this process for a while."""
    before, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (before, hard))


@contextmanager
def after_first_part(output: Path, do: Callable[[], object]) -> Iterator[None]:
    """Do something to a run at work, once its first part is committed."""

    def watch() -> None:
        while not list(output.glob("*.parquet")):
            time.sleep(0.01)
        do()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    yield
    thread.join(timeout=10)


@pytest.fixture
def goes_on(assert_whole: Callable[..., None]) -> Callable[..., None]:
    """Run again without the fault: all rows are there, once, and nothing is left over."""

    def go_on(corpus: Path, output: Path, *, n_rows: int = 400, **settings: Any) -> None:
        if (output / "_bertpipe").exists():
            findings = verify(output, [str(corpus)]).findings
            # Rows may be missing or, of a source that has changed since, old; no part is damaged.
            assert [each for each in findings if "run again" not in each] == []
        report = run(corpus, output, **settings)
        assert report.n_rows == len(set(rows(output))) == len(rows(output)) == n_rows
        assert_whole(output, corpus)

    return go_on


def test_a_file_size_limit_ends_the_run_and_leaves_no_half_part(corpus, tmp_path, goes_on):
    output = tmp_path / "out"
    with (
        limited(resource.RLIMIT_FSIZE, 8_000),
        pytest.raises(WriteError, match=r"out cannot be written \(.*File too large"),
    ):
        run(corpus, output)
    assert not list(output.rglob("*.parquet"))
    goes_on(corpus, output)


def test_a_file_size_limit_in_a_worker_has_the_same_end(corpus, tmp_path, goes_on):
    output = tmp_path / "out"
    with (
        limited(resource.RLIMIT_FSIZE, 8_000),
        pytest.raises(WriteError, match=r"out cannot be written \(.*File too large"),
    ):
        run(corpus, output, workers=1)
    assert not list(output.rglob("*.parquet"))
    goes_on(corpus, output, workers=1)


def test_a_disk_that_is_full_ends_the_run_and_with_more_room_it_goes_on(corpus, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f"mount -t tmpfs -o size=300k none {disk}"
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    if not shutil.which("unshare") or subprocess.run([*unshare, mount], check=False).returncode:
        pytest.skip("no rights to mount a small tmpfs")
    bertpipe = f"{sys.executable} -m bertpipe"
    again = (
        f"{bertpipe} run {corpus} -o {disk}/out --code {QUICK} --components numbers=quick_numbers"
        " --workers 1 --commit-every 0 --quiet; echo $?"
    )
    script = f"{mount}; {again}; mount -o remount,size=30m {disk}; {again}; "
    script += f"ls -A {disk}/out/_bertpipe; {bertpipe} verify {disk}/out {corpus}"
    done = subprocess.run([*unshare, script], capture_output=True, text=True, check=False)
    assert re.search(
        r"out cannot be written \(.*No space left on device\); what is committed stands",
        done.stderr,
    )
    codes_and_left = ["1", "3", "components.json", "report.json"]
    *said, verified = done.stdout.splitlines()
    assert said == codes_and_left
    assert re.fullmatch(r".*: 400 rows in \d+ parts of 2 sources; 0 findings\.", verified)


def test_too_few_file_handles_are_a_clear_end_wherever_they_run_out(corpus, tmp_path, goes_on):
    run(corpus, tmp_path / "warm")
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    ends: list[str] = []
    output = tmp_path / "out"
    for n_free in (1, 2, 4, 8):
        try:
            with limited(resource.RLIMIT_NOFILE, lowest + n_free):
                run(corpus, output)
            ends.append("")
        except BertpipeError as error:
            ends.append(str(error))
    assert "Too many open files" in ends[0]
    assert ends[-1] == ""
    goes_on(corpus, output)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/out"])
def test_a_folder_that_cannot_be_written_is_wrong_use(place, corpus, tmp_path):
    (tmp_path / "file").write_text("in the place of the folder")
    with pytest.raises(OutputError, match=r"cannot be written \(.*\); .* give another --output"):
        run(corpus, tmp_path / place)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_output_that_is_moved_away_at_work_ends_the_run(workers, corpus, tmp_path, goes_on):
    output, away = tmp_path / "out", tmp_path / "away"
    with (
        after_first_part(output, lambda: output.rename(away)),
        pytest.raises(WriteError, match=r"out/_bertpipe/lock is gone|out cannot be written \(No"),
    ):
        run(corpus, output, seconds=0.2, workers=workers)
    assert not output.exists()
    away.rename(output)
    (output / "_bertpipe/lock").unlink()  # of this process, which lives on
    goes_on(corpus, output, seconds=0.2)


def test_input_that_vanishes_while_it_is_read_ends_the_run(corpus, tmp_path, goes_on):
    output, file = tmp_path / "out", corpus / "b.jsonl"
    with (
        after_first_part(output, lambda: file.rename(tmp_path / "away")),
        pytest.raises(CorpusError, match=r"b\.jsonl (is gone|cannot be read)"),
    ):
        run(corpus, output, seconds=0.2)
    (tmp_path / "away").rename(file)
    goes_on(corpus, output, seconds=0.2)


def test_input_that_changes_while_it_is_read_ends_the_run(corpus, tmp_path, goes_on):
    output, file = tmp_path / "out", corpus / "b.jsonl"

    def change() -> None:
        os.truncate(file, 1_000)

    with (
        after_first_part(output, change),
        pytest.raises(CorpusError, match=r"b\.jsonl changed while it was read"),
    ):
        run(corpus, output, seconds=0.2)
    assert len(set(rows(output))) == len(rows(output)) > 0
    n_rows = 200 + len((corpus / "b.jsonl").read_bytes().splitlines())
    goes_on(corpus, output, n_rows=n_rows, seconds=0.2, changed="recompute", final=True)


def test_lines_appended_while_a_file_is_read_are_left_for_the_next_run(corpus, tmp_path, goes_on):
    output, file = tmp_path / "out", corpus / "b.jsonl"

    def append() -> None:
        with file.open("a") as stream:
            stream.write('{"text": "one more"}\n')

    with after_first_part(output, append):
        run(corpus, output, seconds=0.2)
    before = len(rows(output))
    goes_on(corpus, output, n_rows=before + 1, seconds=0.2)


def test_a_second_run_stops_at_once_and_names_the_first(corpus, tmp_path, goes_on):
    output = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", SCRIPT, str(corpus), str(output), QUICK])
    try:
        while not (output / "_bertpipe/lock").exists():
            assert process.poll() is None
            time.sleep(0.05)
        with pytest.raises(
            BusyError, match=f"process {process.pid} on {os.uname().nodename}"
        ) as caught:
            run(corpus, output)
        assert caught.value.exit_code == 75
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    goes_on(corpus, tmp_path / "other")


def test_a_worker_that_is_killed_is_replaced_and_the_run_goes_on(corpus, tmp_path, goes_on):
    output = tmp_path / "out"

    def kill() -> None:
        psutil.Process().children()[0].kill()

    with after_first_part(output, kill):
        report = run(corpus, output, seconds=0.1, workers=2, commit_every=1)
    assert (report.n_rows, report.n_new, report.n_errors) == (400, 400, 2)
    goes_on(corpus, output, seconds=0.1)


def test_a_document_that_kills_its_worker_is_in_error_and_the_run_goes_on(
    corpus, tmp_path, goes_on
):
    output = tmp_path / "out"
    put(corpus / "a.jsonl", 120, "SUICIDE 7")
    report = run(corpus, output, workers=1, commit_every=60)
    assert report.errors_by_type == {"InvalidJSON": 2, "WorkerError": 1}
    (row,) = ds.dataset(output).to_table(filter=ds.field("text") == "SUICIDE 7").to_pylist()
    assert row["numbers"] is None
    assert "was ended by signal 9 at this document" in row["_error"]["message"]
    assert report.n_new == 400
    goes_on(corpus, output)
    retried = run(corpus, output, workers=1, retry_errors=True)
    assert retried.errors_by_type == report.errors_by_type
    goes_on(corpus, output)


def test_a_device_that_fails_ends_the_run_or_costs_its_process_and_one_document(
    corpus, tmp_path, assert_whole
):
    output = tmp_path / "out"
    put(corpus / "b.jsonl", 120, "CUDA 7")
    with pytest.raises(WorkerError, match=r"device of numbers failed \(CUDA .*; what is committed"):
        run(corpus, output)
    assert len(set(rows(output))) == len(rows(output)) > 200
    assert [each for each in verify(output).findings if "run again" not in each] == []
    report = run(corpus, output, workers=1)  # a new process gets the device anew
    assert (report.n_rows, report.errors_by_type) == (400, {"InvalidJSON": 2, "WorkerError": 1})
    (row,) = ds.dataset(output).to_table(filter=ds.field("text") == "CUDA 7").to_pylist()
    assert row["_error"]["message"] == (
        "The worker failed (The device of numbers failed (CUDA error: device-side assert"
        " triggered)) at this document; leave it out, or mend the component."
    )
    assert_whole(output, corpus)


@pytest.mark.parametrize("text", ["ENDLESS", "ENDLESS LOCK"])
def test_a_document_that_no_signal_ends_ends_its_worker_and_is_found(
    text, tmp_path, regex_plugin, assert_whole
):
    corpus, output = tmp_path / "corpus", tmp_path / "out"
    corpus.mkdir()
    texts = ["1", text, "2"]
    (corpus / "a.jsonl").write_text("".join(json.dumps({"text": each}) + "\n" for each in texts))
    report = api.run(
        corpus,
        output=output,
        code=str(Path(QUICK).with_name("endless.py")),
        components=["numbers=endless"],
        workers=1,
        document_timeout=0.3,
    )
    assert (report.n_rows, report.errors_by_type) == (3, {"WorkerError": 1})
    (row,) = ds.dataset(output).to_table(filter=ds.field("text") == text).to_pylist()
    assert row["numbers"] is None
    told = "The worker ran on after --document-timeout (0.3 s) and was given up at this document;"
    assert told in row["_error"]["message"]
    assert_whole(output, corpus)


@pytest.mark.parametrize(
    ("commit_every", "code", "message", "first"),
    [("0", 3, "^$", 0), ("1h", 1, "standard input cannot be read a second time; what is comm", 20)],
)
def test_rows_of_standard_input_that_a_worker_took_with_it_end_the_run(
    commit_every, code, message, first, tmp_path, regex_plugin
):
    output = tmp_path / "out"
    texts = [f"{i} " + "x" * 100_000 for i in range(40)]
    texts[25] = "SUICIDE"
    command = [sys.executable, "-m", "bertpipe", "run", "-", "--format", "jsonl", "--quiet"]
    command += ["-o", str(output), "--code", QUICK, "--components", "numbers=quick_numbers"]
    done = subprocess.run(
        [*command, "--workers", "1", "--commit-every", commit_every],
        input="".join(json.dumps({"text": text}) + "\n" for text in texts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert re.search(message, done.stderr)
    assert rows(output) == [("-", row) for row in range(first, 40)]
    missing = ["-: rows 0 to 19 are missing; run again."] if first else []
    assert list(verify(output).findings) == missing


def test_the_table_in_the_docs_names_tests_that_exist():
    tests = Path(__file__).parent
    named = re.findall(r"(?m)^\|.*\| `(\w+)` \|$", (tests.parent / "docs/faults.md").read_text())
    found = "\n".join(path.read_text() for path in tests.rglob("test_*.py"))
    assert len(named) > 10
    assert not [name for name in named if f"def {name}(" not in found]


def test_every_fault_that_is_tested_here_is_in_the_table():
    table = (Path(__file__).parents[1] / "docs/faults.md").read_text()
    own = re.findall(r"(?m)^def (test_\w+)\(corpus", Path(__file__).read_text())
    assert not [name for name in own if f"`{name}`" not in table]
