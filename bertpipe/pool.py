"""The parent's side of its workers: start them, hand out chunks, hear what they say."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol

import pyarrow as pa

from bertpipe import errors
from bertpipe.config import RunConfig
from bertpipe.encoder.device import available_memory, list_devices, n_cpus
from bertpipe.errors import WorkerError
from bertpipe.worker import Message, Worker, from_bytes, receive_message, send_message, to_bytes

WORKER_BYTES = 700_000_000  # a small model, its activations and two chunks; measured 430 MB
GRACE_SECONDS = 20.0
POLL_SECONDS = 0.5  # how soon a signal is noticed
CHUNKS_AHEAD = 2  # one at work and one waiting: a worker never waits for the reader
# One thread a process: two one-thread workers beat one process with two threads.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    # Freed activations go back to the system instead of staying in an arena of each thread.
    "MALLOC_ARENA_MAX": "2",
}


class Pool(Protocol):
    """One or more workers. `receive` gives their messages with the sender's number."""

    n_workers: int

    def send(self, worker: int, message: Message, payload: bytes | None = None) -> None: ...
    def receive(self, timeout: float | None = None) -> list[tuple[int, Message]]: ...
    def close(self) -> None: ...


def worker_devices(config: RunConfig, *, n_bytes: int) -> list[str]:
    """Return the device of each worker: one a GPU, or one a CPU core within memory and need."""
    devices = list_devices(config.encoder.device)
    if devices != ["cpu"]:
        return devices
    if config.workers is not None:
        return devices * max(1, config.workers)
    by_memory = available_memory() // WORKER_BYTES
    by_need = 1 + n_bytes // 16_384 if n_bytes else 1 << 30
    return devices * max(1, min(n_cpus(), by_memory, by_need))


class ProcessPool:
    """Workers as processes."""

    def __init__(self, config: RunConfig, devices: Sequence[str]) -> None:
        self.n_workers = len(devices)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connections: list[Connection] = []
        for device in devices:
            self._start(device)
        for i, device in enumerate(devices):
            encoder = replace(config.encoder, device=device)
            self.send(i, start_message(replace(config, encoder=encoder)))

    def _start(self, device: str) -> None:
        try:
            self._start_process(device)
        except OSError as error:
            self.close()
            raise WorkerError(
                f"Worker {len(self._processes)} cannot be started ({error.strerror}); raise the"
                " limit that was met, or give fewer --workers."
            ) from error

    def _start_process(self, device: str) -> None:
        ours, theirs = socket.socketpair()
        threads = ONE_THREAD if device == "cpu" else {}
        process = subprocess.Popen(
            # -P: a file of the user's in the current folder, json.py say, is not to be imported.
            [sys.executable, "-P", "-m", "bertpipe.worker", str(theirs.fileno())],
            start_new_session=True,  # Ctrl-C is the parent's to hear
            pass_fds=[theirs.fileno()],
            env=os.environ | threads | {"PYTHONPATH": _search_path()},
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr.fileno() if _has_descriptor(sys.stderr) else None,
        )
        theirs.close()
        self._processes.append(process)
        self._connections.append(Connection(ours.detach()))

    def send(self, worker: int, message: Message, payload: bytes | None = None) -> None:
        """Send a message; the worker reads at once, whatever it is doing.

        One that is gone says why, or that it has finished, with the next `receive`.
        """
        with contextlib.suppress(OSError):
            send_message(self._connections[worker], message, payload)

    def receive(self, timeout: float | None = None) -> list[tuple[int, Message]]:
        """Wait for at least one message, or for the timeout; a dead worker is a WorkerError."""
        ready = wait([each for each in self._connections if not each.closed], timeout)
        received = []
        for connection in ready:
            worker = self._connections.index(connection)  # type: ignore[arg-type]
            try:
                message, records = receive_message(self._connections[worker])
            except (EOFError, OSError) as error:
                raise self._death(worker) from error
            if message["type"] == "finished":
                self._connections[worker].close()  # its end is no death
            received.append((worker, checked(message) | {"records": records}))
        return received

    def _death(self, worker: int) -> WorkerError:
        code = self._processes[worker].wait()
        how = f"was ended by signal {-code}" if code < 0 else f"exited with code {code}"
        return WorkerError(
            f"Worker {worker} (process {self._processes[worker].pid}) {how}; what is committed "
            "stands. Run the same command again to go on, with --workers 1 if memory was short."
        )

    def close(self) -> None:
        """End every worker; one whose connection is closed exits by itself, at once."""
        for connection in self._connections:
            connection.close()
        for process in self._processes:
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class LocalPool:
    """The worker in the parent's own process, for debugging, notebooks and a handful of texts."""

    n_workers = 1

    def __init__(self, config: RunConfig, device: str) -> None:
        self._messages: list[Message] = []
        self._worker = Worker(self._answer)
        self.send(0, start_message(replace(config, encoder=replace(config.encoder, device=device))))

    def send(self, worker: int, message: Message, payload: bytes | None = None) -> None:
        """Do what the message says, here and now: there is never anything left to stop."""
        del worker
        if message["type"] == "stop":
            return
        arguments = dict(message)
        handle = getattr(self._worker, arguments.pop("type"))
        handle(arguments, *([] if payload is None else [from_bytes(payload)]))

    def _answer(self, message: Message, payload: bytes | None = None) -> None:
        records = None if payload is None else from_bytes(payload)
        self._messages.append({**message, "records": records})

    def receive(self, timeout: float | None = None) -> list[tuple[int, Message]]:
        """Return the worker's answers so far."""
        del timeout
        received = [(0, message) for message in self._messages]
        self._messages.clear()
        return received

    def close(self) -> None:
        """Drop the worker."""
        del self._worker


