"""The worker's side of its tokenising processes."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from socket import socket

import numpy as np
from tokenizers import Tokenizer

from bertpipe.batching.shared import pair, receive, send
from bertpipe.batching.tokenizing import read_tokens, write_texts
from bertpipe.batching.tokens import Tokens, join, tokenize
from bertpipe.processes import ONE_THREAD, start_module

SLICE_CHARS = 250_000  # about 0.1 s of work, so that all processes end at about the same time


class Tokenizers:
    """Tokenises in processes of their own, so that this one has its time for a device.

    Whatever happens to a process, its texts are tokenised: what it does not give back is done here,
    and another process takes its place.
    """

    def __init__(self, n_processes: int) -> None:
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._processes = [_Process() for _ in range(n_processes)]
        for process in self._processes:
            self._free.put(process)
        # Each of these threads waits for one process.
        self._hands = ThreadPoolExecutor(n_processes, thread_name_prefix="tokenize")
        self._known: list[tuple[Tokenizer, np.ndarray]] = []
        self._lock = threading.Lock()

    def __call__(self, tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
        """Tokenise texts as `bertpipe.batching.tokens.tokenize` does; threads may share this."""
        if not texts:
            return tokenize(tokenizer, texts)
        do = partial(self._do, self._number(tokenizer))
        return join(list(self._hands.map(do, slices(texts))))

    def _number(self, tokenizer: Tokenizer) -> int:
        """Return what the processes call a tokenizer."""
        with self._lock:
            for number, (known, _) in enumerate(self._known):
                if known is tokenizer:
                    return number
            content = np.frombuffer(tokenizer.to_str().encode(), np.uint8)
            self._known.append((tokenizer, content))
            return len(self._known) - 1

    def _do(self, number: int, texts: Sequence[str]) -> Tokens:
        tokenizer, content = self._known[number]
        process = self._free.get()
        try:
            return process.tokenize(number, content, texts)
        except (EOFError, OSError):
            process.end()
            return tokenize(tokenizer, texts)
        finally:
            self._free.put(process)

    def close(self) -> None:
        """End the processes."""
        self._hands.shutdown()
        for process in self._processes:
            process.end()


class _Process:
    """A tokenising process, or the next one in its place."""

    def __init__(self) -> None:
        self._running: tuple[subprocess.Popen[bytes], socket] | None = None
        self._told: set[int] = set()
        self._start()

    def _start(self) -> socket:
        ours, theirs = pair()
        with theirs:
            try:
                process = start_module("bertpipe.batching.tokenizing", theirs, ONE_THREAD)
            except OSError:
                ours.close()
                raise
        self._running = process, ours
        self._told = set()
        return ours

    def tokenize(self, number: int, content: np.ndarray, texts: Sequence[str]) -> Tokens:
        """Have texts tokenised by a tokenizer, which the process is told of if it is new.

        Raises:
            OSError, EOFError: The process is gone, or cannot be started.
        """
        end = self._running[1] if self._running else self._start()
        if number not in self._told:
            send(end, {"type": "tokenizer", "tokenizer": number}, content)
            self._told.add(number)
        send(end, {"type": "texts", "tokenizer": number}, *write_texts(texts))
        return read_tokens(receive(end)[1])

    def end(self) -> None:
        """End the process."""
        if self._running:
            process, end = self._running
            self._running = None
            end.close()
            process.kill()
            process.wait()


def slices(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut texts into slices of about `SLICE_CHARS` characters."""
    first = n_chars = 0
    for i, text in enumerate(texts):
        n_chars += len(text)
        if n_chars >= SLICE_CHARS:
            yield texts[first : i + 1]
            first, n_chars = i + 1, 0
    if first < len(texts):
        yield texts[first:]
