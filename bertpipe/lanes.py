"""Several chunks at work at the same time, in front of one device.

One is tokenised while another is on the device and a third is decoded; what must not be done for
two at once has a lock of its own (`Turns`). Chunks are handed on in the order in which they came.
"""

from __future__ import annotations

import contextvars
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa

N_LANES = 3  # one at the tokenising processes, one on the device, one decoded or written
# A thread that launches kernels is not to wait long for one that decodes: Python lets threads take
# turns every 5 ms by default, in which a GPU may run dry.
SWITCH_SECONDS = 0.0005

HandOn = Callable[[pa.RecordBatch], None]


@dataclass(frozen=True)
class Turns:
    """Locks on what is done for one chunk at a time: requests, work on the device, decoding."""

    ask: threading.RLock = field(default_factory=threading.RLock)
    score: threading.RLock = field(default_factory=threading.RLock)
    decode: threading.RLock = field(default_factory=threading.RLock)


class Lanes:
    """Annotates chunks in threads.

    wake: is called, by any thread, when `hand_on` may have something to do.
    """

    def __init__(
        self,
        annotate: Callable[[pa.RecordBatch], pa.RecordBatch],
        n_lanes: int = N_LANES,
        *,
        wake: Callable[[], None],
    ) -> None:
        self._annotate = annotate
        self._wake = wake
        self._threads = ThreadPoolExecutor(n_lanes, thread_name_prefix="lane")
        self._waiting: deque[tuple[Future[pa.RecordBatch], HandOn]] = deque()
        sys.setswitchinterval(SWITCH_SECONDS)

    def put(self, records: pa.RecordBatch, then: HandOn) -> None:
        """Begin with a chunk; `then` gets it when it is annotated and all before it are done."""
        # spaCy keeps what it was set to in context variables, which a thread does not inherit.
        context = contextvars.copy_context()
        future = self._threads.submit(context.run, self._annotate, records)
        self._waiting.append((future, then))
        future.add_done_callback(lambda done: self._wake())

    def hand_on(self, *, to_the_end: bool = False) -> None:
        """Hand on what is annotated, or wait for all; raise what the annotating raised."""
        while self._waiting and (to_the_end or self._waiting[0][0].done()):
            future, then = self._waiting.popleft()
            then(future.result())
