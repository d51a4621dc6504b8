"""Flat tokens say what the tokenizer says, with offsets in characters."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from bertpipe.batching.tokens import find_template, prepare, tokenize
from bertpipe.errors import ModelError
from bertpipe.testing import TEXTS, TOKENIZERS, tiny_tokenizer


@cache
def tokenizer_of(kind: str) -> PreTrainedTokenizerFast:
    return tiny_tokenizer(kind)


@pytest.mark.parametrize("kind", TOKENIZERS)
@given(texts=st.lists(st.text(max_size=30) | st.sampled_from(TEXTS), max_size=5))
def test_tokens_are_those_of_transformers(kind, texts):
    tokenizer = tokenizer_of(kind)
    tokens = tokenize(prepare(tokenizer), texts)
    assert len(tokens.lengths) == len(texts)
    for i, text in enumerate(texts):
        mine = slice(tokens.offsets[i], tokens.offsets[i + 1])
        expected = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        assert tokens.ids[mine].tolist() == expected["input_ids"]
        spans = np.stack([tokens.starts[mine], tokens.ends[mine]], axis=-1)
        assert spans.tolist() == [list(span) for span in expected["offset_mapping"]]
        assert spans.max(initial=0) <= len(text)


def test_a_tokenizer_that_cuts_and_pads_is_kept_from_it():
    tokenizer = tiny_tokenizer("wordpiece")
    tokenizer.backend_tokenizer.enable_truncation(max_length=4)
    tokenizer.backend_tokenizer.enable_padding(length=128)
    tokens = tokenize(prepare(tokenizer), ["a", "a " * 40])
    assert tokens.lengths.tolist() == [1, 40]


@pytest.mark.parametrize(
    ("kind", "has_types"), [("wordpiece", True), ("unigram", True), ("bytes", False)]
)
def test_the_special_tokens_are_those_of_transformers(kind, has_types):
    tokenizer = tiny_tokenizer(kind, has_types=has_types)
    template = find_template(prepare(tokenizer), has_types=has_types)
    single = tokenizer("Angela")["input_ids"]
    body = tokenizer("Angela", add_special_tokens=False)["input_ids"]
    assert [*template.before, *body, *template.after] == single
    pair = tokenizer("Angela", "Angela")
    expected = [*template.pair_before, *body, *template.between, *body, *template.pair_after]
    assert pair["input_ids"] == expected
    before, (first, second), between, after = template.pair_types
    types = [*before, *[first] * len(body), *between, *[second] * len(body), *after]
    assert types == pair.get("token_type_ids", [0] * len(expected))


def test_a_model_without_segments_is_given_none():
    template = find_template(prepare(tiny_tokenizer("wordpiece")), has_types=False)
    assert template.pair_types == ((0,), (0, 0), (0,), (0,))


def test_a_tokenizer_without_offsets_is_refused():
    class Slow:
        name_or_path = "somewhere"

    with pytest.raises(ModelError, match=r"'somewhere' is a Slow .*tokenizer\.json"):
        prepare(Slow())  # type: ignore[arg-type]


def test_no_texts_are_no_tokens():
    tokens = tokenize(Tokenizer(models.WordLevel({"a": 0}, unk_token="a")), [])
    assert tokens.ids.tolist() == []
    assert tokens.offsets.tolist() == [0]
