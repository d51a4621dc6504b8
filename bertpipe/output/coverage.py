"""Which rows of which source the parts hold, and that no two parts hold the same row."""

from bisect import bisect_left, insort
from collections.abc import Iterable
from pathlib import Path

from bertpipe.corpus.chunks import Slice, SourceDone
from bertpipe.errors import OutputError


class Coverage:
    """The slices of all parts, by source."""

    def __init__(self) -> None:
        self._owned: dict[str, list[tuple[int, int, str]]] = {}
        self._complete: set[str] = set()

    def add(self, part: Path, slices: Iterable[Slice]) -> None:
        """Count the slices of a part in.

        Raises:
            OutputError: Another part, or this one, holds some of the rows already.
        """
        for slice_ in slices:
            self._check(part, slice_)
            owned = self._owned.setdefault(slice_.source, [])
            insort(owned, (slice_.first_row, slice_.end_row, part.name))
            if slice_.is_last:
                self._complete.add(slice_.source)

    def done(self) -> dict[str, SourceDone]:
        """Return the covered ranges of each source, in the form that `iterate_chunks` wants."""
        return {
            source: SourceDone(_joined(owned), source in self._complete)
            for source, owned in self._owned.items()
        }

    def _check(self, part: Path, new: Slice) -> None:
        for first_row, end_row, owner in self._near(new):
            if first_row < new.end_row and new.first_row < end_row:
                rows = f"rows {new.first_row} to {new.end_row - 1} of {new.source}"
                raise OutputError(
                    f"{part} and {part.with_name(owner)} both hold some of the {rows}; remove one"
                    " of them and run again."
                )

    def _near(self, new: Slice) -> list[tuple[int, int, str]]:
        """Return the ranges beside a new one; the others cannot touch it, as they are disjoint."""
        owned = self._owned.get(new.source, [])
        i = bisect_left(owned, (new.first_row,))
        return owned[max(i - 1, 0) : i + 1]


def _joined(owned: Iterable[tuple[int, int, str]]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first_row, end_row, _ in owned:
        if joined and joined[-1][1] == first_row:
            first_row = joined.pop()[0]
        joined.append((first_row, end_row))
    return tuple(joined)
