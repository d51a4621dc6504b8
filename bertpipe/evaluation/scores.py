"""What an evaluation finds: figures, tables, calibration, confusion, mistakes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from heapq import heappush, heapreplace
from itertools import count
from typing import Any, Protocol

NONE = "(none)"  # in a confusion matrix: no label, no entity, no answer
Row = Mapping[str, float]


@dataclass(frozen=True)
class Mistake:
    """Something found that is not so, or not found.

    text: the record's, or what of it is near. start, end: the part of it that it is about, if it is
    a part. place: its file and line. score: what the model gave, if anything.
    """

    kind: str
    place: str
    text: str
    gold: str
    found: str
    score: float | None = None
    start: int = 0
    end: int = 0
    question: str | None = None

    @property
    def short_place(self) -> str:
        """Return the place without the folders of its file."""
        return self.place.rpartition("/")[2]


class Worst:
    """Counts mistakes by kind and keeps the `n_kept` worst of each kind."""

    def __init__(self, n_kept: int) -> None:
        self.n_kept = n_kept
        self.counts: Counter[str] = Counter()
        self._kept: dict[str, list[tuple[float, int, Mistake]]] = {}
        self._number = count()

    def wants(self, kind: str, badness: float) -> bool:
        """Count a mistake; tell whether it is among the worst so far."""
        self.counts[kind] += 1
        kept = self._kept.get(kind, [])
        return self.n_kept > 0 and (len(kept) < self.n_kept or badness > kept[0][0])

    def keep(self, mistake: Mistake, badness: float) -> None:
        """Keep a mistake that is wanted."""
        kept = self._kept.setdefault(mistake.kind, [])
        entry = (badness, -next(self._number), mistake)
        if len(kept) < self.n_kept:
            heappush(kept, entry)
        else:
            heapreplace(kept, entry)

    def mistakes(self) -> list[Mistake]:
        """Return what is kept: the commonest kind first, of each kind the worst first."""
        kinds = [kind for kind, _ in self.counts.most_common()]
        ordered = [sorted(self._kept.get(kind, ()), reverse=True) for kind in kinds]
        return [mistake for kept in ordered for *_, mistake in kept]


@dataclass(frozen=True)
class Calibration:
    """How far scores can be read as probabilities.

    error: the expected calibration error of Guo et al., "On Calibration of Modern Neural Networks"
        (ICML 2017); None if nothing was scored. of: what is scored. right: when it counts as right.
    confidence, share_right, counts: by bin that holds anything.
    """

    error: float | None
    of: str
    right: str
    confidence: Sequence[float]
    share_right: Sequence[float]
    counts: Sequence[int]


@dataclass(frozen=True)
class Confusion:
    """How often what was labelled as a row's label was found to be a column's."""

    labels: Sequence[str]
    counts: Sequence[Sequence[int]]


@dataclass(frozen=True)
class Threshold:
    """The threshold with the best figure on the scored data.

    setting: of the component. at: the figure by threshold, for a curve: [threshold, figure].
    """

    setting: str
    best: float
    figure: str
    value: float
    before: float
    value_before: float
    at: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Scores:
    """The scores on some data.

    figures: the main ones. rows: figures by label, or by group of questions. averages: of the rows.
    n_mistakes: by kind.
    """

    n_records: int
    figures: Row
    rows: Mapping[str, Row]
    averages: Mapping[str, Row] = field(default_factory=dict)
    calibration: Calibration | None = None
    confusion: Confusion | None = None
    n_mistakes: Mapping[str, int] = field(default_factory=dict)
    mistakes: Sequence[Mistake] = ()
    threshold: Threshold | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the scores as plain JSON values."""
        return asdict(self)


class Scorer(Protocol):
    """Takes in what was found batch by batch."""

    def add(self, gold: Sequence[Any], found: Sequence[Any]) -> None:
        """Take in records and what was found in each, as plain Python; None is nothing."""
        ...

    def scores(self) -> Scores:
        """Return the scores of all that was taken in."""
        ...
