"""Tell how a training goes on: a bar on a terminal, else a plain line now and then."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from bertpipe.cli.text import duration

if TYPE_CHECKING:
    from bertpipe.training.callbacks import Moment

PLAIN_SECONDS = 30.0
FORMAT = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}  {elapsed}, {remaining} left{postfix}"


class TrainingBar:
    """Writes moments of a training, and lines, to standard error."""

    def __init__(self, *, is_terminal: bool) -> None:
        self.is_terminal = is_terminal
        self._bar: Any = None
        self._first_step = 0
        self._started_at = self._told_at = 0.0

    def __call__(self, moment: Moment) -> None:
        """Show a moment, if it is time to."""
        now = time.monotonic()
        if not self._started_at:
            self._first_step, self._started_at, self._told_at = moment.step, now, now
        if self.is_terminal:
            self._draw(moment)
        elif moment.is_evaluated or now - self._told_at >= PLAIN_SECONDS:
            self._told_at = now
            n_done = moment.step - self._first_step
            click.echo(describe(moment, n_done=n_done, seconds=now - self._started_at), err=True)

    def say(self, line: str) -> None:
        """Write a line; the bar that stood above it is finished."""
        self.close()
        click.echo(line, err=True)

    def close(self) -> None:
        """Leave the bar as it is and begin a new line."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _draw(self, moment: Moment) -> None:
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                total=moment.n_steps, initial=moment.step, bar_format=FORMAT, dynamic_ncols=True
            )
        self._bar.set_postfix_str("  ".join(figures(moment)), refresh=moment.is_evaluated)
        self._bar.update(moment.step - self._bar.n)


def describe(moment: Moment, *, n_done: int, seconds: float) -> str:
    """Return a moment in words; the time left is reckoned from `n_done` steps in `seconds`."""
    parts = [f"step {moment.step:,} of {moment.n_steps:,}", *figures(moment)]
    if n_done > 0 and moment.step < moment.n_steps:
        parts.append(f"{duration((moment.n_steps - moment.step) * seconds / n_done)} left")
    return "  ".join(parts)


def figures(moment: Moment) -> list[str]:
    """Return what is known of loss and score."""
    known = {"loss": moment.loss, "score": moment.score}
    return [f"{name} {value:.4f}" for name, value in known.items() if value is not None]
