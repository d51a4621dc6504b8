"""What the parent and its workers say to each other: JSON, and after it an Arrow stream."""

from __future__ import annotations

import json
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

Message = dict[str, Any]


def to_bytes(batch: pa.RecordBatch) -> bytes:
    """Write one record batch as an Arrow stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return sink.getvalue().to_pybytes()


def from_bytes(payload: bytes) -> pa.RecordBatch:
    """Read the record batch of an Arrow stream."""
    return pa.ipc.open_stream(payload).read_next_batch()


def send_message(connection: Connection, message: Message, payload: bytes | None) -> None:
    """Send a message, and after it the Arrow stream that belongs to it."""
    message = {**message, "has_payload": payload is not None}
    connection.send_bytes(json.dumps(message).encode())
    if payload is not None:
        connection.send_bytes(payload)


def receive_message(connection: Connection) -> tuple[Message, pa.RecordBatch | None]:
    """Receive a message, with its records if it has any."""
    message = json.loads(connection.recv_bytes())
    records = from_bytes(connection.recv_bytes()) if message.pop("has_payload") else None
    return message, records
