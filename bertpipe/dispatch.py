"""Hand work out to the workers, and find the documents that kill one.

A worker that dies takes with it what it was handed and has not answered. The records that it was
at work on, of one task or of several, are tried in halves, in the process that took its place: a
document that kills a worker on its own is a row in error from then on. Then all is handed out
again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from bertpipe.errors import WorkerError
from bertpipe.messages import Message, to_bytes
from bertpipe.pool import Pool
from bertpipe.records import ERROR, ERROR_TYPE, SOURCE

POLL_SECONDS = 0.5  # how soon a signal is noticed
MAX_TRIES = 3  # of records that kill workers, though none of them does so on its own
ANSWERS = ("chunk", "annotated")


def hand_out(
    pool: Pool,
    work: Iterable[tuple[Message, pa.RecordBatch]],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """Send each message with its records to the next free worker, until `stopping`.

    Yields all that the workers say, each message with its `worker`, until everything that was sent
    has its answer of type `chunk` or `annotated`. After a `died` the worker's open part is lost.

    Raises:
        WorkerError: Records kill workers again and again, and none of them does so on its own.
    """
    desk = _Desk(pool, stopping)
    for message, records in work:
        desk.give(desk.free.popleft(), _Task(message, records))
        yield from desk.hear(0)
        while not (desk.free or stopping()):
            yield from desk.hear(POLL_SECONDS)
        if stopping():
            return
    while any(desk.given) and not stopping():
        yield from desk.hear(POLL_SECONDS)


def finish(pool: Pool, stopping: Callable[[], bool] = lambda: False) -> Iterator[Message]:
    """Ask every worker for its last part; yield what they say until all have finished.

    When `stopping`, ask them to leave undone what is not done.
    """
    waiting = set(range(pool.n_workers))
    asked = ""
    while waiting:
        wanted = "stop" if stopping() else "finish"
        if asked != wanted:
            asked = wanted
            for worker in waiting:
                pool.send(worker, {"type": asked})
        for worker, answer in pool.receive(POLL_SECONDS):
            if answer["type"] in ("finished", "died"):
                waiting.discard(worker)
            yield answer | {"worker": worker}


@dataclass
class _Task:
    """A message with its records, and how many workers have died at them for no known reason."""

    message: Message
    records: pa.RecordBatch
    n_died: int = 0


class _Desk:
    """Knows what each worker was given and has not answered, and who is free for more."""

    def __init__(self, pool: Pool, stopping: Callable[[], bool]) -> None:
        self.pool = pool
        self.stopping = stopping
        # One more than are at work: a worker never waits for the reader.
        self.free = deque(list(range(pool.n_workers)) * (pool.n_at_once + 1))
        self.given: list[deque[_Task]] = [deque() for _ in range(pool.n_workers)]
        self.dead: deque[tuple[int, str]] = deque()

    def give(self, worker: int, task: _Task) -> None:
        self.given[worker].append(task)
        self.pool.send(worker, task.message, to_bytes(task.records))

    def hear(self, timeout: float) -> Iterator[Message]:
        """Yield what the workers say; give what those that died had to those in their place."""
        for worker, answer in self.pool.receive(timeout):
            yield self._noted(worker, answer)
        while self.dead:
            yield from self._give_again(*self.dead.popleft())

    def _noted(self, worker: int, answer: Message) -> Message:
        if answer["type"] in ANSWERS:
            self.given[worker].popleft()
            self.free.append(worker)
        elif answer["type"] == "died":
            self.dead.append((worker, answer["how"]))
        return answer | {"worker": worker}

    def _give_again(self, worker: int, how: str) -> Iterator[Message]:
        tasks, self.given[worker] = self.given[worker], deque()
        suspects = list(tasks)[: self.pool.n_at_once]
        is_explained = False
        for task in suspects:
            found = yield from self._clear(worker, task, how, is_tried=len(suspects) == 1)
            is_explained = is_explained or found
        for task in suspects:
            task.n_died = 0 if is_explained else task.n_died + 1
            if task.n_died == MAX_TRIES:
                raise _unexplained(worker, task.records, how, "none")
        for task in tasks:
            self.give(worker, task)

    def _clear(
        self, worker: int, task: _Task, how: str, *, is_tried: bool
    ) -> Generator[Message, None, bool]:
        """Put the documents of a task in error that kill a worker on their own, if there are any.

        is_tried: whether it is known that the worker died of this task.
        """
        n_rows = len(task.records)
        found = yield from self._deadly(worker, task.records, is_tried=is_tried and n_rows > 1)
        if len(found) == n_rows > 1:
            raise _unexplained(worker, task.records, how, "each")
        if found:
            task.records = _in_error(task.records, found, f"The worker {how}")
        return bool(found)

    def _deadly(
        self, worker: int, records: pa.RecordBatch, *, is_tried: bool = False
    ) -> Generator[Message, None, list[int]]:
        """Return the rows that kill a worker; `is_tried` says that all of them together did."""
        if not is_tried and (yield from self._survives(worker, records)):
            return []
        if len(records) == 1:
            return [0]
        middle = len(records) // 2
        first = yield from self._deadly(worker, records.slice(0, middle))
        second = yield from self._deadly(worker, records.slice(middle))
        return [*first, *(middle + row for row in second)]

    def _survives(self, worker: int, records: pa.RecordBatch) -> Generator[Message, None, bool]:
        """Have records annotated for nothing but to see whether the worker lives on."""
        self.pool.send(worker, {"type": "annotate", "number": 0}, to_bytes(records))
        survived = None
        while survived is None:
            if self.stopping():
                return True
            for each, answer in self.pool.receive(POLL_SECONDS):
                if each != worker:
                    yield self._noted(each, answer)
                elif answer["type"] in ("annotated", "died"):
                    survived = answer["type"] == "annotated"
        return survived


def _unexplained(worker: int, records: pa.RecordBatch, how: str, which: str) -> WorkerError:
    return WorkerError(
        f"Worker {worker} {how} at {len(records):,} documents{_place(records)}, and {which} of them"
        " does that to it on its own, so the component or the machine is at fault; what is"
        " committed stands. Mend that, or give --workers 1 if memory was short, and run the same"
        " command again."
    )


def _place(records: pa.RecordBatch) -> str:
    if SOURCE not in records.schema.names:
        return ""
    first, last = (records.column(SOURCE)[i].as_py() for i in (0, -1))
    return f" from {first['path']}, record {first['row']}, to {last['path']}, record {last['row']}"


def _in_error(records: pa.RecordBatch, rows: list[int], message: str) -> pa.RecordBatch:
    """Return the records with `_error` in some rows, which keeps the annotators away from them."""
    errors = records.column(ERROR).to_pylist()
    for row in rows:
        errors[row] = {
            "stage": "annotate",
            "component": None,
            "type": WorkerError.__name__,
            "message": f"{message} at this document; leave it out, or mend the component.",
        }
    return records.set_column(
        records.schema.get_field_index(ERROR), ERROR, pa.array(errors, ERROR_TYPE)
    )
