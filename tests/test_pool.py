"""The parent and its workers, when they do not end together."""

import json
import os
import queue
import sys
from functools import partial
from multiprocessing import Pipe

from bertpipe import api
from bertpipe.messages import receive_message, send_message
from bertpipe.processes import _search_path
from bertpipe.worker import Worker, _receive


def test_a_worker_that_finishes_long_before_another_is_not_taken_for_dead(tmp_path, regex_plugin):
    file = tmp_path / "corpus.jsonl"
    record = json.dumps({"text": "1 " + "x" * 20_000})
    file.write_text(f"{record}\n" * 3)
    report = api.run(
        file,
        output=tmp_path / "out",
        components=[f"numbers={regex_plugin}"],
        workers=2,
        overrides={"components.numbers.seconds": 1.5},
    )
    assert (report.n_rows, report.n_workers) == (3, 2)


def test_a_worker_imports_nothing_from_the_current_folder(tmp_path, regex_plugin, monkeypatch):
    (tmp_path / "queue.py").write_text("raise SystemExit('imported by mistake')\n")
    monkeypatch.chdir(tmp_path)
    found = list(api.annotate(["7 is here"], components=[f"numbers={regex_plugin}"], workers=1))
    assert [each["text"] for each in found[0]["numbers"]] == ["7"]


def test_a_worker_finds_modules_where_its_parent_does(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    assert str(tmp_path) in _search_path().split(os.pathsep)


def test_an_answer_is_heard_before_more_work_is_read(regex_plugin):
    read = []

    def texts():
        for number in range(5 * api.CHUNK_TEXTS):
            read.append(number)
            yield "1"

    annotated = api.annotate(texts(), components=[f"numbers={regex_plugin}"])
    next(annotated)
    assert len(read) == api.CHUNK_TEXTS
    annotated.close()  # type: ignore[attr-defined]


def test_a_part_that_cannot_be_closed_on_stopping_is_said(tmp_path):
    ours, theirs = Pipe()
    child = os.fork()
    if child == 0:
        worker = Worker(partial(send_message, theirs, payload=None))
        worker.writer = object()  # type: ignore[assignment]  # has nothing to close
        _receive(theirs, queue.Queue(), worker)
    theirs.close()
    send_message(ours, {"type": "stop"}, None)
    message, _ = receive_message(ours)
    assert message["type"] == "failed"
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
