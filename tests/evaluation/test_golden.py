"""Scores of stored predictions equal those that other programs computed, to four digits.

Each file in golden/ says by what its expected values were computed; masks.json and pairs.json were
written by golden/language.py.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from bertpipe.evaluation.answers import WITH, WITHOUT, AnswerScorer
from bertpipe.evaluation.classes import ClassScorer, MultiLabelScorer
from bertpipe.evaluation.entities import EntityScorer
from bertpipe.evaluation.gold import Asked, Classed, marked_words
from bertpipe.evaluation.language import hidden_figures, score_pairs
from bertpipe.training.features import Feature
from bertpipe.training.masking import judge
from bertpipe.training.scoring import pieces, score_questions
from bertpipe.training.sources import Labelled, Question
from bertpipe.training.tasks import Dev

DIGITS = 5e-5


def golden(name: str) -> dict:
    path = Path(__file__).with_name("golden") / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def near(expected):
    return pytest.approx(expected, abs=DIGITS)


def pick(row, expected):
    return {name: row[name] for name in expected}


def test_entities_score_as_conlleval_and_seqeval_score_them():
    stored = golden("entities")
    scorer = EntityScorer(n_mistakes=0)
    for record in stored["records"]:
        scorer.add([marked_words(record["words"], record["tags"], {})], [record["found"]])
    scores, expected = scorer.scores(), stored["expected"]
    assert scores.figures == near(expected["conlleval"])
    assert scores.figures == near(expected["seqeval"])
    assert scores.averages["macro"]["f1"] == near(expected["seqeval_macro_f1"])
    for label, figures in expected["conlleval_by_label"].items():
        assert pick(scores.rows[label], figures) == near(figures)


def answers(record: dict) -> list[dict]:
    if not record["found"]:
        return []
    return [{"text": record["found"], "score": record["score"], "start": 0, "end": 1}]


def answer_scorer(stored: dict, threshold: float) -> AnswerScorer:
    scorer = AnswerScorer(threshold=threshold, n_mistakes=0, find_threshold=True)
    gold = [Asked("context", r["question"], tuple(r["answers"])) for r in stored["records"]]
    scorer.add(gold, [answers(record) for record in stored["records"]])
    return scorer


@pytest.mark.parametrize("threshold", ["0.0", "0.5"])
def test_answers_score_as_the_script_of_squad_scores_them(threshold):
    stored = golden("answers")
    scores = answer_scorer(stored, float(threshold)).scores()
    expected = stored["expected"][threshold]
    assert scores.figures == near(pick(expected, scores.figures))
    for group in (WITH, WITHOUT):
        assert pick(scores.rows[group], expected[group]) == near(expected[group])


def test_answers_of_dev_files_score_as_the_script_of_squad_scores_them():
    stored = golden("answers")
    questions = [
        Question(r["question"], "context", tuple((0, text) for text in r["answers"]), "article")
        for r in stored["records"]
    ]
    found = [(math.log(r["score"] / (1 - r["score"])), r["found"]) for r in stored["records"]]
    expected = pick(stored["expected"]["0.5"], ("exact_match", "f1"))
    assert score_questions(questions, found, threshold=0.5) == near(expected)
    with_answer = [(one, other) for one, other in zip(questions, found, strict=True) if one.answers]
    expected = stored["expected"]["0.0"][WITH]
    assert score_questions(*zip(*with_answer, strict=True), threshold=0.5) == near(expected)


def test_the_best_threshold_for_no_answer_is_that_of_the_script_of_squad():
    stored = golden("answers")
    found = answer_scorer(stored, 0.0).scores().threshold
    assert found is not None
    assert (found.value, found.best) == near(tuple(stored["expected"]["best"].values()))
    assert found.value_before == near(stored["expected"]["0.0"]["f1"])
    again = answer_scorer(stored, found.best).scores()
    assert again.figures["f1"] == near(found.value)


def annotation(scores: dict[str, float], threshold: float = 0.5) -> dict:
    best = max(scores, key=lambda label: scores[label])
    return {
        "label": best,
        "score": scores[best],
        "labels": [
            label for label, score in scores.items() if np.float32(score) >= np.float32(threshold)
        ],
        "scores": [{"label": label, "score": score} for label, score in scores.items()],
    }


def test_classes_score_as_counted_by_hand():
    stored = golden("classes")
    records, expected = stored["one"], stored["expected"]["one"]
    scorer = ClassScorer(sorted(expected["by_label"]), n_mistakes=0)
    for record in records:
        scorer.add([Classed("text", (record["label"],))], [annotation(record["scores"])])
    scores = scorer.scores()
    assert scores.figures["accuracy"] == near(expected["accuracy"])
    assert scores.figures["macro_f1"] == near(expected["macro_f1"])
    assert scores.calibration is not None
    assert scores.calibration.error == near(expected["ece"])
    assert scores.confusion is not None
    counts = [list(row.values()) for row in expected["confusion"].values()]
    assert list(scores.confusion.labels) == list(expected["confusion"])
    assert scores.confusion.counts == counts
    for label, figures in expected["by_label"].items():
        assert pick(scores.rows[label], figures) == near(figures)


def multi_label_scores(threshold: float):
    records = golden("classes")["several"]
    scorer = MultiLabelScorer(
        list(records[0]["scores"]), threshold=threshold, n_mistakes=0, find_threshold=True
    )
    for start in range(0, len(records), 50):
        batch = records[start : start + 50]
        gold = [Classed("text", tuple(record["labels"])) for record in batch]
        scorer.add(gold, [annotation(record["scores"], threshold) for record in batch])
    return scorer.scores()


def test_several_labels_score_as_counted_by_hand():
    scores, expected = multi_label_scores(0.5), golden("classes")["expected"]["several"]
    figures = {
        "micro_f1": expected["micro"]["f1"],
        **pick(expected, ("macro_f1", "accuracy", "roc_auc")),
    }
    assert scores.figures == near(figures)
    assert pick(scores.averages["micro"], expected["micro"]) == near(expected["micro"])
    assert scores.calibration.error == near(expected["ece"])
    for label, figures in expected["by_label"].items():
        assert pick(scores.rows[label], figures) == near(figures)


def test_the_best_threshold_of_several_labels_is_the_one_that_counting_finds():
    best = golden("classes")["expected"]["several"]["best"]
    found = multi_label_scores(0.5).threshold
    assert (found.best, found.value) == near(tuple(best.values()))
    assert multi_label_scores(found.best).figures["micro_f1"] == near(found.value)


def test_hidden_tokens_score_as_scikit_learn_scores_them():
    stored = golden("masks")
    gold = torch.tensor([token["gold"] for token in stored["tokens"]])
    logits = torch.tensor([token["logits"] for token in stored["tokens"]])
    batches = [judge(*batch).numpy() for batch in zip(logits.split(9), gold.split(9), strict=True)]
    whole = Dev([], [])
    found = hidden_figures([(whole, batches[:2]), (whole, batches[2:])])
    assert found == pytest.approx(stored["expected"], rel=DIGITS)


def test_pairs_of_sentences_score_as_scikit_learn_scores_them(monkeypatch):
    monkeypatch.setattr("bertpipe.training.scoring.N_WINDOWS", 50)
    stored = golden("pairs")
    records, expected = stored["records"], stored["expected"]
    windows = [(i, window) for i, record in enumerate(records) for window in record["windows"]]
    dev = Dev(
        [Labelled("one", (record["label"],), "other") for record in records],
        [Feature([1], [0], None, record) for record, _ in windows],
    )
    logits = iter([np.array(window, np.float32) for _, window in windows])
    found = [(piece, [next(logits) for _ in piece.features]) for piece in pieces(dev)]
    assert len(found) > 2
    scores = score_pairs(found, n_mistakes=0)
    assert scores.figures["accuracy"] == near(expected["accuracy"])
    assert scores.figures["macro_f1"] == near(expected["macro_f1"])
    assert scores.confusion is not None
    assert scores.confusion.counts == expected["confusion"]
    assert scores.calibration is not None
    assert scores.calibration.error == near(expected["ece"])
    for label, figures in expected["by_label"].items():
        assert pick(scores.rows[label], figures) == near(figures)
