"""Classes of pairs equal those of transformers, for two columns and for neighbouring sentences."""

import json
import subprocess
import sys
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
import torch
import transformers

import bertpipe
from bertpipe import ConfigError, DocumentError, EncoderSettings
from bertpipe.testing import TEXTS, check_annotator, tiny_model
from bertpipe_pair.annotator import BertPair

ENCODER = EncoderSettings(device="cpu", precision="fp32", stride=8)
READABLE = [text for text in TEXTS if text.strip() and len(text) < 60]
OTHERS = READABLE[::-1]
STORY = "Angela met Barack.  They flew to Berlin. Then to the sea! "


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the folders of tiny models by what they do."""
    root = tmp_path_factory.mktemp("models")

    def make(name: str, task: str, **settings: Any) -> str:
        return str(tiny_model(root / name, task=task, max_length=128, **settings))

    return {
        "paraphrase": make("paraphrase", "classifier", labels=("other", "same")),
        "cross-encoder": make("cross", "classifier", labels=("relevance",)),
        "next_sentence": make("next", "next_sentence"),
    }


def classify(annotator, texts, **columns):
    found = annotator.annotate(pa.record_batch({"text": pa.array(texts, pa.string()), **columns}))
    found.validate(full=True)
    assert found.type == annotator.type
    return found.to_pylist()


@pytest.mark.parametrize("name", ["paraphrase", "cross-encoder"])
def test_scores_of_two_columns_equal_those_of_transformers(models, name):
    pipe: Any = transformers.pipeline(
        "text-classification", model=models[name], top_k=None, device="cpu"
    )
    annotator = BertPair(model=models[name], encoder=ENCODER, second="other")
    found = classify(annotator, READABLE, other=pa.array(OTHERS))
    for text, other, value in zip(READABLE, OTHERS, found, strict=True):
        expected = {one["label"]: one["score"] for one in pipe({"text": text, "text_pair": other})}
        scores = {one["label"]: one["score"] for one in value["scores"]}
        assert scores == pytest.approx(expected, abs=1e-5)
        assert value["label"] == max(expected, key=lambda label: expected[label])


def test_neighbouring_sentences_equal_the_model_of_transformers(models):
    annotator = BertPair(model=models["next_sentence"], encoder=ENCODER, task="next_sentence")
    assert annotator.labels == ("next", "not_next")
    (found,) = classify(annotator, [STORY])
    parts = [STORY[one["start"] : one["end"]] for one in found]
    assert parts == [
        "Angela met Barack.  They flew to Berlin.",
        "They flew to Berlin. Then to the sea!",
    ]
    tokenizer = transformers.AutoTokenizer.from_pretrained(models["next_sentence"])
    model = transformers.AutoModelForNextSentencePrediction.from_pretrained(models["next_sentence"])
    sentences = ["Angela met Barack.", "They flew to Berlin.", "Then to the sea!"]
    for one, first, second in zip(found, sentences, sentences[1:], strict=False):
        with torch.inference_mode():
            logits = model.eval()(**tokenizer(first, second, return_tensors="pt")).logits[0]
        scores = {each["label"]: each["score"] for each in one["scores"]}
        assert scores["next"] == pytest.approx(logits.softmax(-1)[0].item(), abs=1e-5)


@pytest.mark.parametrize("second", ["other", None])
def test_it_keeps_the_contract(models, second):
    annotator = BertPair(model=models["paraphrase"], encoder=ENCODER, second=second)
    columns = {"other": ["A cat.", "", None, "Merkel"] * (len(TEXTS) // 4)}
    texts = [*TEXTS[:-1], STORY]
    check_annotator(annotator, texts=texts, columns=columns if second else None)


def test_what_has_no_pair_has_no_class(models):
    pair = BertPair(model=models["paraphrase"], encoder=ENCODER, second="other")
    other = pa.array([None, " ", "b", "c", "d"])
    *none, found = classify(pair, ["a", "a", None, " ", "a"], other=other)
    assert none == [None] * 4
    assert found["label"] in ("other", "same")
    neighbours = BertPair(model=models["paraphrase"], encoder=ENCODER)
    assert classify(neighbours, ["One sentence.", " ", None]) == [[], [], None]


def test_a_long_text_goes_through_windows(models):
    annotator = BertPair(model=models["paraphrase"], encoder=ENCODER, second="other")
    (value,) = classify(annotator, [STORY * 20], other=pa.array(["In Berlin."]))
    assert annotator.own_pass.counts["windows"] > 2
    assert sum(one["score"] for one in value["scores"]) == pytest.approx(1, abs=1e-5)


def test_a_column_that_does_not_fit_is_refused(models):
    annotator = BertPair(model=models["paraphrase"], encoder=ENCODER, second="other")
    with pytest.raises(ConfigError, match="'other', which is not there; there are text"):
        classify(annotator, ["a"])
    with pytest.raises(DocumentError, match="'other' holds int64"):
        classify(annotator, ["a"], other=pa.array([1]))
    with pytest.raises(ConfigError, match="task 'guess' is unknown"):
        BertPair(model="m", task="guess")


def test_in_spacy_and_from_python(models):
    config = {"model": models["paraphrase"], "precision": "fp32", "second": "other"}
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_pair", config=config)
    doc = nlp.make_doc("In Berlin.")
    doc.user_data["other"] = "To the sea."
    overrides = {f"components.pair.{name}": value for name, value in config.items()}
    texts = [{"text": "In Berlin.", "other": "To the sea."}]
    (row,) = bertpipe.annotate(texts, components=["pair"], overrides=overrides)
    found = nlp(doc)._.bertpipe["bert_pair"]
    assert found["score"] == pytest.approx(row["pair"]["score"], abs=1e-5)


def test_from_the_command_line(models, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text(json.dumps({"text": STORY}), encoding="utf-8")
    options = ["--components", "pair", "--components.pair.model", models["next_sentence"]]
    options += ["--components.pair.task=next_sentence", "--workers=1", "--quiet"]
    command = [sys.executable, "-m", "bertpipe", "run", corpus, "-o", tmp_path / "out", *options]
    subprocess.run(command, check=True)
    (found,) = pq.read_table(tmp_path / "out").column("pair").to_pylist()
    assert len(found) == 2
