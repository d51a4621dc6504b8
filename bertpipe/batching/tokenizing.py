"""A tokenising process: texts to flat arrays, for a worker that has a GPU to attend to.

Started as `python -m bertpipe.batching.tokenizing FD`, FD being one end of a pair of sockets.

    to the process      tokenizer (its JSON, as bytes), texts (lengths, characters)
    from the process    the arrays of `Tokens`

When the other end closes, the process exits at once; when it cannot do what it is asked, too: the
worker then does it, and hears of what is wrong itself.
"""

from __future__ import annotations

import os
import queue
import socket
import sys
import threading
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from bertpipe.batching.shared import receive, send
from bertpipe.batching.tokens import Tokens, tokenize
from bertpipe.processes import ignore_signals


def write_texts(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the lengths of texts, int64 (n_texts,), and their UTF-8 end to end, uint8."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    return lengths, np.frombuffer("".join(texts).encode(), np.uint8)


def read_texts(lengths: np.ndarray, content: np.ndarray) -> list[str]:
    """Return the texts that `write_texts` wrote."""
    whole = content.tobytes().decode()
    ends = [0, *np.cumsum(lengths).tolist()]
    return [whole[start:end] for start, end in pairwise(ends)]


def write_tokens(tokens: Tokens) -> tuple[np.ndarray, ...]:
    """Return tokens as arrays to send."""
    return tokens.offsets, tokens.ids, tokens.starts, tokens.ends


def read_tokens(arrays: Sequence[np.ndarray]) -> Tokens:
    """Return the tokens that `write_tokens` wrote."""
    offsets, ids, starts, ends = arrays
    return Tokens(ids, starts, ends, offsets)


def main(descriptor: int) -> None:
    """Serve the worker at the other end of the descriptor until that is closed."""
    ignore_signals()
    end = socket.socket(fileno=descriptor)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(end, inbox), daemon=True).start()
    known: dict[int, Tokenizer] = {}
    while True:
        message, arrays = inbox.get()
        if message["type"] == "tokenizer":
            known[message["tokenizer"]] = Tokenizer.from_buffer(arrays[0].tobytes())
        else:
            tokens = tokenize(known[message["tokenizer"]], read_texts(*arrays))
            send(end, {}, *write_tokens(tokens))


def _receive(end: socket.socket, inbox: queue.SimpleQueue[Any]) -> None:
    try:
        while True:
            inbox.put(receive(end))
    except (EOFError, OSError):
        os._exit(0)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Exception:
        os._exit(1)