def start_pool(config: RunConfig, devices: Sequence[str]) -> Pool:
    """Start the workers, or the one in this process for `workers = 0`."""
    if config.workers == 0:
        return LocalPool(config, devices[0])
    return ProcessPool(config, devices)


def wait_until_ready(pool: Pool) -> list[Message]:
    """Return what the first worker says of its components, once all workers have loaded them."""
    components: dict[int, list[Message]] = {}
    while len(components) < pool.n_workers:
        for worker, message in pool.receive():
            components[worker] = message["components"]
    return components[0]


def start_message(config: RunConfig) -> Message:
    """Return the first message of a worker."""
    return {"type": "start", "config": config.to_dict(), "text_field": config.text_field}


def checked(message: Message) -> Message:
    """Raise what a worker failed with, under its own class; return any other message."""
    if message["type"] != "failed":
        return message
    kind = getattr(errors, message["error"], WorkerError)
    raise kind(message["message"])


def _search_path() -> str:
    """Return where this process finds modules, so that a worker finds the same."""
    return os.pathsep.join(os.path.abspath(folder) for folder in sys.path)


def _has_descriptor(stream: Any) -> bool:
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):
        return False
    return True


class Slots:
    """Says which worker the next chunk goes to: each has at most `CHUNKS_AHEAD`."""

    def __init__(self, n_workers: int) -> None:
        self._free = deque(list(range(n_workers)) * CHUNKS_AHEAD)

    def __bool__(self) -> bool:
        return bool(self._free)

    def take(self) -> int:
        """Return a worker with a free slot, the one that has been free longest."""
        return self._free.popleft()

    def release(self, worker: int) -> None:
        """Give back the slot of a chunk that is done."""
        self._free.append(worker)


def hand_out(
    pool: Pool,
    work: Iterable[tuple[Message, pa.RecordBatch]],
    stopping: Callable[[], bool] = lambda: False,
) -> Iterator[Message]:
    """Send each message with its records to the next free worker, until `stopping`.

    Yields all that the workers say meanwhile; every message sent frees its worker by one answer of
    type `chunk` or `annotated`.
    """
    slots = Slots(pool.n_workers)
    for message, records in work:
        pool.send(slots.take(), message, to_bytes(records))
        is_heard = False
        while not (slots and is_heard):
            for worker, answer in pool.receive(0 if slots else POLL_SECONDS):
                if answer["type"] in ("chunk", "annotated"):
                    slots.release(worker)
                yield answer
            is_heard = True
            if stopping():
                return


def finish(pool: Pool, stopping: Callable[[], bool] = lambda: False) -> Iterator[Message]:
    """Ask every worker for its last part; yield what they say until all have finished.

    When `stopping`, ask them to leave undone what is not done, and listen for the grace period.
    """
    waiting = set(range(pool.n_workers))
    asked = "finish"
    _tell_all(pool, waiting, asked)
    deadline: float | None = None
    while waiting and (deadline is None or time.monotonic() < deadline):
        if stopping() and asked == "finish":
            asked = "stop"
            _tell_all(pool, waiting, asked)
            deadline = time.monotonic() + GRACE_SECONDS
        for worker, answer in pool.receive(POLL_SECONDS):
            if answer["type"] == "finished":
                waiting.discard(worker)
            yield answer


def _tell_all(pool: Pool, workers: Iterable[int], kind: str) -> None:
    for worker in workers:
        pool.send(worker, {"type": kind})
