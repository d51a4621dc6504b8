"""On texts of one window our results are those of the pipelines of transformers."""

import random
import re
import warnings
from typing import Any

import pytest
import transformers

from bertpipe.annotators.classification import BertClassifier
from bertpipe.annotators.ner import AGGREGATIONS, BertNer
from bertpipe.testing import ARCHITECTURES, TEXTS

from .conftest import ENCODER, annotate

TOLERANCE = 1e-5
STRATEGIES = [name for name in AGGREGATIONS if name not in ("auto", "viterbi")]  # of transformers
ONE_WINDOW = [text for text in TEXTS if text.strip() and len(text) < 100]


def random_texts(n: int, seed: int) -> list[str]:
    """Return texts of pieces of words, so that labels change inside words."""
    choose = random.Random(seed)
    plain = ["don't", "a.b", "x", "e-mail:", "unbelievable", "(2024)", "Merkel's", "3,500"]
    words = re.findall(r"\S+", " ".join(ONE_WINDOW)) + 10 * plain
    return [" ".join(choose.choices(words, k=choose.randint(1, 6))) for _ in range(n)]


def pipeline_entities(folder: str, texts: list[str], aggregation: str) -> Any:
    """Return what transformers finds, in the form of ours."""
    pipe: Any = transformers.pipeline(
        "token-classification", model=folder, aggregation_strategy=aggregation, device="cpu"
    )
    label = "entity" if aggregation == "none" else "entity_group"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of tokenizers without marked pieces
        found = pipe(texts)
    return [
        [
            {
                "start": one["start"],
                "end": one["end"],
                "label": one[label],
                "score": float(one["score"]),
                "text": text[one["start"] : one["end"]],
            }
            for one in entities
        ]
        for text, entities in zip(texts, found, strict=True)
    ]


def trimmed(entities: list[dict]) -> list[dict]:
    """Leave out the spaces that SentencePiece tokens have at the ends of entities."""
    for one in entities:
        one["start"] = one["end"] - len(one["text"].lstrip())
        one["text"] = one["text"].strip()
        one["end"] = one["start"] + len(one["text"])
    return entities


def unclear(entities: list[dict]) -> set[int]:
    """Return the characters that the pipeline gives to several entities, and their entities'."""
    seen: set[int] = set()
    twice: set[int] = set()
    for one in entities:
        characters = set(range(one["start"], one["end"]))
        if characters & seen:
            twice |= characters
        seen |= characters
    return twice


def clear(entities: list[dict], characters: set[int]) -> list[dict]:
    """Return the entities that are not empty and have none of the characters."""
    return [
        one
        for one in entities
        if one["start"] < one["end"] and characters.isdisjoint(range(one["start"], one["end"]))
    ]


def assert_sound(entities: list[dict], text: str) -> None:
    end = 0
    for one in entities:
        assert end <= one["start"] < one["end"] <= len(text)
        assert one["text"] == text[one["start"] : one["end"]]
        end = one["end"]


def compare(folder: str, texts: list[str], aggregation: str) -> int:
    """Hold our entities to the pipeline's; return how many were compared.

    Where characters are cut into several tokens the pipeline's entities can be empty or share
    characters: there ours are only checked.
    """
    ours = annotate(BertNer(model=folder, encoder=ENCODER, aggregation=aggregation), texts)
    n_compared = 0
    theirs = pipeline_entities(folder, texts, aggregation)
    for text, found, raw in zip(texts, ours, theirs, strict=True):
        assert_sound(found, text)
        expected = trimmed(raw)
        shared = unclear(expected)
        found, expected = clear(found, shared), clear(expected, shared)
        scores = [one.pop("score") for one in found], [one.pop("score") for one in expected]
        assert found == expected, text
        assert scores[0] == pytest.approx(scores[1], abs=TOLERANCE)
        n_compared += len(expected)
    return n_compared


@pytest.mark.parametrize("aggregation", STRATEGIES)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_entities_equal_those_of_transformers(tiny, architecture, aggregation):
    texts = ONE_WINDOW + random_texts(40, seed=1)
    folder = tiny("ner", architecture, max_length=128)
    assert compare(folder, texts, aggregation) > len(texts)


@pytest.mark.parametrize("tokenizer", ["bytes", "unigram"])
@pytest.mark.parametrize("aggregation", STRATEGIES)
def test_entities_equal_those_of_transformers_with_plain_labels(tiny, tokenizer, aggregation):
    folder = tiny("ner", tokenizer=tokenizer, labels=("O", "NAME", "PLACE"), max_length=128, seed=4)
    texts = ONE_WINDOW + random_texts(20, seed=2)
    assert compare(folder, texts, aggregation) > len(texts)


def test_viterbi_differs_from_first_on_purpose_where_a_label_goes_on_nothing(tiny):
    # transformers lets I-PER stand behind O; a model of IOB2 has learned that it cannot.
    plain = tiny("ner", labels=("O", "NAME", "PLACE"), max_length=128, seed=4)
    iob2 = tiny("ner", max_length=128)
    texts = ONE_WINDOW + random_texts(40, seed=3)

    def found(folder, aggregation):
        return annotate(BertNer(model=folder, encoder=ENCODER, aggregation=aggregation), texts)

    assert found(plain, "viterbi") == found(plain, "first")
    assert found(iob2, "viterbi") != found(iob2, "first")


def test_auto_is_viterbi_for_a_model_that_is_known_to_begin_each_entity_with_a_label(tiny):
    unknown, known = tiny("ner"), tiny("ner", tag_scheme="IOB2")
    ends = tiny("ner", labels=("O", "B-X", "I-X", "L-X", "U-X"))
    chosen = [BertNer(model=each).resolved_aggregation for each in (unknown, known, ends)]
    assert chosen == ["first", "viterbi", "viterbi"]
    assert BertNer(model=unknown, aggregation="max").resolved_aggregation == "max"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("labels", "config"),
    [
        (("negative", "neutral", "positive"), {}),
        (("one", "two", "three"), {"problem_type": "multi_label_classification"}),
        (("rating",), {"problem_type": "regression"}),
        (("alone",), {}),
    ],
    ids=["one of three", "some of three", "regression", "one label"],
)
def test_classes_equal_those_of_transformers(tiny, architecture, labels, config):
    folder = tiny("classifier", architecture, labels=labels, max_length=128, **config)
    pipe: Any = transformers.pipeline("text-classification", model=folder, top_k=None, device="cpu")
    ours = annotate(BertClassifier(model=folder, encoder=ENCODER), ONE_WINDOW)
    for found, expected in zip(ours, pipe(ONE_WINDOW), strict=True):
        assert [one["label"] for one in found["scores"]] == [one["label"] for one in expected]
        scores = [one["score"] for one in expected]
        assert [one["score"] for one in found["scores"]] == pytest.approx(scores, abs=TOLERANCE)
        assert (found["label"], found["score"]) == tuple(found["scores"][0].values())
