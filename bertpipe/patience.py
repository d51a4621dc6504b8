"""`--document-timeout`: end work on a document that takes too long.

A batch may take as long as one document, and four times what as many characters took before. When
that is over, the batch is halved like one that fails, down to the document that does not end.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pyarrow as pa
import pyarrow.compute as pc

from bertpipe.errors import ConfigError, DocumentError

MIN_ROWS = 64  # of fewer rows nobody knows how long more of them take
LENIENCE = 4.0
EXIT_AFTER_S = 10.0  # code that is not Python may not hear of the end; then its process ends


class _TimeIsUp(BaseException):
    """Passes through whatever an annotator catches."""


class Patience:
    """How long an annotator may work on a document; None is as long as it likes.

    is_alone: whether the process has nothing else to do, and may end where nothing else helps.
    """

    def __init__(self, seconds: float | None, *, is_alone: bool) -> None:
        if seconds is not None and threading.current_thread() is not threading.main_thread():
            raise ConfigError(
                f"document_timeout is {seconds:g} s, and outside the main thread nothing can be"
                " ended in time; give workers = 1 or more."
            )
        self.seconds = seconds
        self.is_alone = is_alone
        self.n_rows = self.n_chars = 0
        self.spent = 0.0

    def next_rows(self, n_left: int) -> int:
        """Return how many rows to try next: few at first, to learn how long they take."""
        is_sure = self.seconds is None or self.n_rows >= MIN_ROWS
        return n_left if is_sure else min(n_left, self.n_rows + 1)

    @contextmanager
    def over(self, batch: pa.RecordBatch) -> Iterator[None]:
        """Raise DocumentError inside when the time for a batch is over."""
        if self.seconds is None:
            yield
            return
        n_chars = pc.sum(pc.utf8_length(batch["text"])).as_py() or 0
        expected = self.spent * n_chars / self.n_chars if self.n_chars else 0.0
        allowed = self.seconds + (LENIENCE * expected if len(batch) > 1 else 0.0)
        start = time.monotonic()
        with _alarm(allowed, exits=self.is_alone):
            yield
        self.spent += time.monotonic() - start
        self.n_rows += len(batch)
        self.n_chars += n_chars


@contextmanager
def _alarm(seconds: float, *, exits: bool) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, _raise)
    try:
        signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
        if exits:
            faulthandler.dump_traceback_later(seconds + EXIT_AFTER_S, exit=True, file=sys.stderr)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)
    except _TimeIsUp:
        raise DocumentError(
            f"The document took longer than {seconds:g} s; leave it out, or raise"
            " --document-timeout."
        ) from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)


def _raise(number: int, frame: FrameType | None) -> None:
    raise _TimeIsUp
