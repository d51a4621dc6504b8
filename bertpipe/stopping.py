"""Stop on Ctrl-C, SIGTERM and SIGHUP at a place of our own choice."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self, TypeVar

from bertpipe.errors import StoppedError

Item = TypeVar("Item")


class StopSignal:
    """Takes signals: a KeyboardInterrupt, at once or, while `held`, when time is up.

    number: of the signal that came, or None. grace_s: how long work that is held may take to end
    itself; a second signal ends it at once. Signals reach the main thread only; elsewhere (in a
    notebook's thread, say) this does nothing. Under nohup SIGHUP stays ignored.
    """

    def __init__(self, grace_s: float) -> None:
        self.number: int | None = None
        self.grace_s = grace_s
        self._is_held = False
        self._timer: threading.Timer | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _taken():
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.number is not None and kind is KeyboardInterrupt:
            raise self.error("before its work was done; what is committed stands") from None

    def error(self, when: str) -> StoppedError:
        """Return what says that the signal has ended the run, and when."""
        assert self.number is not None
        name = signal.Signals(self.number).name
        return StoppedError(
            self.number, f"Stopped by {name} {when}; run the same command again to go on."
        )

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number is not None or not self._is_held:
            self.number = self.number or number
            raise KeyboardInterrupt
        self.number = number
        self._timer = threading.Timer(self.grace_s, os.kill, (os.getpid(), number))
        self._timer.daemon = True
        self._timer.start()

    def is_set(self) -> bool:
        """Tell whether a signal came."""
        return self.number is not None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Only note a signal: the work inside looks for it, and ends itself."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False

    def waiting_for(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the items; a signal ends the waiting for the next one, which may never come."""
        while not self.is_set():
            try:
                self._is_held = False
                item = next(items, None)
                self._is_held = True
            except KeyboardInterrupt:
                self._is_held = True
                return
            if item is None:
                return
            yield item


def _taken() -> list[signal.Signals]:
    """Return the signals that ask for an end: Ctrl-C, a supervisor's, and the terminal's own."""
    is_bound = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if is_bound else [])]
