"""Stop on Ctrl-C and SIGTERM at a place of our own choice."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self


class StopSignal:
    """Notes Ctrl-C and SIGTERM instead of being interrupted by them, so that no message is cut.

    A second signal interrupts at once: the first may wait for standard input, say.

    number: of the signal that came, or None. Signals reach the main thread only; elsewhere (in a
    notebook's thread, say) this does nothing.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number

    def is_set(self) -> bool:
        """Tell whether a signal came."""
        return self.number is not None
