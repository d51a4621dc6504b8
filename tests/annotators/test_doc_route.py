"""Components in a pipeline of spaCy give what they give to a column."""

import pickle
from typing import Any

import pytest
import spacy
from spacy.tokens import Doc
from spacy.training import Example

from bertpipe.errors import DocumentError, ModelError
from bertpipe.testing import ARCHITECTURES, TEXTS, check_annotator, same

from .conftest import annotate

SETTINGS = {"precision": "fp32", "stride": 8}
TEXT = "Angela Merkel met Barack Obama in Berlin."


@pytest.fixture
def pipeline(tiny):
    """Return a function that makes a pipeline of one component on a tiny model."""

    def make(factory: str, *, language: str = "en", **settings):
        nlp = spacy.blank(language)
        model = tiny(factory.removeprefix("bert_"))
        nlp.add_pipe(factory, name="found", config={"model": model, **SETTINGS, **settings})
        return nlp

    return make


def values(docs) -> list:
    return [doc._.bertpipe["found"] for doc in docs]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("ner", {}),
        ("ner", {"aggregation": "none"}),
        ("classifier", {"multi_label": True}),
        ("qa", {"questions": {"who": "Who met?", "where": "Where is it?"}, "top_k": 3}),
    ],
    ids=["ner", "tokens", "classifier", "qa"],
)
def test_a_component_keeps_the_contract(tiny, architecture, task, settings):
    nlp = spacy.blank("en")
    config = {"model": tiny(task, architecture), **SETTINGS, **settings}
    component: Any = nlp.add_pipe(f"bert_{task}", config=config)
    check_annotator(component)


def test_a_question_of_each_document_keeps_the_contract(tiny):
    nlp = spacy.blank("en")
    config = {"model": tiny("qa"), "question_field": "ask", **SETTINGS}
    questions = ["Who?", None, "  ", *["What is it?"] * (len(TEXTS) - 3)]
    component: Any = nlp.add_pipe("bert_qa", config=config)
    check_annotator(component, columns={"ask": questions})


def test_entities_stand_in_ents_and_their_scores_in_the_exact_value(pipeline):
    nlp = pipeline("bert_ner")
    doc = nlp(TEXT)
    exact = doc._.bertpipe["found"]
    assert exact == annotate(nlp.get_pipe("found"), [TEXT])[0]
    assert len(doc.ents) == len(exact) > 0
    for entity, one in zip(doc.ents, exact, strict=True):
        assert entity.label_ == one["label"]
        assert one["text"] in entity.text


def test_entities_can_stand_in_spans_with_their_scores(pipeline):
    doc = pipeline("bert_ner", spans_key="mine", alignment_mode="expand")(TEXT)
    assert not doc.ents
    scores = [one["score"] for one in doc._.bertpipe["found"]]
    assert doc.spans["mine"].attrs["scores"] == scores
    assert len(doc.spans["mine"]) == len(scores) > 0


def test_classes_stand_in_cats(pipeline):
    doc = pipeline("bert_classifier", labels={"O": "other"})(TEXT)
    value = doc._.bertpipe["found"]
    assert doc.cats == {one["label"]: one["score"] for one in value["scores"]}
    assert "other" in doc.cats


def test_answers_stand_in_spans_under_the_name_of_the_component(pipeline):
    doc = pipeline("bert_qa", questions={"who": "Who met?"})(TEXT)
    (answer,) = doc._.bertpipe["found"]
    (span,) = doc.spans["found"]
    assert span.label_ == "who"
    assert answer["text"] in span.text
    assert doc.spans["found"].attrs["scores"] == [answer["score"]]


def test_the_question_of_a_doc_is_in_its_user_data(pipeline):
    nlp = pipeline("bert_qa", question_field="ask")
    asked, silent = nlp.make_doc(TEXT), nlp.make_doc(TEXT)
    asked.user_data["ask"] = "Who met?"
    asked, silent = nlp.pipe([asked, silent])
    assert asked._.bertpipe["found"][0]["question"] == "Who met?"
    assert silent._.bertpipe["found"] == []


def test_a_doc_without_text_has_nothing_found(pipeline):
    for factory, expected in (("bert_ner", []), ("bert_classifier", None)):
        nlp = pipeline(factory)
        for doc in (nlp(""), nlp(Doc(nlp.vocab)), nlp(" \n ")):
            assert doc._.bertpipe["found"] == expected
            assert not doc.ents
            assert not doc.cats


@pytest.mark.parametrize("language", ["xx", "de", "zh"])
def test_the_language_of_the_pipeline_changes_no_value(pipeline, language):
    expected = values(pipeline("bert_ner").pipe(TEXTS))
    assert values(pipeline("bert_ner", language=language).pipe(TEXTS)) == expected


