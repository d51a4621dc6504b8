"""Entity scores: of whole entities, as the CoNLL scorer counts them."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from bertpipe.evaluation.calibration import Calibrator
from bertpipe.evaluation.figures import FIGURES, by_label
from bertpipe.evaluation.gold import Marked, Span
from bertpipe.evaluation.scores import NONE, Confusion, Mistake, Scores, Worst

CONTEXT_CHARS = 120  # on each side of an entity
CUT = "… "
WRONG_LABEL, WRONG_BOUNDS, SPURIOUS, MISSED = (
    "another label",
    "other bounds",
    "no entity there",
    "not found",
)


class EntityScorer:
    """Scores entities.

    Where the words of a text are given, what is found counts for each word that it has a part of.
    """

    def __init__(self, *, n_mistakes: int) -> None:
        self.worst = Worst(n_mistakes)
        self.n_records = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._pairs: Counter[tuple[str, str]] = Counter()
        self._calibrator = Calibrator(
            of="entities found", when="bounds and label are those of the data"
        )

    def add(
        self, gold: Sequence[Marked], found: Sequence[Sequence[Mapping[str, Any]] | None]
    ) -> None:
        """Take in texts and the entities found in them."""
        for record, entities in zip(gold, found, strict=True):
            scored = to_spans(entities or (), record.words)
            self._count(record.spans, scored)
            self._judge(record, scored)
            self.n_records += 1

    def _count(self, gold: frozenset[Span], found: Mapping[Span, float]) -> None:
        # Each span that is in either is one case: labelled and found, or one of these alone.
        for span in gold | found.keys():
            label = span[2]
            self._counts[label if span in gold else NONE, label if span in found else NONE] += 1
        right = np.array([span in gold for span in found], dtype=bool)
        self._calibrator.add(np.array([*found.values()]), right)

    def _judge(self, record: Marked, found: Mapping[Span, float]) -> None:
        gold_labels = {span[:2]: span[2] for span in record.spans}
        found_labels = {span[:2]: span[2] for span in found}
        for place in gold_labels.keys() | found_labels.keys():
            self._pairs[gold_labels.get(place, NONE), found_labels.get(place, NONE)] += 1
        for span, score in found.items():
            if span not in record.spans:
                near = [other for other in record.spans if overlap(span, other)]
                self._mistake(_kind(span, near), record, span, score, gold=near, found=[span])
        for span in sorted(record.spans):
            if not any(overlap(span, other) for other in found):
                self._mistake(MISSED, record, span, None, gold=[span], found=[])

    def _mistake(
        self,
        kind: str,
        record: Marked,
        span: Span,
        score: float | None,
        *,
        gold: Iterable[Span],
        found: Iterable[Span],
    ) -> None:
        badness = score or 0.0
        if self.worst.wants(kind, badness):
            text, shift = excerpt(record.text, span[0], span[1])
            self.worst.keep(
                Mistake(
                    kind=kind,
                    place=record.place_of(span),
                    text=text,
                    gold=_told(gold, record.text),
                    found=_told(found, record.text),
                    score=score,
                    start=span[0] - shift,
                    end=span[1] - shift,
                ),
                badness,
            )

    def scores(self) -> Scores:
        """Return precision, recall and F1: micro as figures, and macro and by label."""
        names = sorted({label for pair in self._counts for label in pair} - {NONE})
        nothing = {**dict.fromkeys(FIGURES, 0.0), "n": 0}
        rows: dict[str, dict[str, float]] = {}
        averages = dict.fromkeys(("micro", "macro"), nothing)
        if names:
            rows, averages = by_label(self._counts, names)
        return Scores(
            n_records=self.n_records,
            figures={name: averages["micro"][name] for name in FIGURES},
            rows=rows,
            averages=averages,
            calibration=self._calibrator.calibration(),
            confusion=_confusion(self._pairs),
            n_mistakes=dict(self.worst.counts.most_common()),
            mistakes=self.worst.mistakes(),
        )


def to_spans(
    entities: Iterable[Mapping[str, Any]], words: Sequence[tuple[int, int]] | None
) -> dict[Span, float]:
    """Return the score of each entity by its span, widened to whole words where they are given.

    Of two that come to share a word the first keeps it.
    """
    spans: dict[Span, float] = {}
    taken = 0
    starts = np.array([word[0] for word in words or ()])
    ends = np.array([word[1] for word in words or ()])
    for entity in entities:
        start, end = entity["start"], entity["end"]
        if words is not None:
            first = max(int(np.searchsorted(ends, start, side="right")), taken)
            taken = max(int(np.searchsorted(starts, end, side="left")), taken)
            if first >= taken:
                continue
            start, end = int(starts[first]), int(ends[taken - 1])
        spans[start, end, entity["label"]] = entity["score"]
    return spans


def overlap(one: Span, other: Span) -> bool:
    """Tell whether two spans share a character."""
    return one[0] < other[1] and other[0] < one[1]


def excerpt(text: str, start: int, end: int) -> tuple[str, int]:
    """Return what stands around a span, and how far it has moved to the front in that.

    Words are left whole, and dots tell that there is more.
    """
    first, last = start - CONTEXT_CHARS, end + CONTEXT_CHARS
    before, after = text[:start], text[end:]
    if first > 0:
        space = text.find(" ", first, start)
        before = CUT + text[space + 1 if space >= 0 else first : start]
    if last < len(text):
        space = text.rfind(" ", end, last)
        after = text[end : space if space >= 0 else last] + CUT[::-1]
    return before + text[start:end] + after, start - len(before)


def _kind(span: Span, near: Sequence[Span]) -> str:
    if not near:
        return SPURIOUS
    return WRONG_LABEL if any(other[:2] == span[:2] for other in near) else WRONG_BOUNDS


def _told(spans: Iterable[Span], text: str) -> str:
    return ", ".join(f"{label} {text[start:end]!r}" for start, end, label in sorted(spans)) or NONE


def _confusion(pairs: Counter[tuple[str, str]]) -> Confusion:
    labels = sorted({label for pair in pairs for label in pair} - {NONE})
    labels.append(NONE)
    return Confusion(labels, [[pairs[gold, found] for found in labels] for gold in labels])
