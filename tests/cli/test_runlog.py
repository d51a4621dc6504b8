"""What a run says to programs: JSON lines, figures for Prometheus, exit codes."""

import json
import re
import time
from pathlib import Path

import pytest

from bertpipe.cli.metrics import HELP, SUCCESS, Metrics
from bertpipe.cli.runlog import JsonLog
from bertpipe.errors import BertpipeError, OutputError
from bertpipe.output.files import BOOKKEEPING, LOCK
from bertpipe.output.lock import FolderLock
from bertpipe.report import Progress, Report

NUMBERS = ("--components", "numbers=regex_numbers", "--run.workers=0")
PAGE = (Path(__file__).parents[2] / "docs/scheduled.md").read_text(encoding="utf-8")
MOMENT = Progress(n_rows=10, n_done=5, n_errors=1, n_tokens=70, seconds=31.0, share=0.5)


@pytest.fixture(autouse=True)
def _plugin(regex_plugin):
    pass


def events(text):
    return [json.loads(line) for line in text.splitlines()]


def metrics(path):
    """Return the samples of a file in the text format, by name and type."""
    samples = {}
    lines = path.read_text().splitlines()
    for line in lines:
        if match := re.fullmatch(r"(\w+)\{(.*)\} (\S+)", line):
            name, labels, value = match.groups()
            kind = re.search(r'type="(\w+)"', labels)
            samples[(name, kind[1]) if kind else name] = float(value)
            assert f"# TYPE {name} gauge" in lines
            assert f"# HELP {name} {HELP[name]}" in lines
        else:
            assert line.startswith(("# HELP ", "# TYPE "))
    return samples


