"""Answer scores: exact match and F1 as SQuAD defines them, and a threshold for no answer."""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bertpipe.evaluation.calibration import Calibrator
from bertpipe.evaluation.entities import excerpt
from bertpipe.evaluation.gold import Asked
from bertpipe.evaluation.scores import NONE, Mistake, Scores, Threshold, Worst
from bertpipe.training.metrics import answer_scores

WRONG, NEEDLESS, MISSED = "another answer", "answered without an answer", "not answered"
WITH, WITHOUT = "with an answer", "without an answer"


class AnswerScorer:
    """Scores the best answer to each question; one that scores below `threshold` is none.

    Four numbers are kept of each question, 32 bytes.
    """

    def __init__(self, *, threshold: float, n_mistakes: int, find_threshold: bool) -> None:
        self.threshold = threshold
        self.find_threshold = find_threshold
        self.worst = Worst(n_mistakes)
        # One number a question: exact match and F1 of the answer, its score, whether there is one.
        self._columns = tuple(array("d") for _ in range(4))

    def add(
        self, gold: Sequence[Asked], found: Sequence[Sequence[Mapping[str, Any]] | None]
    ) -> None:
        """Take in questions and the answers found, the best first."""
        for record, answers in zip(gold, found, strict=True):
            best = answers[0] if answers else None
            exact, f1 = _score(record, best["text"] if best else "")
            score = best["score"] if best else 0.0
            is_answered = best is not None and score >= self.threshold
            self._judge(record, best if is_answered else None, f1)
            # What is no answer scores below every threshold.
            row = exact, f1, score if best else -1.0, bool(record.answers)
            for column, value in zip(self._columns, row, strict=True):
                column.append(value)

    def _judge(self, record: Asked, best: Mapping[str, Any] | None, f1: float) -> None:
        if best is None:
            if record.answers:
                self._mistake(MISSED, record, None)
        elif not record.answers:
            self._mistake(NEEDLESS, record, best)
        elif f1 == 0:
            self._mistake(WRONG, record, best)

    def _mistake(self, kind: str, record: Asked, best: Mapping[str, Any] | None) -> None:
        score = best["score"] if best else None
        badness = score or 0.0
        if not self.worst.wants(kind, badness):
            return
        start, end = (best["start"], best["end"]) if best else (0, 0)
        text, shift = excerpt(record.text, start, end)
        self.worst.keep(
            Mistake(
                kind=kind,
                place=record.place,
                text=text,
                gold="; ".join(dict.fromkeys(record.answers)) or NONE,
                found=best["text"] if best else NONE,
                score=score,
                start=start - shift,
                end=end - shift,
                question=record.question,
            ),
            badness,
        )

    def scores(self) -> Scores:
        """Return exact match and F1, of all questions and of those with and without an answer."""
        exact, f1, score, has_answer = map(np.array, self._columns)
        has_answer = has_answer.astype(bool)
        answered = score >= max(self.threshold, 0.0)
        given = {"exact_match": exact, "f1": f1}
        reached = {name: np.where(answered, values, ~has_answer) for name, values in given.items()}
        calibrator = Calibrator(of="answers given", when="the answer is one of the data's, exactly")
        calibrator.add(score[answered], exact[answered] == 1)
        groups = {WITH: has_answer, WITHOUT: ~has_answer}
        return Scores(
            n_records=len(exact),
            figures=_means(reached),
            rows={
                name: {**_means({k: v[rows] for k, v in reached.items()}), "n": int(rows.sum())}
                for name, rows in groups.items()
                if rows.any()
            },
            calibration=calibrator.calibration(),
            n_mistakes=dict(self.worst.counts.most_common()),
            mistakes=self.worst.mistakes(),
            threshold=(
                best_threshold(f1, score, has_answer, before=self.threshold)
                if self.find_threshold
                else None
            ),
        )


def best_threshold(
    f1: np.ndarray, score: np.ndarray, has_answer: np.ndarray, *, before: float
) -> Threshold:
    """Find the threshold with the best F1, as SQuAD 2.0's own script does.

    f1, score: of each question's best answer. has_answer: whether there is one.
    """
    order = np.argsort(-score, kind="stable")
    gain = np.where(score > -1, f1 - ~has_answer, 0.0)[order]
    total = ((~has_answer).sum() + np.concatenate([[0.0], np.cumsum(gain)])) / len(f1)
    # A threshold admits all answers of one score or none of them.
    ordered = score[order]
    ends = np.append(np.flatnonzero(np.diff(ordered)) + 1, len(ordered))
    ends = np.concatenate([[0], ends[ordered[ends - 1] >= 0]])
    limits = np.concatenate([[1.0], ordered[ends[1:] - 1]])
    best = int(total[ends].argmax())
    now = float(total[int((ordered >= max(before, 0.0)).sum())])
    return Threshold(
        setting="no_answer_threshold",
        best=float(limits[best]),
        figure="f1",
        value=float(total[ends[best]]),
        before=before,
        value_before=now,
        at=thin(list(zip(limits.tolist(), total[ends].tolist(), strict=True))),
    )


def thin(curve: list[tuple[float, float]], *, n_points: int = 200) -> list[tuple[float, float]]:
    """Return about so many points of a curve, the first and the last among them."""
    if len(curve) <= n_points:
        return curve
    return [curve[i] for i in np.linspace(0, len(curve) - 1, n_points).astype(int)]


def _score(record: Asked, text: str) -> tuple[float, float]:
    scores = answer_scores([record.answers], [text])
    return scores["exact_match"], scores["f1"]


def _means(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(numbers.mean()) for name, numbers in values.items()}
