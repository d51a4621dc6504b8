"""The run as a whole: every record once, whatever stops it and however often it is started."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyarrow.dataset as ds
import pytest

from bertpipe import api
from bertpipe.config import load_config
from bertpipe.engine import run as run_config
from bertpipe.errors import CorpusError, OutputError, StoppedError, WorkerError
from bertpipe.report import Progress

QUICK = str(Path(__file__).parent / "plugin/quick.py")


@pytest.fixture
def corpus(tmp_path):
    """600 documents in two files, a few of them bad: about 20 chunks."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        lines = [json.dumps({"id": i, "text": f"Number {i}. " + "x" * 700}) for i in range(300)]
        lines[7] = "{ cut off"
        lines[50] = json.dumps({"id": 50, "text": None})
        (folder / name).write_text("\n".join(lines) + "\n")
    return folder


def run(corpus, output, factory, **settings):
    return api.run(corpus, output=output, components=[f"numbers={factory}"], **settings)


def rows(output):
    table = ds.dataset(output, format="parquet").to_table()
    found = [
        (
            row["_source"]["path"],
            row["_source"]["row"],
            row["text"],
            json.dumps(row["numbers"]),
            row["_error"] and row["_error"]["type"],
        )
        for row in table.to_pylist()
    ]
    return sorted(found, key=lambda row: row[:2])


@pytest.fixture
def undisturbed(corpus, tmp_path, regex_plugin):
    run(corpus, tmp_path / "undisturbed", regex_plugin, workers=0)
    return rows(tmp_path / "undisturbed")


def start(corpus, output, *more, seconds=0.5, **settings):
    arguments = [sys.executable, "-m", "bertpipe", "run", str(corpus), "-o", str(output)]
    arguments += ["--code", QUICK, "--components", "numbers=quick_numbers", "--workers", "2"]
    arguments += [f"--components.numbers.seconds={seconds}", "--commit-every", "0.2"]
    arguments += ["--allow-errors", "100%", "--quiet", *more]
    with (output.parent / "errors").open("w") as errors:
        return subprocess.Popen(arguments, stderr=errors, **settings)


def wait_for_parts(output, process, n_parts):
    while len(list(output.glob("*.parquet"))) < n_parts:
        assert process.poll() is None, (output.parent / "errors").read_text()
        time.sleep(0.02)


def test_every_record_is_one_row_and_bad_ones_say_why(assert_whole, corpus, tmp_path, regex_plugin):
    report = run(corpus, tmp_path / "out", regex_plugin, workers=0)
    found = rows(tmp_path / "out")
    assert len(found) == report.n_rows == 600
    assert len({row[:2] for row in found}) == 600
    assert report.n_errors == sum(1 for row in found if row[4]) == 4
    assert report.labels == {"numbers": {"NUMBER": 596}}
    assert_whole(tmp_path / "out", corpus)


def test_workers_in_processes_give_the_rows_of_the_one_in_this_process(
    assert_whole, corpus, tmp_path, regex_plugin, undisturbed
):
    report = run(corpus, tmp_path / "out", regex_plugin, workers=2)
    assert rows(tmp_path / "out") == undisturbed
    assert report.n_workers == 2
    assert_whole(tmp_path / "out", corpus)


def test_a_second_run_has_nothing_to_do_and_still_counts_the_errors(
    assert_whole, corpus, tmp_path, regex_plugin
):
    run(corpus, tmp_path / "out", regex_plugin, workers=0)
    again = run(corpus, tmp_path / "out", regex_plugin, workers=0)
    assert (again.n_new, again.n_rows, again.n_errors) == (0, 600, 4)
    assert_whole(tmp_path / "out", corpus)


def test_a_new_file_is_all_that_the_next_run_annotates(
    assert_whole, corpus, tmp_path, regex_plugin
):
    run(corpus, tmp_path / "out", regex_plugin, workers=0)
    (corpus / "aa.jsonl").write_text('{"text": "new 1", "extra": true}\n')
    again = run(corpus, tmp_path / "out", regex_plugin, workers=0)
    assert (again.n_new, again.n_rows) == (1, 601)
    assert_whole(tmp_path / "out", corpus)


def test_after_a_limit_the_next_run_goes_on(
    assert_whole, corpus, tmp_path, regex_plugin, undisturbed
):
    first = run(corpus, tmp_path / "out", regex_plugin, workers=0, limit=123)
    assert first.n_rows == 123
    second = run(corpus, tmp_path / "out", regex_plugin, workers=0)
    assert second.n_new == 600 - 123
    assert rows(tmp_path / "out") == undisturbed
    assert_whole(tmp_path / "out", corpus)