def test_one_by_one_in_batches_and_in_two_processes_give_the_same(pipeline):
    nlp = pipeline("bert_ner", aggregation="simple")
    texts = list(TEXTS) * 2
    expected = annotate(nlp.get_pipe("found"), texts)
    assert same(values(nlp(text) for text in texts), expected)
    assert same(values(nlp.pipe(texts, batch_size=5)), expected)
    assert same(values(nlp.pipe(texts, batch_size=5, n_process=2)), expected)


def test_a_document_that_fails_takes_no_other_with_it(pipeline):
    nlp = pipeline("bert_ner", truncation="error")
    failed = []

    def collect(name, component, docs, error):
        failed.append((name, [doc.text for doc in docs], type(error)))

    nlp.set_error_handler(collect)
    too_long = [text for text in TEXTS if len(text) > 500]
    kept = list(nlp.pipe(TEXTS))
    assert [doc.text for doc in kept] == [text for text in TEXTS if text not in too_long]
    assert failed == [("found", too_long, DocumentError)]
    nlp(too_long[0])
    assert len(failed) == 2


def test_an_error_is_raised_unless_a_handler_says_otherwise(pipeline):
    nlp = pipeline("bert_ner", truncation="error")
    with pytest.raises(DocumentError, match="tokens"):
        list(nlp.pipe(["word " * 200]))
    with pytest.raises(DocumentError, match="tokens"):
        nlp("word " * 200)


def test_a_wrong_model_is_an_error_whatever_the_handler():
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_ner", config={"model": "no_such_model"})
    nlp.set_error_handler(spacy.util.ignore_error)
    with pytest.raises(ModelError, match="no_such_model"):
        list(nlp.pipe([TEXT]))


def test_labels_are_known_before_the_model_is_loaded(pipeline):
    ner = pipeline("bert_ner")
    assert ner.pipe_labels["found"] == ["PER", "LOC"]
    assert "loaded" not in vars(ner.get_pipe("found"))
    assert pipeline("bert_ner", aggregation="none").pipe_labels["found"] == [
        "B-PER",
        "I-PER",
        "B-LOC",
        "I-LOC",
    ]
    classifier = pipeline("bert_classifier", labels={"O": "other"}).get_pipe("found")
    assert classifier.labels == ("other", "B-PER", "I-PER", "B-LOC", "I-LOC")
    assert pipeline("bert_qa", questions={"who": "Who?"}).get_pipe("found").labels == ("who",)


def test_spacy_knows_what_the_components_assign(pipeline):
    assigned = {
        "bert_ner": ["doc.ents", "doc._.bertpipe"],
        "bert_classifier": ["doc.cats", "doc._.bertpipe"],
    }
    for factory, expected in assigned.items():
        nlp = pipeline(factory)
        assert nlp.analyze_pipes()["summary"]["found"]["assigns"] == expected


def test_entities_are_evaluated(pipeline):
    nlp = pipeline("bert_ner", aggregation="simple")
    gold = nlp(TEXT)
    scores = nlp.evaluate([Example(nlp.make_doc(TEXT), gold)])
    assert scores["ents_f"] == 1.0
    assert set(scores["ents_per_type"]) <= {"PER", "LOC"}


def test_spans_and_answers_are_evaluated(pipeline):
    for nlp, key in (
        (pipeline("bert_ner", spans_key="mine"), "mine"),
        (pipeline("bert_qa", questions={"who": "Who?"}), "found"),
    ):
        scores = nlp.evaluate([Example(nlp.make_doc(TEXT), nlp(TEXT))])
        assert scores[f"spans_{key}_f"] == 1.0


@pytest.mark.parametrize("multi_label", [True, False])
def test_classes_are_evaluated(pipeline, multi_label):
    nlp = pipeline("bert_classifier", multi_label=multi_label)
    gold = nlp.make_doc(TEXT)
    best = nlp(TEXT)._.bertpipe["found"]["label"]
    gold.cats = {label: float(label == best) for label in nlp.get_pipe("found").labels}
    scores = nlp.evaluate([Example(nlp.make_doc(TEXT), gold)])
    assert scores["cats_score_desc"] == ("macro AUC" if multi_label else "macro F")
    assert scores["cats_micro_r"] == 1.0 or multi_label


def test_a_component_can_be_pickled(pipeline):
    component = pipeline("bert_ner").get_pipe("found")
    expected = annotate(component, TEXTS)
    assert same(annotate(pickle.loads(pickle.dumps(component)), TEXTS), expected)
