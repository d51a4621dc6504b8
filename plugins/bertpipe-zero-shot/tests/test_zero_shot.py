"""Labels of one's own equal those of the pipeline of transformers, and are found by name."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
import torch
import transformers

import bertpipe
from bertpipe import ConfigError, DocumentError, EncoderSettings, ModelError
from bertpipe.testing import TEXTS, check_annotator, same, tiny_model
from bertpipe_zero_shot.annotator import BertZeroShot

READABLE = [text for text in TEXTS if text.strip() and len(text) < 60]
LABELS = ["politics", "travel", "food, mostly pizza"]
NLI = ("contradiction", "neutral", "entailment")
LONG = "Angela Merkel met Barack Obama in Berlin. Then she flew to the sea, a long journey. " * 20
ENCODER = EncoderSettings(device="cpu", precision="fp32", stride=8)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return a function from the labels of a tiny model to its folder; () is an encoder."""
    made: dict[tuple[str, ...], str] = {}

    def make(*labels: str) -> str:
        if labels not in made:
            folder = tmp_path_factory.mktemp("model") / "bert"
            task = "classifier" if labels else "encoder"
            made[labels] = str(tiny_model(folder, task=task, labels=labels or NLI, max_length=128))
        return made[labels]

    return make


def classify(annotator, texts, **columns):
    found = annotator.annotate(pa.record_batch({"text": pa.array(texts, pa.string()), **columns}))
    found.validate(full=True)
    assert found.type == annotator.type
    return found.to_pylist()


def by_label(value) -> dict[str, float]:
    return {one["label"]: one["score"] for one in value["scores"]}


@pytest.mark.parametrize("multi_label", [False, True])
def test_scores_equal_those_of_transformers(models, multi_label):
    annotator = BertZeroShot(
        model=models(*NLI), encoder=ENCODER, labels=LABELS, multi_label=multi_label
    )
    pipe: Any = transformers.pipeline("zero-shot-classification", model=models(*NLI), device="cpu")
    found = classify(annotator, READABLE)
    for text, value in zip(READABLE, found, strict=True):
        # The pipeline takes labels in one string apart at commas.
        expected = pipe(text, LABELS, multi_label=multi_label)
        scores = dict(zip(expected["labels"], expected["scores"], strict=True))
        assert by_label(value) == pytest.approx(scores, abs=1e-4)
        assert value["label"] == expected["labels"][0]


def test_entailment_is_found_by_its_name_wherever_it_stands(models):
    folder = models("ENTAILMENT", "Contradiction", "neutral")
    annotator = BertZeroShot(model=folder, encoder=ENCODER, labels=["food"], multi_label=True)
    (value,) = classify(annotator, READABLE[:1])
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        pair = tokenizer(READABLE[0], "This example is food.", return_tensors="pt")
        entailment, contradiction, _ = model(**pair).logits[0]
    expected = torch.sigmoid(entailment - contradiction).item()
    assert value["score"] == pytest.approx(expected, abs=1e-5)


def test_a_model_that_does_not_name_entailment_is_refused(models):
    annotator = BertZeroShot(model=models("LABEL_0", "LABEL_1"), encoder=ENCODER, labels=LABELS)
    with pytest.raises(ModelError, match="labels are LABEL_0, LABEL_1 does not say"):
        classify(annotator, READABLE)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("method", ["entailment", "embedding"])
