"""Tell how a run goes on: one changing line on a terminal, else a plain line now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bertpipe.cli.text import counted, duration, rate

if TYPE_CHECKING:
    from bertpipe.report import Progress

PLAIN_SECONDS = 30.0


class ProgressLine:
    """Writes moments of a run to standard error."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._first: Progress | None = None
        self._told_at = 0.0  # seconds of the run
        self._width = 0

    def __call__(self, moment: Progress) -> None:
        """Show a moment, if it is time to."""
        self._first = self._first or moment
        line = describe(moment, self._first)
        if self.is_terminal:
            click.echo("\r" + line.ljust(self._width), nl=False, err=True)
            self._width = len(line)
        elif moment.seconds - self._told_at >= PLAIN_SECONDS:
            self._told_at = moment.seconds
            click.echo(line, err=True)

    def clear(self) -> None:
        """Leave an empty line for what comes next."""
        if self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
            self._width = 0


def describe(moment: Progress, first: Progress) -> str:
    """Return a moment in words; the time left is reckoned from the first moment."""
    seconds = moment.seconds or 1.0
    parts = [
        counted(moment.n_done + moment.n_rows, "row"),
        rate(moment.n_rows / seconds, "docs"),
        rate(moment.n_tokens / seconds, "tokens"),
    ]
    if moment.n_errors:
        parts.insert(1, f"{moment.n_errors:,} in error")
    if moment.share is not None and moment.share < 1:  # of what is read, which runs ahead
        parts.append(f"{moment.share:.0%}")
    left = _seconds_left(moment, first)
    if left is not None:
        parts.append(f"{duration(left)} left")
    return "  ".join(parts)


def _seconds_left(moment: Progress, first: Progress) -> float | None:
    if moment.share is None or first.share is None or not first.share < moment.share < 1:
        return None
    speed = (moment.share - first.share) / (moment.seconds - first.seconds)
    return (1 - moment.share) / speed
