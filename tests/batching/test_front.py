"""Tokenising processes give what tokenising here gives, whatever happens to them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from bertpipe.batching import front
from bertpipe.batching.front import Tokenizers, slices
from bertpipe.batching.tokens import Tokens, prepare, tokenize
from bertpipe.testing import TEXTS, TOKENIZERS, tiny_tokenizer

TOKENIZER = {kind: prepare(tiny_tokenizer(kind)) for kind in TOKENIZERS}
MANY = [f"{text} " * n for n in range(4) for text in TEXTS]


@pytest.fixture(autouse=True)
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "SLICE_CHARS", 100)


@pytest.fixture(scope="module")
def tokenizers() -> Iterator[Tokenizers]:
    found = Tokenizers(2)
    yield found
    found.close()


def assert_equal(found: Tokens, wanted: Tokens) -> None:
    for name, array in vars(wanted).items():
        assert getattr(found, name).dtype == array.dtype
        np.testing.assert_array_equal(getattr(found, name), array, err_msg=name)


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.text(max_size=30) | st.sampled_from(TEXTS), max_size=5))
def test_tokens_are_those_of_this_process(kind, texts, tokenizers):
    assert_equal(tokenizers(TOKENIZER[kind], texts), tokenize(TOKENIZER[kind], texts))


def test_many_texts_are_divided_among_the_processes_and_put_together_in_order(tokenizers):
    assert len(list(slices(MANY))) > 10
    wanted = tokenize(TOKENIZER["wordpiece"], MANY)
    assert_equal(tokenizers(TOKENIZER["wordpiece"], MANY), wanted)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lengths=st.lists(st.integers(0, 70), max_size=40))
def test_slices_hold_every_text_once_in_order(lengths):
    texts = [str(i % 10) * length for i, length in enumerate(lengths)]
    found = list(slices(texts))
    assert [text for each in found for text in each] == texts
    assert all(found)
    assert all(sum(map(len, each[:-1])) < 100 for each in found)


def test_several_threads_with_tokenizers_of_their_own_share_the_processes(tokenizers):
    with ThreadPoolExecutor(4) as threads:
        kinds = list(TOKENIZERS) * 2
        found = list(threads.map(lambda kind: tokenizers(TOKENIZER[kind], MANY), kinds))
    for kind, tokens in zip(kinds, found, strict=True):
        assert_equal(tokens, tokenize(TOKENIZER[kind], MANY))


def test_a_process_that_died_has_its_texts_tokenised_and_another_in_its_place(tokenizers):
    tokenizer = TOKENIZER["wordpiece"]
    for process in tokenizers._processes:
        process._running[0].kill()
        process._running[0].wait()
    assert_equal(tokenizers(tokenizer, MANY), tokenize(tokenizer, MANY))
    assert_equal(tokenizers(tokenizer, MANY), tokenize(tokenizer, MANY))
    assert any(each._running and each._running[0].poll() is None for each in tokenizers._processes)


def test_processes_that_cannot_be_started_are_done_without(tokenizers, monkeypatch):
    def start(*arguments: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(front, "start_module", start)
    for process in tokenizers._processes:
        process.end()
    tokenizer = TOKENIZER["bytes"]
    assert_equal(tokenizers(tokenizer, MANY), tokenize(tokenizer, MANY))


def test_what_a_tokenizer_cannot_do_is_raised_here(tokenizers, capfd):
    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="[UNK]"))  # has no such token
    assert len(tokenizers(tokenizer, ["a"]).ids) == 1
    with pytest.raises(Exception, match="UNK"):
        tokenizers(tokenizer, ["a", "b"])
    assert capfd.readouterr().err == ""
