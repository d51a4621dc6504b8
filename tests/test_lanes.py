"""Chunks that are at work together are handed on one after the other."""

import threading
from contextvars import ContextVar
from queue import SimpleQueue

import pyarrow as pa
import pytest

from bertpipe.lanes import Lanes

setting: ContextVar[str] = ContextVar("setting", default="none")


def chunk(number: int) -> pa.RecordBatch:
    return pa.record_batch({"number": [number]})


def number_of(batch: pa.RecordBatch) -> int:
    return batch["number"][0].as_py()


def test_a_chunk_that_is_done_early_waits_for_those_before_it():
    is_second_done = threading.Event()
    heard: SimpleQueue[str] = SimpleQueue()

    def annotate(batch: pa.RecordBatch) -> pa.RecordBatch:
        if number_of(batch) == 0:
            assert is_second_done.wait(timeout=60)
        return batch

    def wake() -> None:
        heard.put("done")

    found: list[int] = []
    lanes = Lanes(annotate, wake=wake)
    for number in range(5):
        lanes.put(chunk(number), lambda batch: found.append(number_of(batch)))
    heard.get(timeout=60)
    lanes.hand_on()
    assert found == []
    is_second_done.set()
    lanes.hand_on(to_the_end=True)
    assert found == list(range(5))


def test_an_error_is_raised_in_its_place():
    def annotate(batch: pa.RecordBatch) -> pa.RecordBatch:
        if number_of(batch) == 1:
            raise ValueError("not this one")
        return batch

    found: list[int] = []
    lanes = Lanes(annotate, wake=lambda: None)
    for number in range(3):
        lanes.put(chunk(number), lambda batch: found.append(number_of(batch)))
    with pytest.raises(ValueError, match="not this one"):
        lanes.hand_on(to_the_end=True)
    assert found == [0]


def test_a_thread_sees_what_was_set_before_the_chunk_was_put():
    seen: list[str] = []

    def annotate(batch: pa.RecordBatch) -> pa.RecordBatch:
        seen.append(setting.get())
        return batch

    lanes = Lanes(annotate, wake=lambda: None)
    token = setting.set("chosen")
    lanes.put(chunk(0), lambda batch: None)
    setting.reset(token)
    lanes.hand_on(to_the_end=True)
    assert seen == ["chosen"]
