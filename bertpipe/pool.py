"""The parent's side of its workers: start them, send them messages, hear what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Protocol

from bertpipe.config import RunConfig
from bertpipe.encoder.device import available_memory, list_devices, n_cpus
from bertpipe.errors import WorkerError
from bertpipe.lanes import N_LANES
from bertpipe.messages import Message, from_bytes
from bertpipe.worker import Worker
from bertpipe.worker_process import WorkerProcess

WORKER_BYTES = 700_000_000  # `python -m benchmarks parts` measures a worker
MAX_TOKENIZERS = 16  # of a worker; more than a GPU has use for
MAX_DEATHS = 100  # of workers in a run; a document that kills them is found by about 15


class Pool(Protocol):
    """One or more workers. `receive` gives their messages with the sender's number.

    n_at_once: the chunks that each has at work at the same time.
    """

    n_workers: int
    n_at_once: int

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


def n_tokenizers(config: RunConfig, devices: Sequence[str]) -> int:
    """Return the number of tokenising processes of each worker: by default only before a GPU.

    The worker, its parent and what decodes take about three cores.
    """
    if config.workers == 0:
        return 0
    if config.tokenizers is not None:
        return max(0, config.tokenizers)
    if devices[0] == "cpu":
        return 0
    return min(MAX_TOKENIZERS, max(1, n_cpus() // len(devices) - 3))


def n_at_once(config: RunConfig, devices: Sequence[str]) -> int:
    """Return how many chunks each worker has at work at the same time.

    Only a main thread can be interrupted, so with a document_timeout it is one.
    """
    has_lanes = n_tokenizers(config, devices) and config.document_timeout is None
    return N_LANES if has_lanes else 1


class ProcessPool:
    """Workers as processes. One that dies is replaced, and has to be handed its work again."""

    def __init__(self, config: RunConfig, devices: Sequence[str]) -> None:
        self.n_workers = len(devices)
        self.n_at_once = n_at_once(config, devices)
        config = replace(config, tokenizers=n_tokenizers(config, devices))
        self._n_died = 0
        self._workers: list[WorkerProcess] = []
        try:
            for number, device in enumerate(devices):
                encoder = replace(config.encoder, device=device)
                said = [start_message(replace(config, encoder=encoder), self.n_at_once)]
                self._workers.append(WorkerProcess.start(number, device, said))
        except WorkerError:
            self.close()
            raise

    def send(self, worker: int, message: Message, payload: bytes | None = None) -> None:
        """Send a message; the worker reads at once, whatever it is doing."""
        told = self._workers[worker]
        if message["type"] == "open":
            told.said = [told.said[0], message]
        told.is_stopping = message["type"] == "stop"
        told.send(message, payload)

    def receive(self, timeout: float | None = None) -> list[tuple[int, Message]]:
        """Wait for at least one message, or for the timeout.

        Of a worker that died the last message is `died`; by then another is in its place.

        Raises:
            WorkerError: A worker died before it was ready, or too many died.
        """
        living = {each.connection: each for each in self._workers if not each.connection.closed}
        received = []
        for connection in wait(list(living), timeout):
            worker = living[connection]  # type: ignore[index]
            message, records = worker.receive()
            worker.is_ready = worker.is_ready or message["type"] == "ready"
            if message["type"] == "died":
                self._replace(worker, message["how"])
            received.append((worker.number, message | {"records": records}))
        return received

    def _replace(self, dead: WorkerProcess, how: str) -> None:
        dead.close()
        if dead.is_stopping:
            return
        self._n_died += 1
        if not dead.is_ready or self._n_died > MAX_DEATHS:
            before = "" if dead.is_ready else " before it was ready"
            many = f", after {MAX_DEATHS} others" if self._n_died > MAX_DEATHS else ""
            raise WorkerError(
                f"Worker {dead.number} (process {dead.process.pid}) {how}{before}{many}; what is"
                " committed stands. Run the same command again to go on, with --workers 1 if"
                " memory was short."
            )
        self._workers[dead.number] = WorkerProcess.start(dead.number, dead.device, dead.said)

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.connection.close()
        for worker in self._workers:
            worker.close()


class LocalPool:
    """The worker in the parent's own process, for debugging, notebooks and a handful of texts."""

    n_workers = n_at_once = 1

    def __init__(self, config: RunConfig, device: str) -> None:
        self._messages: list[Message] = []
        self._worker = Worker(self._answer)
        encoder = replace(config.encoder, device=device)
        self.send(0, start_message(replace(config, encoder=encoder, tokenizers=0)))

    def send(self, worker: int, message: Message, payload: bytes | None = None) -> None:
        """Do what the message says, here and now."""
        del worker
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
        """Drop the worker, and what it has not finished."""
        self._worker.abandon()
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


def start_message(config: RunConfig, at_once: int = 1) -> Message:
    """Return the first message of a worker."""
    return {
        "type": "start",
        "config": config.to_dict(),
        "text_field": config.text_field,
        "n_at_once": at_once,
    }
