"""A worker: the process that takes chunks from texts to finished parts, one a device.

Started by the parent as `python -m bertpipe.worker FD`, FD being one end of a socket pair.
Messages are JSON; records follow theirs as an Arrow stream.

    parent to worker    start, open, chunk + records, annotate + records, finish, stop
    worker to parent    ready, chunk, annotated + records, part, finished, failed

When the parent's end closes, the worker exits at once: nobody writes after a killed parent.
With tokenising processes in front of it, a worker has several chunks at work; see `Lanes`.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pyarrow as pa

from bertpipe.annotators.create import create_all
from bertpipe.config import RunConfig
from bertpipe.corpus.chunks import Slice
from bertpipe.counts import summarise
from bertpipe.errors import BertpipeError, WorkerError, WriteError
from bertpipe.lanes import HandOn, Lanes
from bertpipe.messages import Message, receive_message, send_message, to_bytes
from bertpipe.output.files import writing
from bertpipe.output.parquet import PartWriter
from bertpipe.processes import ignore_signals
from bertpipe.stages import Stages


class Worker:
    """The worker's state: its annotators, and the part that it is writing.

    Messages are handled by the method of their name; each returns nothing and answers by `send`.
    is_alone: whether it has its process to itself. wake: has `hand_on` called soon.
    """

    def __init__(
        self,
        send: Callable[..., None],
        *,
        is_alone: bool = False,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self.send = send
        self.is_alone = is_alone
        self.wake = wake
        self.lanes: Lanes | None = None
        self.lock = threading.Lock()  # of the writer and of `send`
        self.stages: Stages
        self.schema: pa.Schema
        self.settings: Message = {}  # of the message `open`
        self.writer: PartWriter | None = None
        self.handed_over_at = 0.0  # the time from which `part_seconds` count

    def start(self, message: Message) -> None:
        """Load the annotators and say what they are."""
        config = RunConfig.from_dict(message["config"])
        tokenizers = _start_tokenizers(config.tokenizers)  # while the models are loaded
        annotators = create_all(config)
        # Before the clock runs: at its first array pyarrow loads pandas, where there is one.
        pa.nulls(1).to_numpy(zero_copy_only=False)
        self.stages = Stages(
            annotators,
            text_field=message["text_field"],
            max_windows=config.max_windows,
            document_timeout=config.document_timeout,
            is_alone=self.is_alone,
            tokenize=tokenizers,
        )
        if message["n_at_once"] > 1:
            self.lanes = Lanes(self.stages.annotate, message["n_at_once"], wake=self.wake)
        self.send({"type": "ready", "components": [describe(each) for each in annotators]})

    def open(self, message: Message) -> None:
        """Get ready to write parts."""
        self._hand_on_all()
        self.schema = pa.ipc.read_schema(pa.py_buffer(bytes.fromhex(message["schema"])))
        self.settings = message
        self.handed_over_at = time.monotonic()

    def chunk(self, message: Message, records: pa.RecordBatch) -> None:
        """Annotate a chunk and write it to the open part."""
        self._annotate(records, partial(self._keep, message))

    def _annotate(self, records: pa.RecordBatch, then: HandOn) -> None:
        """Annotate records, here and now unless there are lanes; `then` gets them."""
        if self.lanes is None:
            then(self.stages.annotate(records))
        else:
            self.lanes.put(records, then)

    def hand_on(self, message: Message) -> None:
        """Do what is to be done with chunks that are annotated."""
        del message
        if self.lanes is not None:
            self.lanes.hand_on()

    def _hand_on_all(self) -> None:
        if self.lanes is not None:
            self.lanes.hand_on(to_the_end=True)

    def _keep(self, message: Message, annotated: pa.RecordBatch) -> None:
        with self.stages.clock.timed("write"):
            self._write(message, annotated)

    def _write(self, message: Message, annotated: pa.RecordBatch) -> None:
        summary = summarise(annotated, self.stages.types)
        with self.lock, self._writing():
            writer = self._open_writer()
            slices = [Slice(**each) for each in message["slices"]]
            writer.write(annotated.select(self.schema.names), slices, message["stamps"])
            self.send({"type": "chunk", **summary})
            is_due = time.monotonic() - self.handed_over_at >= self.settings["part_seconds"]
            if is_due or writer.n_bytes >= self.settings["part_bytes"]:
                self.close_part()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Leave nothing of the open part behind when it cannot be written."""
        try:
            with writing(Path(self.settings.get("folder", ""))):
                yield
        except WriteError:
            self.abandon()
            raise

    def _open_writer(self) -> PartWriter:
        if self.writer is None:
            folder = Path(self.settings["folder"])
            self.writer = PartWriter(
                folder, self.schema, self.settings["metadata"], worker=self.settings["worker"]
            )
        return self.writer

    def annotate(self, message: Message, records: pa.RecordBatch) -> None:
        """Annotate a chunk and send it back."""
        self._annotate(records, partial(self._send_back, message))

    def _send_back(self, message: Message, annotated: pa.RecordBatch) -> None:
        with self.lock:
            self.send({"type": "annotated", "number": message["number"]}, to_bytes(annotated))

    def close_part(self) -> None:
        """Hand the open part to the parent, which commits it."""
        if self.writer is not None:
            self.send({"type": "part", "part": self.writer.close().to_json()})
            self.writer = None
            self.handed_over_at = time.monotonic()

    def abandon(self) -> None:
        """Leave nothing of the open part behind."""
        if self.writer is not None:
            self.writer.abandon()
            self.writer = None

    def finish(self, message: Message) -> None:
        """Hand over the last part, with all that was asked before, and say how time was spent."""
        self._hand_on_all()
        self.stop(message)

    def stop(self, message: Message) -> None:
        """Hand over the open part as it is, and say how the time was spent."""
        del message
        with self.lock, self._writing():
            self.close_part()
            seconds, counts = self.stages.timings(), self.stages.counts()
            passes = self.stages.passes()
            self.send({"type": "finished", "seconds": seconds, "counts": counts, "passes": passes})

    def fail(self, error: BaseException) -> None:
        """Say why this worker ends."""
        if not isinstance(error, BertpipeError):
            error = WorkerError("".join(traceback.format_exception(error)).strip())
        message = {"type": "failed", "error": type(error).__name__, "message": str(error)}
        if isinstance(error, WorkerError):
            message["cause"] = error.cause
        with self.lock:
            self.send(message)


