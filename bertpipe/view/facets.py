"""What a page can be filtered by: the labels of its columns, numbered and counted."""

import zlib
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

N_OPEN = 12  # labels of a column that are seen at once
N_LISTED = 60
HUES = (255, 150, 65, 345, 295, 195, 25, 110, 225, 320, 90, 170)  # degrees of oklch
FIXED = {"LOC": 255, "GPE": 195, "MISC": 150, "ORG": 65, "PER": 345, "PERSON": 345, "DATE": 295}


@dataclass
class Facet:
    """A label of a column; `count` of it were found."""

    number: int
    column: str
    label: str
    count: int = 0


@dataclass(frozen=True)
class Group:
    """The labels of a column, the commonest first."""

    column: str
    facets: Sequence[Facet]

    @property
    def n_found(self) -> int:
        return sum(facet.count for facet in self.facets)

    @property
    def most(self) -> int:
        return self.facets[0].count

    @property
    def open(self) -> Sequence[Facet]:
        return self.facets[:N_OPEN]

    @property
    def folded(self) -> Sequence[Facet]:
        return self.facets[N_OPEN:N_LISTED]

    @property
    def n_unlisted(self) -> int:
        return max(0, len(self.facets) - N_LISTED)


class Facets:
    """Numbers labels as they are met."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], Facet] = {}

    def count(self, column: str, label: str) -> int:
        """Return the number of a label after counting it once more."""
        new = Facet(len(self._by_name), column, label)
        facet = self._by_name.setdefault((column, label), new)
        facet.count += 1
        return facet.number

    def groups(self, columns: Sequence[str]) -> Iterator[Group]:
        """Yield the labels of each column that has any."""
        found = defaultdict(list)
        for facet in self._by_name.values():
            found[facet.column].append(facet)
        for column in columns:
            if column in found:
                yield Group(column, sorted(found[column], key=lambda each: -each.count))

    def hues(self, columns: Container[str]) -> dict[int, int]:
        """Return hues for the commonest labels of some columns; a label has one in all of them."""
        facets = [each for each in self._by_name.values() if each.column in columns]
        totals: defaultdict[str, int] = defaultdict(int)
        for facet in facets:
            totals[facet.label] += facet.count
        commonest = sorted(totals, key=lambda label: -totals[label])[: len(HUES)]
        of_label = _hues_of(sorted(commonest))
        return {each.number: of_label[each.label] for each in facets if each.label in of_label}


def _hues_of(labels: Sequence[str]) -> dict[str, int]:
    """Return a hue for each label, by its name, so that it looks alike in most pages.

    labels: at most as many as there are hues. Labels that would look alike give way.
    """
    hues: dict[str, int] = {}
    for label in sorted(labels, key=lambda each: each.upper() not in FIXED):
        start = zlib.crc32(label.encode("utf-8")) % len(HUES)
        wished = [FIXED.get(label.upper()), *HUES[start:], *HUES[:start]]
        hues[label] = next(hue for hue in wished if hue is not None and hue not in hues.values())
    return hues
