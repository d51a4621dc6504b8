"""Class scores: of one label a text, and of several."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertpipe.errors import ConfigError
from bertpipe.evaluation.answers import thin
from bertpipe.evaluation.calibration import Calibrator
from bertpipe.evaluation.figures import FIGURES, Counts, by_label, cases
from bertpipe.evaluation.gold import Classed
from bertpipe.evaluation.scores import (
    NONE,
    Confusion,
    Mistake,
    Scores,
    Threshold,
    Worst,
)

TEXT_CHARS = 600  # of a mistake
WRONG, NEEDLESS, MISSED = "another class", "a label too many", "a label missing"


class ClassScorer:
    """Counts the one class of each text. labels: those there are, in the order of the tables."""

    def __init__(self, labels: Sequence[str], *, n_mistakes: int) -> None:
        self.labels = [*labels, NONE]
        self.worst = Worst(n_mistakes)
        self._counts: Counter[tuple[str, str]] = Counter()
        self._calibrator = Calibrator(of="classes found", when="the class is that of the data")

    def add(self, gold: Sequence[Classed], found: Sequence[Mapping[str, Any] | None]) -> None:
        """Take in texts and their classes."""
        wanted = [record.labels[0] if record.labels else NONE for record in gold]
        labels = [value["label"] if value else NONE for value in found]
        scores = [value["score"] if value else 0.0 for value in found]
        for record, one, other, score in zip(gold, wanted, labels, scores, strict=True):
            if one != other and self.worst.wants(WRONG, score):
                self.worst.keep(mistake_in(record, WRONG, one, other, score), score)
        pairs = list(zip(wanted, labels, strict=True))
        self._counts.update(pairs)
        right = np.array([one == other for one, other in pairs], dtype=bool)
        self._calibrator.add(np.array(scores), right)

    def scores(self) -> Scores:
        """Return accuracy, and precision, recall and F1 by label and averaged."""
        from sklearn.metrics import accuracy_score, confusion_matrix

        gold, found, weights = cases(self._counts)
        named = [label for label in self.labels if label in {*gold, *found}]
        rows, averages = by_label(self._counts, [label for label in named if label != NONE])
        confusion = confusion_matrix(gold, found, labels=named, sample_weight=weights)
        return Scores(
            n_records=self._counts.total(),
            figures={
                "accuracy": float(accuracy_score(gold, found, sample_weight=weights)),
                **{f"macro_{name}": averages["macro"][name] for name in FIGURES},
            },
            rows=rows,
            averages=averages,
            calibration=self._calibrator.calibration(),
            confusion=Confusion(named, confusion.tolist()),
            n_mistakes=dict(self.worst.counts),
            mistakes=self.worst.mistakes(),
        )


class MultiLabelScorer:
    """Scores the labels of each text.

    threshold: from which score a label is found. Labels and scores are kept, as ROC-AUC and the
    search for a threshold need them: bool and float32 (n_texts, n_labels), 5 bytes for each text
    and label, some 14 at the end, and some 170 with the search. The rest is counted. Where an
    output does not hold all scores, there is no ROC-AUC.
    """

    def __init__(
        self, labels: Sequence[str], *, threshold: float, n_mistakes: int, find_threshold: bool
    ) -> None:
        self.labels = list(labels)
        self.threshold = threshold
        self.find_threshold = find_threshold
        self.worst = Worst(n_mistakes)
        self.has_all = True
        self._column = {label: i for i, label in enumerate(self.labels)}
        self._gold: list[np.ndarray] = []
        self._score: list[np.ndarray] = []
        self._n_whole = 0  # texts with all labels right
        self._n_both, self._n_gold, self._n_found = np.zeros((3, len(labels)), np.int64)
        self._calibrator = Calibrator(of="scores of labels", when="the text has the label")

    def add(self, gold: Sequence[Classed], found: Sequence[Mapping[str, Any] | None]) -> None:
        """Take in texts and the labels found."""
        shape = len(gold), len(self.labels)
        wanted, is_found = np.zeros(shape, bool), np.zeros(shape, bool)
        score = np.zeros(shape, np.float32)
        for row, (record, value) in enumerate(zip(gold, found, strict=True)):
            wanted[row, [self._column[label] for label in record.labels]] = True
            if value is None:
                continue
            is_found[row, [self._column[label] for label in value["labels"]]] = True
            score[row, [self._column[each["label"]] for each in value["scores"]]] = [
                each["score"] for each in value["scores"]
            ]
            self._note_scores(len(value["scores"]))
        self._judge(gold, wanted, is_found, score)
        self._count(wanted, is_found)
        self._calibrator.add(score.ravel(), wanted.ravel())
        self._gold.append(wanted)
        self._score.append(score)

    def _count(self, wanted: np.ndarray, found: np.ndarray) -> None:
        self._n_whole += int((wanted == found).all(axis=1).sum())
        self._n_both += (wanted & found).sum(axis=0)
        self._n_gold += wanted.sum(axis=0)
        self._n_found += found.sum(axis=0)

    def _counts(self) -> Counts:
        """Return how often each label was right, missing and too many."""
        counts: dict[tuple[str, str], int] = {}
        for i, label in enumerate(self.labels):
            n_both = int(self._n_both[i])
            counts[label, label] = n_both
            counts[label, NONE] = int(self._n_gold[i]) - n_both
            counts[NONE, label] = int(self._n_found[i]) - n_both
        return counts

    def _note_scores(self, n_scores: int) -> None:
        self.has_all &= n_scores == len(self.labels)
        if self.find_threshold and not self.has_all:
            raise ConfigError(
                f"--find-threshold needs the scores of all {len(self.labels)} labels, and a text "
                f"has only {n_scores} (top_k): annotate with --components.NAME.top_k "
                f"{len(self.labels)} or more, and evaluate that."
            )

    def _judge(
        self, gold: Sequence[Classed], wanted: np.ndarray, found: np.ndarray, score: np.ndarray
    ) -> None:
        for row, column in np.argwhere(wanted != found):
            is_missed = bool(wanted[row, column])
            kind, value = MISSED if is_missed else NEEDLESS, float(score[row, column])
            badness = 1 - value if is_missed else value
            if self.worst.wants(kind, badness):
                label = self.labels[column]
                wanted_label, found_label = (label, NONE) if is_missed else (NONE, label)
                mistake = mistake_in(gold[row], kind, wanted_label, found_label, value)
                self.worst.keep(mistake, badness)

    def scores(self) -> Scores:
        """Return micro and macro figures, ROC-AUC, and figures by label."""
        gold, score = np.concatenate(self._gold), np.concatenate(self._score)
        rows, averages = by_label(self._counts(), self.labels)
        areas = label_areas(gold, score) if self.has_all else {}
        for column, area in areas.items():
            rows[self.labels[column]]["roc_auc"] = area
        figures = {
            "micro_f1": averages["micro"]["f1"],
            "macro_f1": averages["macro"]["f1"],
            "accuracy": self._n_whole / len(gold),
        }
        if areas:
            figures["roc_auc"] = float(np.mean(list(areas.values())))
        return Scores(
            n_records=len(gold),
            figures=figures,
            rows=rows,
            averages=averages,
            calibration=self._calibrator.calibration(),
            n_mistakes=dict(self.worst.counts.most_common()),
            mistakes=self.worst.mistakes(),
            threshold=(
                best_threshold(gold, score, before=self.threshold) if self.find_threshold else None
            ),
        )


def label_areas(gold: np.ndarray, score: np.ndarray) -> dict[int, float]:
    """Return the ROC-AUC of each label that some texts have and some have not, by its column."""
    from sklearn.metrics import roc_auc_score

    share = gold.mean(0)
    return {
        int(i): float(roc_auc_score(gold[:, i], score[:, i]))
        for i in np.flatnonzero((share > 0) & (share < 1))
    }


def best_threshold(gold: np.ndarray, score: np.ndarray, *, before: float) -> Threshold:
    """Find the threshold with the best micro F1.

    gold: bool, score: float32, both (n_texts, n_labels).
    """
    from sklearn.metrics import f1_score, precision_recall_curve

    precision, recall, limits = precision_recall_curve(gold.ravel(), score.ravel())
    total = precision + recall
    f1 = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)[:-1]
    best = int(f1.argmax())
    value_before = f1_score(gold, score >= before, average="micro", zero_division=0)
    return Threshold(
        setting="threshold",
        best=float(limits[best]),
        figure="micro_f1",
        value=float(f1[best]),
        before=before,
        value_before=float(value_before),
        at=thin(list(zip(limits.tolist(), f1.tolist(), strict=True))),
    )


def mistake_in(record: Classed, kind: str, gold: str, found: str, score: float) -> Mistake:
    """Return a mistake about a whole text."""
    text = record.text if record.pair is None else f"{record.text}\n— {record.pair}"
    cut = text if len(text) <= TEXT_CHARS else f"{text[:TEXT_CHARS]}…"
    return Mistake(kind, record.place, cut, gold, found, score)
