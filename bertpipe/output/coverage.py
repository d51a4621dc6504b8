"""Which rows of which source the parts hold, and that no two parts hold the same row."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bertpipe.corpus.chunks import Slice, SourceDone
from bertpipe.errors import OutputError
from bertpipe.output.footer import Stamp


class _Owned(NamedTuple):
    """Rows of a source in a part. `covered`: how much of the source was read for them, in bytes."""

    first_row: int
    end_row: int
    part: str
    covered: int
    is_last: bool


class Coverage:
    """The slices of all parts, by source."""

    def __init__(self) -> None:
        self._owned: dict[str, list[_Owned]] = {}

    def add(self, part: Path, slices: Iterable[Slice], stamps: Mapping[str, Stamp]) -> None:
        """Count the slices of a part in.

        Raises:
            OutputError: Another part, or this one, holds some of the rows already.
        """
        for source, new in _owned(part, slices, stamps):
            self._check(part, source, new)
            insort(self._owned.setdefault(source, []), new)

    def remove(self, part: Path, slices: Iterable[Slice], stamps: Mapping[str, Stamp]) -> None:
        """Count the slices of a part out."""
        for source, old in _owned(part, slices, stamps):
            self._owned[source].remove(old)
            if not self._owned[source]:
                del self._owned[source]

    def done(self, ends: Mapping[str, int] | None = None) -> dict[str, SourceDone]:
        """Return the covered ranges of each source, in the form that `iterate_chunks` wants.

        A source is complete when its last row was found by reading to its end: to the byte that
        `ends` names, or else as far as it was read for any part. It may have grown since then.
        """
        ends = ends or {}
        return {
            source: SourceDone(_joined(owned), _is_complete(owned, ends.get(source)))
            for source, owned in self._owned.items()
        }

    def _check(self, part: Path, source: str, new: _Owned) -> None:
        for other in self._near(source, new):
            if other.first_row < new.end_row and new.first_row < other.end_row:
                rows = f"rows {new.first_row} to {new.end_row - 1} of {source}"
                raise OutputError(
                    f"{part} and {part.with_name(other.part)} both hold some of the {rows}; remove"
                    " one of them and run again."
                )

    def _near(self, source: str, new: _Owned) -> list[_Owned]:
        """Return the ranges beside a new one; the others cannot touch it, as they are disjoint."""
        owned = self._owned.get(source, [])
        i = bisect_left(owned, (new.first_row,))
        return owned[max(i - 1, 0) : i + 1]


def _owned(
    part: Path, slices: Iterable[Slice], stamps: Mapping[str, Stamp]
) -> Iterator[tuple[str, _Owned]]:
    for each in slices:
        covered = stamps[each.source].covered
        yield each.source, _Owned(each.first_row, each.end_row, part.name, covered, each.is_last)


def _is_complete(owned: Iterable[_Owned], end: int | None) -> bool:
    owned = list(owned)
    wanted = max(each.covered for each in owned) if end is None else end
    return any(each.is_last and each.covered == wanted for each in owned)


def _joined(owned: Iterable[_Owned]) -> tuple[tuple[int, int], ...]:
    joined: list[tuple[int, int]] = []
    for first_row, end_row, *_ in owned:
        if joined and joined[-1][1] == first_row:
            first_row = joined.pop()[0]
        joined.append((first_row, end_row))
    return tuple(joined)
