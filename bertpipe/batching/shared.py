"""Hand arrays to another process, in memory without a name: nobody has to remove it."""

import json
import mmap
import os
import socket
from typing import Any

import numpy as np

Message = dict[str, Any]

MAX_BYTES = 4_096  # of a message without its arrays


def pair() -> tuple[socket.socket, socket.socket]:
    """Return two ends that keep messages apart."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(end: socket.socket, message: Message, *arrays: np.ndarray) -> None:
    """Send a small message (JSON) and flat arrays, not all of them empty."""
    shapes = [(array.dtype.str, len(array)) for array in arrays]
    text = json.dumps({**message, "arrays": shapes}).encode()
    with os.fdopen(os.memfd_create("arrays"), "wb") as file:
        for array in arrays:
            file.write(array.data)
        file.flush()
        socket.send_fds(end, [text], [file.fileno()])


def receive(end: socket.socket) -> tuple[Message, list[np.ndarray]]:
    """Receive a message and its arrays, which lie in memory that nobody can write to.

    Raises:
        EOFError: The other end is closed.
    """
    text, descriptors, _, _ = socket.recv_fds(end, MAX_BYTES, 1)
    if not descriptors:
        raise EOFError
    with os.fdopen(descriptors[0], "rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    message = json.loads(text)
    arrays = []
    start = 0
    for kind, length in message.pop("arrays"):
        arrays.append(np.frombuffer(memory, kind, length, start))
        start += arrays[-1].nbytes
    return message, arrays