def test_other_settings_are_refused_by_name_and_overwrite_replaces(
    assert_whole, corpus, tmp_path, regex_plugin
):
    run(corpus, tmp_path / "out", regex_plugin, workers=0)
    other = {"components.numbers.pattern": "[0-4]+"}
    with pytest.raises(OutputError, match=r"pattern"):
        run(corpus, tmp_path / "out", regex_plugin, workers=0, overrides=other)
    report = run(corpus, tmp_path / "out", regex_plugin, workers=0, overrides=other, overwrite=True)
    assert report.n_rows == len(rows(tmp_path / "out")) == 600
    assert_whole(tmp_path / "out", corpus)


def test_killed_again_and_again_it_ends_with_the_rows_of_an_undisturbed_run(
    assert_whole, corpus, tmp_path, regex_plugin, undisturbed
):
    output = tmp_path / "out"
    for n_parts in (1, 3):
        process = start(corpus, output)
        wait_for_parts(output, process, n_parts)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(children, timeout=5)
        assert not alive
        before = {part.name for part in output.glob("*.parquet")}
        assert len(before) >= n_parts
    assert start(corpus, output).wait() == 0
    assert before <= {part.name for part in output.glob("*.parquet")}
    assert rows(output) == undisturbed
    assert_whole(output, corpus)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_commits_what_is_whole_and_says_how_to_go_on(
    assert_whole, number, corpus, tmp_path, regex_plugin, undisturbed, hangup_is_heard
):
    output = tmp_path / "out"
    process = start(corpus, output)
    wait_for_parts(output, process, 1)
    process.send_signal(number)
    assert process.wait(timeout=20) == StoppedError(number, "").exit_code == 128 + number
    assert "run the same command again" in (tmp_path / "errors").read_text()
    assert start(corpus, output).wait() == 0
    assert rows(output) == undisturbed
    assert_whole(output, corpus)


def test_a_signal_to_all_processes_of_a_run_commits_what_is_whole(
    assert_whole, corpus, tmp_path, regex_plugin, undisturbed
):
    output = tmp_path / "out"
    process = start(corpus, output, "--commit-every", "1h")
    wait_for_chunks(output, process, 2)
    for each in (*psutil.Process(process.pid).children(recursive=True), process):
        each.terminate()
    assert process.wait(timeout=20) == 143
    assert len(list(output.glob("*.parquet"))) == 2  # one of each worker
    assert start(corpus, output).wait() == 0
    assert rows(output) == undisturbed
    assert_whole(output, corpus)


def test_under_nohup_the_end_of_a_terminal_ends_no_run(corpus, tmp_path, regex_plugin):
    output = tmp_path / "out"
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = start(corpus, output)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for_parts(output, process, 1)
    process.send_signal(signal.SIGHUP)
    assert process.wait() == 0
    assert len(rows(output)) == 600


def wait_for_chunks(output, process, n_chunks):
    """Wait until so many workers have annotated a chunk."""
    while len(list(output.glob("_bertpipe/tmp/*"))) < n_chunks:
        assert process.poll() is None, (output.parent / "errors").read_text()
        time.sleep(0.02)


def wait_for_lock(output, process):
    while not (output / "_bertpipe/lock").exists():
        assert process.poll() is None, (output.parent / "errors").read_text()
        time.sleep(0.02)


def test_a_signal_ends_work_that_takes_longer_than_the_grace(corpus, tmp_path, regex_plugin):
    output = tmp_path / "out"
    process = start(corpus, output, "--workers", "0", "--grace", "0.5", seconds=3_600)
    wait_for_lock(output, process)
    process.terminate()
    assert process.wait(timeout=60) == 143
    said = (tmp_path / "errors").read_text()
    assert re.search("Stopped by SIGTERM .*; run the same command again", said)
    assert not [*output.glob("*.parquet"), *output.glob("_bertpipe/tmp/*")]


@pytest.mark.parametrize("n_lines", [0, 6_000])
def test_a_signal_ends_the_waiting_for_standard_input(n_lines, tmp_path, regex_plugin):
    output = tmp_path / "out"
    more = ("--format", "jsonl", "--workers", "1", "--commit-every", "1h")  # a worker has one part
    process = start("-", output, *more, seconds=0, stdin=subprocess.PIPE)
    assert process.stdin is not None
    line = json.dumps({"text": "x" * 1_000}).encode() + b"\n"
    process.stdin.write(line * n_lines)
    process.stdin.flush()
    wait_for_signals(process)
    wait_for_chunks(output, process, 1 if n_lines else 0)
    process.terminate()
    assert process.wait(timeout=60) == 143
    process.stdin.close()
    assert "Stopped by SIGTERM" in (tmp_path / "errors").read_text()
    assert len(list(output.glob("*.parquet"))) == (1 if n_lines else 0)


