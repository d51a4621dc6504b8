"""Class scores, from scikit-learn: of one label a text, and of several."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertpipe.errors import ConfigError
from bertpipe.evaluation.answers import thin
from bertpipe.evaluation.figures import FIGURES, by_label
from bertpipe.evaluation.gold import Classed
from bertpipe.evaluation.scores import (
    NONE,
    Confusion,
    Mistake,
    Scores,
    Threshold,
    Worst,
    calibrate,
)

TEXT_CHARS = 600  # of a mistake
WRONG, NEEDLESS, MISSED = "another class", "a label too many", "a label missing"


class ClassScorer:
    """Scores the one class of each text. labels: those there are, in the order of the tables.

    Two labels and a score are kept of each text, 16 bytes.
    """

    def __init__(self, labels: Sequence[str], *, n_mistakes: int) -> None:
        self.labels = [*labels, NONE]
        self.worst = Worst(n_mistakes)
        self._number = {label: i for i, label in enumerate(self.labels)}
        self._gold, self._found, self._confidence = array("i"), array("i"), array("d")

    def add(self, gold: Sequence[Classed], found: Sequence[Mapping[str, Any] | None]) -> None:
        """Take in texts and their classes."""
        for record, value in zip(gold, found, strict=True):
            label, score = (value["label"], value["score"]) if value else (NONE, 0.0)
            wanted = record.labels[0] if record.labels else NONE
            if label != wanted and self.worst.wants(WRONG, score):
                self.worst.keep(mistake_in(record, WRONG, wanted, label, score), score)
            self._gold.append(self._number[wanted])
            self._found.append(self._number[label])
            self._confidence.append(score)

    def scores(self) -> Scores:
        """Return accuracy, and precision, recall and F1 by label and averaged."""
        from sklearn.metrics import accuracy_score, confusion_matrix

        gold, found = np.array(self._gold), np.array(self._found)
        named = np.unique([gold, found])
        shown = {int(i): self.labels[i] for i in named if self.labels[i] != NONE}
        rows, averages = by_label(gold, found, shown)
        return Scores(
            n_records=len(gold),
            figures={
                "accuracy": float(accuracy_score(gold, found)),
                **{f"macro_{name}": averages["macro"][name] for name in FIGURES},
            },
            rows=rows,
            averages=averages,
            calibration=calibrate(
                np.array(self._confidence),
                gold == found,
                of="classes found",
                when="the class is that of the data",
            ),
            confusion=Confusion(
                [self.labels[i] for i in named],
                confusion_matrix(gold, found, labels=named).tolist(),
            ),
            n_mistakes=dict(self.worst.counts),
            mistakes=self.worst.mistakes(),
        )


class MultiLabelScorer:
    """Scores the labels of each text.

    threshold: from which score a label is found. The scores of all labels are kept, which ROC-AUC,
    calibration and thresholds need: float32 and two bools (n_texts, n_labels), 6 bytes for each
    text and label, and several times that while the figures are computed. Where an output does not
    hold all scores, there is no ROC-AUC.
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
        self._found: list[np.ndarray] = []
        self._score: list[np.ndarray] = []

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
        self._gold.append(wanted)
        self._found.append(is_found)
        self._score.append(score)

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
        from sklearn.metrics import accuracy_score

        gold, found = np.concatenate(self._gold), np.concatenate(self._found)
        score = np.concatenate(self._score)
        rows, averages = by_label(gold, found, dict(enumerate(self.labels)))
        areas = label_areas(gold, score) if self.has_all else {}
        for column, area in areas.items():
            rows[self.labels[column]]["roc_auc"] = area
        figures = {
            "micro_f1": averages["micro"]["f1"],
            "macro_f1": averages["macro"]["f1"],
            "accuracy": float(accuracy_score(gold, found)),
        }
        if areas:
            figures["roc_auc"] = float(np.mean(list(areas.values())))
        return Scores(
            n_records=len(gold),
            figures=figures,
            rows=rows,
            averages=averages,
            calibration=calibrate(
                score.ravel(), gold.ravel(), of="scores of labels", when="the text has the label"
            ),
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
    return Mistake(kind, record.place, text[:TEXT_CHARS], gold, found, score)