def _start_tokenizers(n_processes: int | None) -> Callable[..., Any] | None:
    if not n_processes:
        return None
    from bertpipe.batching.front import Tokenizers

    return Tokenizers(n_processes)


def describe(annotator: Any) -> Message:
    """Return what the parent must know of an annotator: JSON, its type as an Arrow schema."""
    schema = pa.schema([(annotator.name, annotator.type)]).serialize().to_pybytes().hex()
    described = {"name": annotator.name, "schema": schema}
    if hasattr(annotator, "describe"):
        described.update(annotator.describe())
    return described


def main(descriptor: int) -> int:
    """Serve the parent at the other end of the descriptor until that is closed."""
    # systemd, say, sends SIGTERM to every process of a service; the parent decides what it means.
    ignore_signals()
    connection = Connection(descriptor)
    inbox: queue.Queue[tuple[Message, pa.RecordBatch | None]] = queue.Queue()

    def send(message: Message, payload: bytes | None = None) -> None:
        send_message(connection, message, payload)

    def wake() -> None:
        inbox.put(({"type": "hand_on"}, None))

    worker = Worker(send, is_alone=True, wake=wake)
    threading.Thread(target=_receive, args=(connection, inbox, worker), daemon=True).start()
    try:
        while True:
            message, records = inbox.get()
            handle = getattr(worker, message.pop("type"))
            handle(message, *([] if records is None else [records]))
    except Exception as error:
        with suppress(OSError):  # of a parent that is gone there is nobody to tell
            worker.fail(error)
    return 1


def _receive(connection: Connection, inbox: queue.Queue[Any], worker: Worker) -> None:
    """Read messages as they come, so that the parent's writes never wait for a busy worker.

    A stop does not wait for the chunk at work: the part is closed without it.
    """
    try:
        while True:
            message, records = receive_message(connection)
            if message["type"] == "stop":
                worker.stop(message)
                os._exit(0)
            inbox.put((message, records))
    except (EOFError, OSError):
        os._exit(1)
    except BaseException as error:  # of closing the part; without this thread nobody would listen
        try:
            worker.fail(error)
        finally:
            os._exit(1)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
