import pytest

from bertpipe.training.metrics import answer_scores, class_scores, entity_scores, normalised

# Exact match and F1 by hand from the definition in Rajpurkar et al. 2016, section 6.
CASES = [
    (["Denver Broncos"], "the Denver Broncos!", 1.0, 1.0),
    (["Denver Broncos"], "Broncos", 0.0, 2 / 3),
    (["Saint Bernadette Soubirous"], "Bernadette", 0.0, 0.5),
    (["gold", "the color gold"], "color gold", 1.0, 1.0),
    (["1976"], "10th of May", 0.0, 0.0),
    (["in the late 1990s"], "late 1990s", 0.0, 0.8),
    (["a a b"], "b b", 0.0, 2 / 3),
    (["the"], "a", 1.0, 1.0),
    (["the"], "Paris", 0.0, 0.0),
    ([], "", 1.0, 1.0),
    ([], "Paris", 0.0, 0.0),
]


@pytest.mark.parametrize(("gold", "found", "exact", "f1"), CASES)
def test_answers_score_as_squad_defines(gold, found, exact, f1):
    assert answer_scores([gold], [found]) == pytest.approx({"exact_match": exact, "f1": f1})


def test_scores_are_averages_over_questions():
    scores = answer_scores([["Paris"], ["Denver Broncos"]], ["Paris", "Broncos"])
    assert scores == pytest.approx({"exact_match": 0.5, "f1": (1 + 2 / 3) / 2})


def test_normalising_drops_case_punctuation_and_articles():
    assert normalised("The  U.S. — an 'ally'") == "us — ally"


def test_entities_count_only_when_whole():
    gold = [["B-PER", "I-PER", "O", "B-LOC"]]
    found = [["B-PER", "O", "O", "B-LOC"]]
    assert entity_scores(gold, found) == {"precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_classes_have_accuracy_and_macro_f1():
    scores = class_scores(["a", "a", "b"], ["a", "b", "b"])
    assert scores == pytest.approx({"accuracy": 2 / 3, "macro_f1": 2 / 3})