def test_every_line_of_a_json_log_is_an_event(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--log-format", "json")
    started, finished = events(result.stderr)
    assert (started["event"], started["output"]) == ("started", "reviews.annotated")
    assert (finished["event"], finished["exit_code"], result.exit_code) == ("finished", 3, 3)
    report = json.loads(Path("reviews.annotated/_bertpipe/report.json").read_text())
    told = {name: value for name, value in finished.items() if name in report}
    assert (told, finished["n_errors"]) == ({**report, "finished_at": told["finished_at"]}, 2)
    assert time.strptime(finished["time"], "%Y-%m-%dT%H:%M:%S%z")


def test_an_error_is_an_event_of_a_json_log(call, folder):
    for arguments in (["nowhere", *NUMBERS], ["reviews.jsonl", "--components", "nothing"]):
        result = call("run", *arguments, "--log-format", "json", "--quiet")
        (failed,) = events(result.stderr)
        assert (failed["event"], failed["exit_code"], result.exit_code) == ("failed", 2, 2)
        assert failed["type"] in ("CorpusError", "ConfigError")
        assert "not" in failed["message"] or "no" in failed["message"]


def test_a_json_log_tells_of_progress_now_and_then(capsys):
    log = JsonLog(quiet=False)
    for seconds in (0.0, 29.0, 31.0, 32.0, 62.0):
        log.moment(Progress(**{**vars(MOMENT), "seconds": seconds}))
    told = events(capsys.readouterr().err)
    assert [each["seconds"] for each in told] == [31.0, 62.0]
    assert told[0].items() >= vars(MOMENT).items()


def test_the_metrics_are_those_of_the_report(call, folder):
    before = time.time()
    result = call("run", "reviews.jsonl", *NUMBERS, "--metrics-file", "run.prom", "--json")
    assert result.exit_code == 3
    report, found = json.loads(result.stdout), metrics(Path("run.prom"))
    assert found["bertpipe_rows"] == found["bertpipe_run_rows"] == 5
    kinds = {key[1]: value for key, value in found.items() if isinstance(key, tuple)}
    assert kinds == report["errors_by_type"]
    assert found["bertpipe_run_seconds"] == pytest.approx(report["seconds"])
    assert (found["bertpipe_running"], found["bertpipe_last_exit_code"]) == (0, 3)
    assert before <= found["bertpipe_last_end_timestamp_seconds"] <= time.time()
    assert SUCCESS not in found
    assert [path.name for path in Path().glob(".*")] == []


def test_the_time_of_the_last_success_outlives_a_failure(call, folder):
    arguments = ("run", "reviews.jsonl", *NUMBERS, "--metrics-file", "run.prom")
    assert call(*arguments, "--allow-errors", "2").exit_code == 0
    first = metrics(Path("run.prom"))
    assert first[SUCCESS] == first["bertpipe_last_end_timestamp_seconds"]
    Path("reviews.jsonl").write_text("changed\n")
    assert call(*arguments).exit_code == 2
    second = metrics(Path("run.prom"))
    assert second[SUCCESS] == first[SUCCESS] < second["bertpipe_last_end_timestamp_seconds"]
    assert (second["bertpipe_last_exit_code"], second["bertpipe_rows"]) == (2, 5)
    Metrics(Path("run.prom"), Path("another")).start(Path("another"))
    assert metrics(Path("run.prom")) == {"bertpipe_running": 1}


def test_the_metrics_follow_a_run_at_work(tmp_path):
    path = tmp_path / "run.prom"
    kept = Metrics(path, tmp_path / 'a "b" \\ c')
    kept.start(tmp_path)
    assert metrics(path) == {"bertpipe_running": 1}
    kept.moment(MOMENT)
    assert metrics(path) == {
        "bertpipe_running": 1,
        "bertpipe_rows": 15,
        "bertpipe_run_rows": 10,
        "bertpipe_run_rows_in_error": 1,
        "bertpipe_run_tokens": 70,
        "bertpipe_run_seconds": 31,
    }
    kept.finish(Report(tmp_path, n_rows=20, errors_by_type={"NullText": 2}, n_new=15), 0)
    again = Metrics(path, tmp_path / 'a "b" \\ c')
    again.fail(BertpipeError("it failed"))
    found = metrics(path)
    assert found["bertpipe_rows_in_error", "NullText"] == 2
    assert (found["bertpipe_rows"], found["bertpipe_last_exit_code"]) == (20, 1)


def test_a_metrics_file_that_cannot_be_written_is_named_before_the_work(call, folder):
    result = call("run", "reviews.jsonl", *NUMBERS, "--metrics-file", "no/run.prom")
    assert result.exit_code == 2
    assert "The metrics file no/run.prom cannot be written" in result.stderr
    assert not Path("reviews.annotated").exists()


def test_metrics_that_fail_later_end_no_run(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = Metrics(folder / "run.prom", tmp_path)
    kept.start(tmp_path)
    (folder / "run.prom").unlink()
    folder.rmdir()
    kept.moment(MOMENT)
    with pytest.raises(OutputError, match="name another --metrics-file"):
        kept.finish(Report(tmp_path), 0)


STOPPING = """
import os
from spacy.language import Language
import pyarrow as pa

class Stopping:
    name, type, reads = "stopping", pa.string(), ("text",)
    def annotate(self, batch):
        os.kill(os.getpid(), {signal})
        return pa.nulls(batch.num_rows, pa.string())

@Language.factory("stopping_{signal}")
def make(nlp, name):
    return Stopping()
"""


def end_with(code, call):
    """Bring a run to its end with an exit code, in a folder with reviews.jsonl."""
    run = ("run", "reviews.jsonl", *NUMBERS)
    if code in (129, 130, 143):
        number = code - 128
        Path("stopping.py").write_text(STOPPING.format(signal=number))
        Path("lines.txt").write_text("x" * 50_000 + "\n" + "y" * 50_000)
        components = ("--components", f"stopping_{number}", "--code", "stopping.py")
        return call("run", "lines.txt", "--lines", "--run.workers=0", *components)
    if code == 75:
        lock = Path("reviews.annotated") / BOOKKEEPING
        lock.mkdir(parents=True)
        holder = FolderLock.acquire(lock / LOCK)
        try:
            return call(*run)
        finally:
            holder.release()
    options = {0: ("--allow-errors", "2"), 1: ("--max-errors", "1"), 2: ("--keep", "no"), 3: ()}
    return call(*run, *options[code])


CODES = [int(code) for code in re.findall(r"(?m)^\| (\d+) \|", PAGE)]


@pytest.mark.parametrize("code", CODES)
def test_each_exit_code_of_the_page_is_that_of_a_run(code, call, folder, hangup_is_heard):
    result = end_with(code, call)
    assert result.exit_code == code, result.output
    assert len(CODES) == 8


def test_a_second_run_leaves_the_metrics_to_the_first(call, folder):
    lock = Path("reviews.annotated") / BOOKKEEPING
    lock.mkdir(parents=True)
    holder = FolderLock.acquire(lock / LOCK)
    try:
        assert call("run", "reviews.jsonl", *NUMBERS, "--metrics-file", "run.prom").exit_code == 75
    finally:
        holder.release()
    assert metrics(Path("run.prom")) == {"bertpipe_running": 1}
