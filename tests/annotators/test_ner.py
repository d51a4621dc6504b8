"""Entities of long documents, and where we differ from transformers on purpose."""

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bertpipe.annotators.ner import AGGREGATIONS, BertNer
from bertpipe.config import EncoderSettings
from bertpipe.testing import TOKENIZERS, tiny_model

from .conftest import ENCODER, annotate

PARTS = [
    *"abz AZ09.,-'\n\t",
    " Angela", " Merkel", " Berlin", "\r\n", "\x00", "\u00a0", "\u2028", "\u3000", "\u200b",
    "\ufeff", "é", "e\u0301", "\u0301", "ß", "İ", "ﬁ", "½", "™", "Ⅷ", "ﷺ", "…", "𝔸", "[SEP]",
    "👩\u200d👩\u200d👧", "🇩🇪", "🍕", "\u200d", "<unk>", "한국", "東京", "ไทย", "שלום",
]  # fmt: skip
ANY_TEXT = st.lists(st.sampled_from(PARTS) | st.characters(codec="utf-8"), max_size=20)


@cache
def loaded(folder: str, aggregation: str) -> BertNer:
    return BertNer(model=folder, encoder=ENCODER, aggregation=aggregation)


@pytest.mark.parametrize("aggregation", ["none", "simple", "average"])
@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(ANY_TEXT.map("".join), min_size=1, max_size=8))
def test_spans_of_any_text_are_exact_not_blank_and_apart(tiny, tokenizer, aggregation, texts):
    annotator = loaded(tiny("ner", tokenizer=tokenizer), aggregation)
    for text, found in zip(texts, annotate(annotator, texts), strict=True):
        end = 0
        for one in found:
            assert end <= one["start"] < one["end"] <= len(text)
            assert one["text"] == text[one["start"] : one["end"]] == one["text"].strip()
            end = one["end"]


def test_a_character_of_several_tokens_belongs_to_one_entity(tiny):
    folder = tiny("ner", tokenizer="bytes")
    annotator = BertNer(model=folder, encoder=ENCODER, aggregation="none")
    (found,) = annotate(annotator, ["🍕🇩🇪é" * 5])
    spans = [(one["start"], one["end"]) for one in found]
    assert len(spans) == len(set(spans)) > 5
    assert all(one["end"] - one["start"] == 1 for one in found)


def merged_scores(folder: str, text: str, *, max_length: int, stride: int) -> np.ndarray:
    """Return the probabilities of each token, from the window where it is farthest from an edge.

    Windows are cut and run one by one, with nothing of ours but where they begin.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder).eval()
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    room = max_length - 2
    n_windows = 1 + max(0, -(-(len(ids) - room) // (room - stride)))
    size = -(-(len(ids) + (n_windows - 1) * stride) // n_windows)
    begins = [i * (len(ids) - size) // max(1, n_windows - 1) for i in range(n_windows)]
    best: list[tuple[float, np.ndarray]] = [(-1.0, np.empty(0))] * len(ids)
    for begin in begins:
        body = ids[begin : begin + size]
        window = torch.tensor([[tokenizer.cls_token_id, *body, tokenizer.sep_token_id]])
        with torch.inference_mode():
            found = model(window).logits[0, 1:-1].softmax(-1).numpy()
        for i, scores in enumerate(found):
            left = i if begin else np.inf
            right = size - 1 - i if begin + size < len(ids) else np.inf
            if min(left, right) > best[begin + i][0]:
                best[begin + i] = (min(left, right), scores)
    return np.array([scores for _, scores in best])


def test_a_long_text_is_decoded_from_each_tokens_best_window(tiny):
    folder = tiny("ner")
    text = "Angela Merkel met Barack Obama, then flew to the sea in a long journey. " * 9
    encoder = EncoderSettings(device="cpu", precision="fp32", max_length=40, stride=12)
    annotator = BertNer(model=folder, encoder=encoder, aggregation="none")
    (found,) = annotate(annotator, [text])
    expected = merged_scores(folder, text, max_length=40, stride=12)
    names = annotator.loaded.labels
    labels = [names[i] for i in expected.argmax(-1)]
    assert [one["label"] for one in found] == [label for label in labels if label != "O"]
    scores = expected.max(-1)[[label != "O" for label in labels]]
    assert [one["score"] for one in found] == pytest.approx(scores.tolist(), abs=1e-5)


@pytest.fixture
def dictionary(tmp_path):
    """Return a model that knows `angela merkel` as a person wherever it stands, and its pieces."""
    folder = tiny_model(tmp_path / "dictionary", task="ner")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "LayerNorm.weight" not in name:
                parameter.zero_()
        first, *rest = tokenizer("angela merkel", add_special_tokens=False)["input_ids"]
        words = model.bert.embeddings.word_embeddings.weight
        words[:, 0] = words[:, 31] = 1.0
        for ids, column in (([first], 1), (rest, 2)):
            words[ids, 0] = 0.0
            words[ids, column] = 1.0
        model.classifier.weight[:5, :5] = 3 * torch.eye(5)
    model.save_pretrained(folder)
    return str(folder), 1 + len(rest)


def test_an_entity_that_crosses_the_edge_of_windows_survives(dictionary):
    folder, _ = dictionary
    encoder = EncoderSettings(device="cpu", precision="fp32", max_length=16, stride=0)
    annotator = BertNer(model=folder, encoder=encoder, aggregation="simple")
    for n_before in range(20):  # puts the entity at every place in and between windows
        text = "a " * n_before + "angela merkel" + " a" * 20
        (found,) = annotate(annotator, [text])
        assert [one["text"] for one in found] == ["angela merkel"]


def test_transformers_cuts_an_entity_at_the_edge_of_windows(dictionary):
    """This is why windows are merged before decoding: on longer texts we differ on purpose."""
    folder, n_pieces = dictionary
    pipe: Any = transformers.pipeline(
        "token-classification", model=folder, aggregation_strategy="simple", stride=0
    )
    pipe.tokenizer.model_max_length = 16
    room = 16 - 2
    text = "a " * (room - 2) + "angela merkel" + " a" * 20
    cut = [text[one["start"] : one["end"]] for one in pipe(text)]
    assert n_pieces > 2
    assert cut != ["angela merkel"]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_only_the_beginning_of_a_long_text_is_read_when_asked(dictionary, aggregation):
    encoder = EncoderSettings(
        device="cpu", precision="fp32", max_length=16, stride=0, truncation="head"
    )
    annotator = BertNer(model=dictionary[0], encoder=encoder, aggregation=aggregation)
    (found,) = annotate(annotator, ["a " * 20 + "angela merkel"])
    assert found == []


def test_equal_texts_of_a_batch_are_annotated_once(tiny):
    annotator = BertNer(model=tiny("ner"), encoder=ENCODER)
    found = annotate(annotator, ["Angela met Barack.", "In Berlin.", "Angela met Barack.", None])
    assert found[0] == found[2] != found[1]
    assert found[3] is None
    assert annotator.own_pass.counts["windows"] == 2


def test_the_space_before_a_word_is_no_part_of_an_entity(tiny):
    """SentencePiece tokens begin with it, and the pipeline of transformers leaves it in."""
    folder = tiny("ner", tokenizer="unigram")
    text = "Angela  met Barack"
    pipe: Any = transformers.pipeline("token-classification", model=folder)
    theirs = [text[one["start"] : one["end"]] for one in pipe(text)]
    (found,) = annotate(loaded(folder, "none"), [text])
    ours = [one["text"] for one in found]
    assert any(part.startswith(" ") for part in theirs)
    assert ours == [part.strip() for part in theirs if part.strip()]
