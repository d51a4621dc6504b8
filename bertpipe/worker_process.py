"""A worker's process, as its parent sees it."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Self

import pyarrow as pa

from bertpipe import errors
from bertpipe.errors import WorkerError
from bertpipe.messages import Message, receive_message, send_message
from bertpipe.processes import ONE_THREAD, start_module


@dataclass
class WorkerProcess:
    """A worker's process and what it was told first, which another in its place is told too."""

    number: int
    device: str
    said: list[Message]
    process: subprocess.Popen[bytes]
    connection: Connection
    is_ready: bool = False
    is_stopping: bool = False

    @classmethod
    def start(cls, number: int, device: str, said: list[Message]) -> Self:
        """Start a process and say to it what is to be said first."""
        try:
            process, connection = _start_process(device)
        except OSError as error:
            raise WorkerError(
                f"Worker {number} cannot be started ({error.strerror}); raise the limit that was"
                " met, or give fewer --workers."
            ) from error
        started = cls(number, device, said, process, connection)
        for message in said:
            started.send(message, None)
        return started

    def send(self, message: Message, payload: bytes | None) -> None:
        with contextlib.suppress(OSError):  # one that is gone says so with the next `receive`
            send_message(self.connection, message, payload)

    def receive(self) -> tuple[Message, pa.RecordBatch | None]:
        """Return the next message; `died` for the end of the process, with its cause."""
        try:
            message, records = receive_message(self.connection)
        except (EOFError, OSError):
            return {"type": "died", "how": self._end()}, None
        if message["type"] == "failed" and message["error"] == WorkerError.__name__:
            return {"type": "died", "how": f"failed ({message['cause']})"}, None
        return checked(message), records

    def _end(self) -> str:
        code = self.process.wait()
        if code < 0:
            return f"was ended by signal {-code}"
        timeout = self.said[0]["config"]["document_timeout"]
        if code == 1 and timeout is not None:  # of faulthandler, which gives no other; see Patience
            return f"ran on after --document-timeout ({timeout:g} s) and was given up"
        return f"exited with code {code}"

    def close(self) -> None:
        """End the process; its connection being closed, it exits by itself, at once."""
        self.connection.close()
        try:
            self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _start_process(device: str) -> tuple[subprocess.Popen[bytes], Connection]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        environment = ONE_THREAD if device == "cpu" else {}
        process = start_module("bertpipe.worker", theirs, environment)
        return process, Connection(ours.detach())


def checked(message: Message) -> Message:
    """Raise what a worker failed with, under its own class; return any other message."""
    if message["type"] != "failed":
        return message
    kind = getattr(errors, message["error"], WorkerError)
    raise kind(message["message"])
