"""Measurements that are repeated, and lines of a table made of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Measurement:
    """Seconds of work of some repetitions, start-up apart."""

    name: str
    seconds: list[float] = field(default_factory=list)
    startup: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Return the median of the seconds."""
        return statistics.median(self.seconds)

    def __str__(self) -> str:
        low, high = min(self.seconds), max(self.seconds)
        startup = f", start-up {statistics.median(self.startup):.1f} s" if self.startup else ""
        return f"{self.name}: {self.median:.2f} s ({low:.2f} to {high:.2f}){startup}"


def repeat(name: str, repeats: int, once: Callable[[], tuple[float, float]]) -> Measurement:
    """Call `once`, which gives seconds of work and of start-up, some times."""
    measured = Measurement(name)
    for _ in range(repeats):
        seconds, startup = once()
        measured.seconds.append(seconds)
        measured.startup.append(startup)
    return measured


def line(what: str, wanted: str, found: str, spread: str = "") -> str:
    """Return a line of the result table."""
    return f"| {what} | {wanted} | {found} | {spread} |"


def ratio(what: str, wanted: str, slow: list[float], fast: list[float]) -> str:
    """Return the line of a ratio of medians, with the least and most that it can be."""
    found = statistics.median(slow) / statistics.median(fast)
    spread = f"{min(slow) / max(fast):.2f} to {max(slow) / min(fast):.2f}"
    return line(what, wanted, f"{found:.2f}", spread)
