"""How many rows in error a run bears before it ends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple, Self

from bertpipe.errors import ConfigError

MIN_ROWS = 1_000  # of fewer rows no share is judged while the run is at work
ON_ERROR = ("record", "fail")
_N_TYPES = 3


class Tolerance(NamedTuple):
    """A number of rows, or a share of them in percent."""

    number: float
    is_share: bool = False

    @classmethod
    def parse(cls, text: str | int) -> Self:
        """Read `N` or `P%`; raise ConfigError for anything else."""
        match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)%", str(text))
        if match is None or float(match[2] or 0) > 100:
            raise ConfigError(f"{text!r} is neither a number nor a percentage such as 1%.")
        return cls(float(match[1] or match[2]), match[1] is None)

    def __str__(self) -> str:
        return f"{self.number:g}%" if self.is_share else f"{self.number:.0f}"

    def bears(self, n_errors: int, n_rows: int) -> bool:
        """Tell whether so many of the rows may be in error."""
        return n_errors <= (self.number / 100 * n_rows if self.is_share else self.number)

    def bears_so_far(self, n_errors: int, n_rows: int) -> bool:
        """Tell the same of a run at work, whose first rows say little about a share."""
        too_early = self.is_share and n_rows < MIN_ROWS
        return too_early or self.bears(n_errors, n_rows)


def tolerance(on_error: str, max_errors: str | int | None) -> Tolerance | None:
    """Return what `--on-error` and `--max-errors` say together; None bears any number.

    Raises:
        ConfigError: One of them is unknown, or they contradict each other.
    """
    if on_error not in ON_ERROR:
        raise ConfigError(f"on_error is {on_error!r}; use {' or '.join(ON_ERROR)}.")
    if on_error == "record":
        return None if max_errors is None else Tolerance.parse(max_errors)
    if max_errors is not None:
        raise ConfigError(
            f"on_error is 'fail', which bears no error, and max_errors is {max_errors}; give one"
            " of the two."
        )
    return Tolerance(0)


def commonest(errors: Mapping[str, int], examples: Mapping[str, str]) -> str:
    """Return the commonest types of error as `12 NullText (FILE, line 3: ...), 1 ...`."""
    counts = sorted(errors.items(), key=lambda pair: (-pair[1], pair[0]))
    told = []
    for kind, n_errors in counts[:_N_TYPES]:
        example = f" ({' '.join(examples[kind].split())})" if kind in examples else ""
        told.append(f"{n_errors:,} {kind}{example}")
    n_more = len(counts) - _N_TYPES
    return ", ".join(told) + (f" and {n_more} more types" if n_more > 0 else "")