def test_it_keeps_the_contract(models, method, multi_label):
    model = models(*NLI) if method == "entailment" else models()
    settings: Any = {"method": method, "multi_label": multi_label, "model": model}
    check_annotator(BertZeroShot(encoder=ENCODER, labels=LABELS, **settings))
    own = pa.array([["one", "two"], [], None, ["three"]] * (len(TEXTS) // 4), pa.list_(pa.string()))
    annotator = BertZeroShot(encoder=ENCODER, label_field="labels", **settings)
    check_annotator(annotator, columns={"labels": own})


@pytest.mark.parametrize("method", ["entailment", "embedding"])
def test_each_row_can_have_labels_of_its_own(models, method):
    model = models(*NLI) if method == "entailment" else models()
    settings: Any = {"method": method, "model": model, "encoder": ENCODER}
    own = BertZeroShot(label_field="labels", **settings)
    texts = ["In Berlin.", "In Berlin.", "Pizza!", "nothing", " "]
    column = pa.array(['["a", "b"]', '["b"]', '["c", "a", "c"]', None, '["a"]'])
    found = classify(own, texts, labels=column)
    for text, labels, value in zip(texts, [["a", "b"], ["b"], ["c", "a"]], found, strict=False):
        (same,) = classify(BertZeroShot(labels=labels, **settings), [text])
        assert by_label(value) == pytest.approx(by_label(same), abs=1e-6)
    assert found[3:] == [None, None]
    with pytest.raises(DocumentError, match="'labels' holds 'a, b'; label_field needs a list"):
        classify(own, ["x"], labels=pa.array(["a, b"]))
    with pytest.raises(ConfigError, match="'labels' is no column"):
        classify(own, ["x"])


def test_vectors_are_compared_by_their_cosine(models):
    annotator = BertZeroShot(
        model=models(), encoder=ENCODER, labels=LABELS, method="embedding", multi_label=True
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(models())
    model = transformers.AutoModel.from_pretrained(models()).eval()

    def vector(text: str) -> np.ndarray:
        with torch.inference_mode():
            states = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        mean = states.mean(0).numpy()
        return mean / np.linalg.norm(mean)

    for text, value in zip(READABLE, classify(annotator, READABLE), strict=True):
        expected = {label: float(vector(text) @ vector(label)) for label in LABELS}
        assert by_label(value) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", ["entailment", "embedding"])
def test_scores_are_held_in_blocks(models, method, monkeypatch):
    model = models(*NLI) if method == "entailment" else models()
    settings: Any = {"method": method, "model": model, "encoder": ENCODER}
    annotator = BertZeroShot(labels=LABELS, **settings)
    own = BertZeroShot(label_field="labels", **settings)
    texts = [*READABLE, "", None, "In Berlin."]
    column = pa.array([LABELS[: i % 4] for i in range(len(texts))], pa.list_(pa.string()))
    expected = classify(annotator, texts), classify(own, texts, labels=column)
    monkeypatch.setattr("bertpipe_zero_shot.compare.BLOCK", 7)
    assert same(classify(annotator, texts), expected[0])
    assert same(classify(own, texts, labels=column), expected[1])


def test_vectors_are_read_once_however_many_labels_there_are(models):
    labels = [f"topic {i}" for i in range(3000)]
    annotator = BertZeroShot(model=models(), encoder=ENCODER, labels=labels, method="embedding")
    found = classify(annotator, READABLE)
    assert annotator.own_pass.counts["windows"] == len(set(READABLE)) + len(labels)
    assert all(len(value["scores"]) == 20 for value in found)


@pytest.mark.parametrize("method", ["entailment", "embedding"])
def test_a_long_text_goes_through_windows(models, method):
    model = models(*NLI) if method == "entailment" else models()
    settings: Any = {"method": method, "model": model, "encoder": ENCODER, "labels": LABELS}
    annotator = BertZeroShot(**settings)
    (value,) = classify(annotator, [LONG])
    assert sum(by_label(value).values()) == pytest.approx(1, abs=1e-5)
    assert annotator.own_pass.counts["windows"] > len(LABELS) * 2
    (first,) = classify(BertZeroShot(**settings, pooling="first"), [LONG])
    assert by_label(first) != by_label(value)


def test_hypotheses_are_tokenised_once_and_pairs_share_batches(models):
    settings: Any = {"model": models(*NLI), "labels": [f"topic {i}" for i in range(50)]}
    annotator = BertZeroShot(encoder=ENCODER, **settings)
    request = annotator.request(pa.record_batch({"text": pa.array(READABLE * 3)}))
    assert (len(request.prefixes), len(request.items)) == (50, 50 * len(set(READABLE)))
    classify(annotator, READABLE * 3)
    counts = annotator.own_pass.counts
    assert counts["windows"] == len(request.items)
    assert counts["batches"] < counts["windows"] / 20


def test_thousands_of_labels_go_through_the_encoder_a_few_rows_at_a_time(models, monkeypatch):
    annotator = BertZeroShot(model=models(*NLI), encoder=ENCODER, labels=LABELS)
    column = pa.array([LABELS[: i % 4] for i in range(len(READABLE))], pa.list_(pa.string()))
    own = BertZeroShot(model=models(*NLI), encoder=ENCODER, label_field="labels")
    whole = classify(annotator, READABLE), classify(own, READABLE, labels=column)
    sizes = []
    scorer = annotator.own_pass.scorer

    def score(windowed):
        sizes.append(len(windowed.windows))
        return scorer(windowed)

    monkeypatch.setattr("bertpipe.annotators.request.SLICE_CHARS", 1000)
    monkeypatch.setattr(annotator.own_pass, "scorer", score)
    assert same(classify(annotator, READABLE), whole[0])
    assert same(classify(own, READABLE, labels=column), whole[1])
    assert len(sizes) > 3
    assert sum(sizes) >= len(set(READABLE)) * len(LABELS)
    assert max(sizes) * 100 < 2 * 1000  # a slice, and the row that begins it


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "needs exactly one of labels .* neither"),
        ({"labels": ["a"], "label_field": "b"}, "both are given"),
        ({"labels": ["a", " "]}, "label ' ' is blank or stands twice"),
        ({"labels": ["a", "a"]}, "label 'a' is blank or stands twice"),
        ({"labels": ["a"], "hypothesis_template": "no gap"}, "must have the gap {}"),
        ({"labels": ["a"], "method": "guess"}, "method 'guess' is unknown"),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        BertZeroShot(**settings)


def test_in_spacy_the_labels_are_categories(models, tmp_path):
    nlp = spacy.blank("en")
    config = {"model": models(*NLI), "labels": LABELS, "precision": "fp32"}
    nlp.add_pipe("bert_zero_shot", config=config)
    doc = nlp("Merkel likes pizza in Berlin.")
    assert doc.cats == pytest.approx(by_label(doc._.bertpipe["bert_zero_shot"]))
    assert sum(doc.cats.values()) == pytest.approx(1, abs=1e-5)
    nlp.to_disk(tmp_path / "nlp")
    assert spacy.load(tmp_path / "nlp")(doc.text).cats == pytest.approx(doc.cats, abs=1e-6)


def test_from_python(models):
    overrides = {"components.zero_shot.model": models(*NLI), "components.zero_shot.labels": LABELS}
    (row,) = bertpipe.annotate(["In Berlin."], components=["zero_shot"], overrides=overrides)
    assert set(by_label(row["zero_shot"])) == set(LABELS)


def test_from_the_command_line(models, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    rows = [{"text": "In Berlin.", "topics": ["a", "b"]}, {"text": LONG, "topics": ["c"]}]
    corpus.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    options = ["--components", "zero_shot", "--components.zero_shot.model", models(*NLI)]
    options += ["--components.zero_shot.label_field", "topics", "--workers=1", "--quiet"]
    command = [sys.executable, "-m", "bertpipe", "run", corpus, "-o", tmp_path / "out", *options]
    subprocess.run(command, check=True)
    found = pq.read_table(tmp_path / "out").column("zero_shot").to_pylist()
    assert [set(by_label(value)) for value in found] == [{"a", "b"}, {"c"}]


@pytest.mark.parametrize("method", ["entailment", "embedding"])
def test_sentences_have_the_classes_that_they_have_alone(models, method):
    model = models(*NLI) if method == "entailment" else models()
    what = {"model": model, "encoder": ENCODER, "labels": LABELS, "method": method}
    sentences = ["Angela met Barack.", "They flew home!"]
    text = "  ".join(sentences)
    annotator = BertZeroShot(**what, per="sentence")
    found, *nothing = classify(annotator, [text, "", None])
    alone = classify(BertZeroShot(**what), sentences)
    assert [text[one.pop("start") : one.pop("end")] for one in found] == sentences
    assert same(found, alone)
    assert nothing == [[], None]
    check_annotator(annotator)


def test_sentences_are_asked_the_labels_of_their_row(models):
    annotator = BertZeroShot(
        model=models(*NLI), encoder=ENCODER, label_field="of", per="sentence", sentences="s"
    )
    spans = [[{"start": 0, "end": 2}, {"start": 3, "end": 5}], [{"start": 0, "end": 2}], None]
    columns = {"of": pa.array([["a"], ["b", "c"], ["d"]]), "s": pa.array(spans)}
    found = classify(annotator, ["x. y.", "z.", "w."], **columns)
    asked = [sentences and [set(by_label(one)) for one in sentences] for sentences in found]
    assert asked == [[{"a"}, {"a"}], [{"b", "c"}], None]