def wait_for_signals(process):
    """Wait until the process takes SIGTERM itself."""
    caught = 0
    while not caught & 1 << signal.SIGTERM - 1:
        status = Path(f"/proc/{process.pid}/status").read_text()
        caught = int(re.findall(r"SigCgt:\s*(\w+)", status)[0], 16)
        time.sleep(0.02)


def test_a_worker_that_dies_before_it_is_ready_ends_the_run_with_its_number_and_the_cure(
    corpus, tmp_path, regex_plugin
):
    overrides = {"components.numbers.pattern": "SUICIDE"}
    with pytest.raises(
        WorkerError, match=r"Worker 0 .* signal 9 before it was ready; .* Run the same command"
    ):
        run(corpus, tmp_path / "out", regex_plugin, workers=1, overrides=overrides)
    assert not (tmp_path / "out").exists()


def test_texts_come_back_in_order_from_any_number_of_workers(regex_plugin):
    texts = [f"{i} " + "x" * 2_000 for i in range(600)]
    for workers in (0, 2):
        annotated = api.annotate(texts, components=["numbers=regex_numbers"], workers=workers)
        assert [each["numbers"][0]["text"] for each in annotated] == [str(i) for i in range(600)]


def test_a_text_that_makes_a_component_fail_is_a_dict_with_its_error(regex_plugin):
    found = list(api.annotate(["1", "POISON", "2"], components=["numbers=regex_numbers"]))
    assert [each["_error"] and each["_error"]["message"] for each in found] == [
        None,
        "the text is poison",
        None,
    ]
    assert found[1]["numbers"] is None


def test_the_parent_loads_neither_torch_nor_spacy(corpus, tmp_path, regex_plugin):
    code = (
        "import sys; from bertpipe import api;"
        f"api.run({str(corpus)!r}, output={str(tmp_path / 'out')!r},"
        "components=['numbers=regex_numbers'], workers=1);"
        "assert not {'torch', 'spacy'} & set(sys.modules), 'heavy'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)


def test_an_output_folder_inside_the_corpus_is_not_annotated_again(corpus, regex_plugin):
    for _ in range(2):
        report = run(corpus, corpus / "out", regex_plugin, workers=0)
        assert report.n_rows == 600


def test_the_output_folder_is_refused_as_corpus(corpus, tmp_path, regex_plugin):
    run(corpus, tmp_path / "out", regex_plugin, workers=0)
    with pytest.raises(OutputError, match="lies in the output folder"):
        run(tmp_path / "out", tmp_path / "out", regex_plugin, workers=0)


def test_what_was_read_before_an_unreadable_file_is_kept(corpus, tmp_path, regex_plugin):
    (corpus / "c.jsonl.gz").write_bytes(gzip.compress(b'{"text": "1"}\n' * 300_000)[:-100])
    with pytest.raises(CorpusError, match="cannot be read to its end"):
        run(corpus, tmp_path / "out", regex_plugin, workers=0)
    assert len(rows(tmp_path / "out")) >= 600


def test_the_first_chunk_of_a_worker_is_committed_when_commit_every_has_passed(
    tmp_path, regex_plugin
):
    corpus, output = tmp_path / "corpus.jsonl", tmp_path / "out"
    texts = [f"{number} " + "x" * 20_000 for number in range(3)]  # a chunk each
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    settings = {"code": QUICK, "workers": 1, "commit_every": 0.4}
    settings["overrides"] = {"components.numbers.seconds": 0.5}
    run(corpus, output, "quick_numbers", **settings)
    assert len(list(output.glob("*.parquet"))) == len(texts)


@pytest.mark.parametrize("limit", [300, 9_999])
def test_the_progress_of_a_run_with_a_limit_is_that_to_the_limit_or_the_end(
    corpus, tmp_path, regex_plugin, monkeypatch, limit
):
    monkeypatch.setattr("bertpipe.loop.PROGRESS_SECONDS", 0)
    config = load_config(components=[f"numbers={regex_plugin}"], overrides={"run.workers": 0})
    moments: list[Progress] = []
    output = tmp_path / "out"
    run_config([str(corpus)], config=config, output=output, limit=limit, progress=moments.append)
    assert moments[-1].share == 1
    assert len(moments) > 3
    assert all(each.share is not None and each.share >= each.n_rows / limit for each in moments)
