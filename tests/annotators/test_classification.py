"""Classes of windows become classes of texts."""

import numpy as np
import pyarrow as pa
import pytest
import spacy

from bertpipe.annotators.classification import BertClassifier, pool_windows
from bertpipe.errors import ConfigError
from bertpipe.testing import check_annotator, same

from .conftest import ENCODER, annotate

LABELS = ("one", "two", "three", "four")
LONG = "Angela Merkel met Barack Obama in Berlin. Then she flew to the sea, a long journey. " * 6


@pytest.fixture
def folder(tiny):
    return tiny("classifier", labels=LABELS)


def test_windows_are_pooled_by_mean_maximum_or_the_first():
    scores = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 0.25], [0.5, 0.5]], dtype=np.float32)
    firsts = np.array([0, 3])
    assert pool_windows(scores, firsts, "mean").tolist() == [[0.5, 0.25], [0.5, 0.5]]
    assert pool_windows(scores, firsts, "max").tolist() == [[1.0, 0.5], [0.5, 0.5]]
    assert pool_windows(scores, firsts, "first").tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_a_text_of_one_window_has_the_same_class_however_windows_are_pooled(folder):
    texts = ["In Berlin.", "Angela met Barack."]
    mean, most, first = (
        annotate(BertClassifier(model=folder, encoder=ENCODER, pooling=pooling), texts)
        for pooling in ("mean", "max", "first")
    )
    assert mean == most == first


def test_the_probabilities_of_a_long_text_are_the_mean_of_its_windows(folder):
    annotator = BertClassifier(model=folder, encoder=ENCODER)
    (found,) = annotate(annotator, [LONG])
    assert annotator.own_pass.counts["windows"] > 2
    assert sum(one["score"] for one in found["scores"]) == pytest.approx(1.0, abs=1e-5)
    maximum = BertClassifier(model=folder, encoder=ENCODER, pooling="max")
    (most,) = annotate(maximum, [LONG])
    assert sum(one["score"] for one in most["scores"]) > 1.0


def test_labels_are_those_at_or_over_the_threshold(folder):
    several = BertClassifier(model=folder, encoder=ENCODER, multi_label=True, threshold=0.0)
    (found,) = annotate(several, ["In Berlin."])
    ranked = [one["label"] for one in found["scores"]]
    assert found["labels"] == ranked
    assert found["label"] == ranked[0]
    second = found["scores"][1]["score"]
    at = BertClassifier(model=folder, encoder=ENCODER, multi_label=True, threshold=second)
    assert annotate(at, ["In Berlin."])[0]["labels"] == ranked[:2]
    none = BertClassifier(model=folder, encoder=ENCODER, multi_label=True, threshold=1.1)
    (found,) = annotate(none, ["In Berlin."])
    assert found["labels"] == []
    assert found["label"] == ranked[0]


def test_one_label_of_several_has_no_threshold(folder):
    one = BertClassifier(model=folder, encoder=ENCODER, threshold=1.1)
    (found,) = annotate(one, ["In Berlin."])
    assert found["labels"] == [found["label"]]


def test_several_labels_are_scored_one_by_one(folder):
    several = BertClassifier(model=folder, encoder=ENCODER, multi_label=True)
    sigmoid = BertClassifier(model=folder, encoder=ENCODER, function="sigmoid")
    (one,), (other,) = (annotate(each, ["In Berlin."]) for each in (several, sigmoid))
    assert one["scores"] == other["scores"]


def test_only_the_best_scores_are_given(folder):
    three = BertClassifier(model=folder, encoder=ENCODER, top_k=3)
    every = BertClassifier(model=folder, encoder=ENCODER)
    (found,), (all_found,) = (annotate(each, ["In Berlin."]) for each in (three, every))
    assert found["scores"] == all_found["scores"][:3]
    assert len(all_found["scores"]) == 4


def test_labels_can_be_renamed(folder):
    renamed = BertClassifier(model=folder, encoder=ENCODER, labels={"one": "uno"})
    (found,) = annotate(renamed, ["In Berlin."])
    assert {one["label"] for one in found["scores"]} == {"uno", "two", "three", "four"}


@pytest.mark.parametrize(
    ("labels", "message"),
    [({"five": "cinq"}, "renames 'five'.*one, two"), ({"one": "two"}, "be called 'two'")],
)
def test_a_new_name_must_be_of_a_label_and_its_own(folder, labels, message):
    annotator = BertClassifier(model=folder, encoder=ENCODER, labels=labels)
    with pytest.raises(ConfigError, match=message):
        annotate(annotator, ["In Berlin."])


def test_a_blank_text_has_no_class(folder):
    annotator = BertClassifier(model=folder, encoder=ENCODER)
    blank, none, text = annotate(annotator, [" ", None, "In Berlin."])
    assert (blank, none) == (None, None)
    assert text["label"] in LABELS


def test_no_text_at_all_gives_no_class(folder):
    annotator = BertClassifier(model=folder, encoder=ENCODER)
    assert annotate(annotator, []) == []
    assert annotate(annotator, ["", None]) == [None, None]


SENTENCES = ["Angela met Barack.", "They flew home!"]


def test_a_sentence_has_the_class_that_it_has_alone(folder):
    text = f"{SENTENCES[0]}  {SENTENCES[1]} "
    found, *nothing = annotate(
        BertClassifier(model=folder, encoder=ENCODER, per="sentence"), [text, "", None]
    )
    alone = annotate(BertClassifier(model=folder, encoder=ENCODER), SENTENCES)
    assert [text[one.pop("start") : one.pop("end")] for one in found] == SENTENCES
    assert same(found, alone)
    assert nothing == [[], None]


def test_a_classifier_of_sentences_keeps_the_contract(folder):
    check_annotator(BertClassifier(model=folder, encoder=ENCODER, per="sentence"))


def test_the_tokens_of_all_sentences_are_counted(folder):
    per_sentence = BertClassifier(model=folder, encoder=ENCODER, per="sentence")
    whole = BertClassifier(model=folder, encoder=ENCODER)
    batch = pa.record_batch({"text": [" ".join(SENTENCES)]})
    counts = [
        each.own_pass.run(batch).statistics.to_pylist()[0]["_n_tokens"]
        for each in (per_sentence, whole)
    ]
    assert counts[0] == counts[1]


def test_classified_sentences_are_spans_of_a_doc(folder):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    settings = {"model": folder, "stride": 8, "per": "sentence", "sentences": "sentencizer"}
    nlp.add_pipe("bert_classifier", name="mood", config=settings)
    doc = nlp(" ".join(SENTENCES))
    assert [span.text for span in doc.spans["mood"]] == SENTENCES
    assert [span.label_ for span in doc.spans["mood"]] == [
        one["label"] for one in doc._.bertpipe["mood"]
    ]
    assert doc.cats == {}
