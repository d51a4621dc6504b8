"""Candidates equal those of the pipeline of transformers; joint ones those found by trying all."""

import itertools
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
from bertpipe import ConfigError, EncoderSettings, ModelError
from bertpipe.testing import TEXTS, check_annotator, tiny_model
from bertpipe_fill_mask.annotator import BertFillMask

ENCODER = EncoderSettings(device="cpu", precision="fp32", stride=8)
ONE = ["Angela [MASK] met Barack.", "[MASK]", "The 👩 family likes 🍕 [MASK]!", "a [MASK]"]
TWO = "Angela [MASK] met Barack Obama in [MASK]."


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Return the folders of tiny language models by architecture."""
    root = tmp_path_factory.mktemp("models")
    return {
        name: str(tiny_model(root / name, task="fill_mask", architecture=name, max_length=128))
        for name in ("bert", "roberta")
    }


def fill(annotator, texts):
    found = annotator.annotate(pa.record_batch({"text": pa.array(texts, pa.string())}))
    found.validate(full=True)
    assert found.type == annotator.type
    return found.to_pylist()


def assert_fills(found: list[dict], expected: list[dict]) -> None:
    assert [one["token"] for one in found] == [one["token_str"] for one in expected]
    scores = [one["score"] for one in expected]
    assert [one["score"] for one in found] == pytest.approx(scores, abs=1e-5)


@pytest.mark.parametrize("architecture", ["bert", "roberta"])
@pytest.mark.parametrize("targets", [None, ["a", "met", "z"]])
def test_candidates_equal_those_of_transformers(models, architecture, targets):
    pipe: Any = transformers.pipeline("fill-mask", model=models[architecture], device="cpu")
    mask = pipe.tokenizer.mask_token
    if architecture == "roberta":
        targets = targets and ["a", "b", "z"]  # single bytes
    settings: Any = {"targets": targets, "top_k": 7 if targets is None else 2}
    annotator = BertFillMask(model=models[architecture], encoder=ENCODER, **settings)
    texts = [text.replace("[MASK]", mask) for text in ONE]
    for text, found in zip(texts, fill(annotator, texts), strict=True):
        (one,) = found
        assert one["text"] == mask == text[one["start"] : one["end"]]
        assert_fills(one["fills"], pipe(text, **settings))


def test_each_of_several_masks_has_its_own_candidates(models):
    pipe: Any = transformers.pipeline("fill-mask", model=models["bert"], device="cpu", top_k=3)
    (found,) = fill(BertFillMask(model=models["bert"], encoder=ENCODER, top_k=3), [TWO])
    assert [one["start"] for one in found] == [7, 34]
    for one, expected in zip(found, pipe(TWO), strict=True):
        assert_fills(one["fills"], expected)


def test_joint_fillings_are_the_best_of_all(models):
    targets = ["a", "met", "o", "z", "b"]
    settings: Any = {"model": models["bert"], "encoder": ENCODER, "targets": targets}
    (found,) = fill(BertFillMask(joint=True, top_k=5, **settings), [TWO])
    tokenizer = transformers.AutoTokenizer.from_pretrained(models["bert"])
    model = transformers.AutoModelForMaskedLM.from_pretrained(models["bert"]).eval()
    ids = tokenizer(TWO, return_tensors="pt")["input_ids"]
    first, second = (ids[0] == tokenizer.mask_token_id).nonzero()[:, 0].tolist()
    of_target: Any = tokenizer.convert_tokens_to_ids(targets)

    @torch.inference_mode()
    def probabilities(place: int, *, filled: int | None) -> torch.Tensor:
        own = ids.clone()
        if filled is not None:
            own[0, first] = filled
        return model(input_ids=own).logits[0, place].softmax(-1)[of_target]

    at_first = probabilities(first, filled=None)
    expected = {
        (targets[i], targets[j]): float(at_first[i] * probabilities(second, filled=of_target[i])[j])
        for i, j in itertools.product(range(len(targets)), repeat=2)
    }
    best = sorted(expected, key=lambda pair: -expected[pair])[:5]
    assert [tuple(one["tokens"]) for one in found] == best
    scores = [expected[pair] for pair in best]
    assert [one["score"] for one in found] == pytest.approx(scores, rel=1e-3)


def test_joint_and_alone_are_the_same_for_one_mask(models):
    settings: Any = {"model": models["bert"], "encoder": ENCODER}
    alone = fill(BertFillMask(**settings), ONE)
    together = fill(BertFillMask(joint=True, **settings), ONE)
    for (one,), fillings in zip(alone, together, strict=True):
        assert [each["tokens"] for each in fillings] == [[each["token"]] for each in one["fills"]]
        scores = [each["score"] for each in one["fills"]]
        assert [each["score"] for each in fillings] == pytest.approx(scores, rel=1e-4)


@pytest.mark.parametrize("joint", [False, True])
def test_it_keeps_the_contract(models, joint):
    annotator = BertFillMask(model=models["bert"], encoder=ENCODER, joint=joint, top_k=3)
    check_annotator(annotator, texts=[*ONE, TWO, *TEXTS[:4], f"{TEXTS[10]} {TWO} {TEXTS[10]}"])


def test_a_text_without_a_mask_has_nothing_to_fill(models):
    for joint in (False, True):
        annotator = BertFillMask(model=models["bert"], encoder=ENCODER, joint=joint)
        assert fill(annotator, ["no mask", " ", None]) == [[], [], None]


def test_a_target_of_several_tokens_and_a_model_without_mask_are_refused(models, tmp_path):
    annotator = BertFillMask(model=models["bert"], encoder=ENCODER, targets=["a", "qqq qqq"])
    with pytest.raises(ConfigError, match="is no single token to model"):
        fill(annotator, ONE)
    folder = tmp_path / "model"
    tiny_model(folder, task="fill_mask")
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "mask_token": None}))
    with pytest.raises(ModelError, match="has no mask token"):
        fill(BertFillMask(model=str(folder), encoder=ENCODER), ONE)


def test_in_spacy_and_from_python(models):
    config: dict[str, Any] = {"model": models["bert"], "precision": "fp32", "top_k": 2}
    nlp = spacy.blank("en")
    nlp.add_pipe("bert_fill_mask", name="gap", config=config)
    overrides = {"components.gap": {"factory": "bert_fill_mask", **config}}
    (row,) = bertpipe.annotate([TWO], components=["gap=fill_mask"], overrides=overrides)
    found = nlp(TWO)._.bertpipe["gap"]
    for one, other in zip(found, row["gap"], strict=True):
        assert [each["token"] for each in one["fills"]] == [
            each["token"] for each in other["fills"]
        ]


def test_from_the_command_line(models, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text(TWO, encoding="utf-8")
    options = ["--components", "fill_mask", "--components.fill_mask.model", models["bert"]]
    options += ["--components.fill_mask.joint=true", "--workers=1", "--quiet"]
    command = [sys.executable, "-m", "bertpipe", "run", corpus, "-o", tmp_path / "out", *options]
    subprocess.run(command, check=True)
    (found,) = pq.read_table(tmp_path / "out").column("fill_mask").to_pylist()
    assert [len(one["tokens"]) for one in found] == [2] * 5
