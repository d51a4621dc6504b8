"""Answers are the best spans of all windows, as a plain search over the logits finds them."""

import unicodedata
from functools import cache
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.annotators.answers import best_spans
from bertpipe.annotators.passes import Pass
from bertpipe.annotators.qa import BertQa
from bertpipe.annotators.spans import read_characters
from bertpipe.annotators.words import widen as widen_spans
from bertpipe.config import EncoderSettings
from bertpipe.errors import DocumentError
from bertpipe.testing import ARCHITECTURES, TEXTS, same

from .conftest import ENCODER, annotate

LONG = "Angela Merkel met Barack Obama in Berlin, then flew to the sea. " * 5
QUESTIONS = {"who": "Who met Obama?", "where": "Where?"}


def is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


def widen(text: str, start: int, end: int) -> tuple[int, int]:
    """Widen a span of letters to whole words, character by character."""
    while start > 0 and is_word(text[start]) and is_word(text[start - 1]):
        start -= 1
    while end < len(text) and is_word(text[end - 1]) and is_word(text[end]):
        end += 1
    return start, end


@cache
def model_of(folder: str):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return tokenizer, transformers.AutoModelForQuestionAnswering.from_pretrained(folder).eval()


def all_spans(folder: str, question: str, text: str, *, stride: int, max_length: int) -> list:
    """Return (log odds, start, end) of every span of every window, the best first."""
    tokenizer, model = model_of(folder)
    encoded = tokenizer(
        question,
        text,
        truncation="only_second",
        max_length=64,
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_tensors="pt",
        padding=True,
    )
    offsets = encoded.pop("offset_mapping").tolist()
    encoded.pop("overflow_to_sample_mapping")
    with torch.inference_mode():
        output = model(**encoded)
    starts, ends = output.start_logits.numpy(), output.end_logits.numpy()
    spans = []
    for window in range(len(starts)):
        body = [i for i, part in enumerate(encoded.sequence_ids(window)) if part == 1]
        none = starts[window, 0] + ends[window, 0]
        for i in body:
            for j in body:
                if i <= j < i + max_length:
                    odds = starts[window, i] + ends[window, j] - none
                    spans.append((odds, offsets[window][i][0], offsets[window][j][1]))
    return sorted(spans, key=lambda span: -span[0])


def search(folder: str, question: str, text: str, *, top_k: int, stride: int = 24) -> list:
    """Take the best spans that overlap no better one; what transformers cuts are the windows."""
    found: list[tuple[float, int, int]] = []
    for odds, start, end in all_spans(folder, question, text, stride=stride, max_length=30):
        if all(end <= s or e <= start for _, s, e in found):
            found.append((odds, *widen(text, start, end)))
        if len(found) == top_k:
            break
    return found


@pytest.mark.parametrize("architecture", [a for a in ARCHITECTURES if a != "albert"])
@pytest.mark.parametrize("top_k", [1, 4])
def test_answers_are_those_of_a_search_over_all_spans(tiny, architecture, top_k):
    folder = tiny("qa", architecture)
    annotator = BertQa(model=folder, encoder=ENCODER, questions=QUESTIONS, top_k=top_k)
    texts = [text for text in TEXTS if text.isascii() and text.strip() and len(text) < 60]
    for text, found in zip(texts, annotate(annotator, texts), strict=True):
        expected = [
            (name, odds, start, end)
            for name, question in QUESTIONS.items()
            for odds, start, end in search(folder, question, text, top_k=top_k)
        ]
        assert [(one["question"], one["start"], one["end"]) for one in found] == [
            (name, start, end) for name, _, start, end in expected
        ]
        assert [one["score"] for one in found] == pytest.approx(
            [1 / (1 + np.exp(-odds)) for _, odds, _, _ in expected], abs=1e-5
        )


def test_the_best_answer_of_a_long_text_is_the_best_of_its_windows(tiny):
    encoder = EncoderSettings(device="cpu", precision="fp32", stride=16)
    annotator = BertQa(model=tiny("qa"), encoder=encoder, questions=QUESTIONS, top_k=50)
    (found,) = annotate(annotator, [LONG])
    for name in QUESTIONS:
        answers = [one for one in found if one["question"] == name]
        scores = [one["score"] for one in answers]
        assert scores == sorted(scores, reverse=True)
        places = sorted((one["start"], one["end"]) for one in answers)
        assert len(places) > 10
        assert all(a[1] <= b[0] for a, b in pairwise(places))


def test_a_score_does_not_change_when_another_constant_is_added_to_a_windows_logits(tiny):
    """Only differences inside a window are known, so only they can be compared."""
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, questions=QUESTIONS, top_k=3)
    batch = pa.record_batch({"text": [LONG]})
    own = Pass([annotator])
    windowed = own._cut(annotator.request(batch))
    (logits,) = own.scorer(windowed)
    shift = np.random.default_rng(0).normal(size=(len(windowed.windows), 2)).astype(np.float32)
    shifted = logits + np.repeat(shift, np.diff(windowed.windows.rows), axis=0)
    before, after = (
        annotator.head.decode(each, windowed).to_pylist() for each in (logits, shifted)
    )
    for one, other in zip(before, after, strict=True):
        assert [a["text"] for a in one] == [a["text"] for a in other]
        assert [a["score"] for a in one] == pytest.approx([a["score"] for a in other], abs=1e-5)


def naive_best(start, end, is_open, max_length):
    best = []
    for i in range(len(start)):
        options = [(-np.inf, 0)]
        for reach in range(max_length):
            if i + reach >= len(start) or not is_open[i : i + reach + 1].all():
                break
            options.append((start[i] + end[i + reach], -reach))
        value, reach = max(options)
        best.append((value, -reach))
    return best


@given(data=st.data(), max_length=st.integers(1, 9))
def test_the_best_span_from_each_row_is_found(data, max_length):
    n = data.draw(st.integers(1, 30))
    logits = st.lists(st.integers(-3, 3), min_size=n, max_size=n)
    start, end = (np.array(data.draw(logits), dtype=np.float32) for _ in range(2))
    is_open = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    best, reach = best_spans(start, end, is_open, max_length)
    assert list(zip(best, reach, strict=True)) == naive_best(start, end, is_open, max_length)


def test_answers_are_whole_words(tiny):
    for architecture in ("bert", "roberta", "albert"):
        annotator = BertQa(
            model=tiny("qa", architecture), encoder=ENCODER, questions=QUESTIONS, top_k=20
        )
        text = "unbelievably Merkel's (Schleswig-Holstein) 3500km e\u0301te\u0301 Zoë"
        (found,) = annotate(annotator, [text])
        assert found
        for one in found:
            assert widen(text, one["start"], one["end"]) == (one["start"], one["end"])


def widened(text: str, part: str) -> str:
    """Return a part of a text, widened as answers are, with another text on each side."""
    characters = read_characters(["before", text, "after"])
    start = len("before") + text.index(part)
    (first,), (end,) = widen_spans(np.array([start]), np.array([start + len(part)]), characters)
    return characters.whole[first:end]


@pytest.mark.parametrize(
    ("text", "part", "expected"),
    [
        ("unbelievable", "liev", "unbelievable"),
        ("über-cool", "be", "über"),
        ("don't", "'", "'"),
        ("3.5kg", "5", "5kg"),
        ("e\u0301te\u0301", "t", "e\u0301te\u0301"),
        ("two words", "o w", "two words"),
        ("東京都", "京", "京"),
        ("🍕🍕", "🍕", "🍕"),
    ],
)
def test_a_word_ends_where_letters_digits_and_marks_end(text, part, expected):
    assert widened(text, part) == expected


def test_an_answer_is_not_longer_than_allowed(tiny):
    annotator = BertQa(
        model=tiny("qa"), encoder=ENCODER, questions=QUESTIONS, top_k=30, max_answer_length=1
    )
    (found,) = annotate(annotator, ["x y z, a b. c"])
    assert found
    assert all(len(one["text"]) == 1 for one in found)


def test_an_answer_below_the_threshold_is_left_out(tiny):
    folder = tiny("qa")
    every = BertQa(model=folder, encoder=ENCODER, questions=QUESTIONS, top_k=5)
    (found,) = annotate(every, [LONG])
    threshold = sorted(one["score"] for one in found)[len(found) // 2]
    some = BertQa(
        model=folder, encoder=ENCODER, questions=QUESTIONS, top_k=5, no_answer_threshold=threshold
    )
    (kept,) = annotate(some, [LONG])
    assert kept == [one for one in found if one["score"] >= threshold]
    assert 0 < len(kept) < len(found)


def test_every_question_is_answered_in_its_order(tiny):
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, questions=QUESTIONS)
    both, none, blank, again = annotate(annotator, [LONG, None, " \n", LONG])
    assert [one["question"] for one in both] == ["who", "where"]
    assert (none, blank, again) == (None, [], both)


def test_two_names_may_ask_the_same(tiny):
    questions = {"one": "Who?", "two": "Who?"}
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, questions=questions)
    ((one, two),) = annotate(annotator, [LONG])
    assert (one.pop("question"), two.pop("question")) == ("one", "two")
    assert one == two


def test_each_row_can_have_its_own_question(tiny):
    folder = tiny("qa")
    annotator = BertQa(model=folder, encoder=ENCODER, question_field="ask")
    asked = ["Who?", None, "Where?", "  ", "Who?", "Who?"]
    texts = [LONG, LONG, LONG, LONG, None, "In Berlin."]
    found = annotate(annotator, texts, ask=pa.array(asked))
    fixed = BertQa(model=folder, encoder=ENCODER, questions={"Who?": "Who?", "Where?": "Where?"})
    (who, where), (berlin, _) = annotate(fixed, [LONG, "In Berlin."])
    assert same(found, [[who], [], [where], [], None, [berlin]])


def test_a_column_of_nulls_asks_nothing(tiny):
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, question_field="ask")
    assert annotate(annotator, [LONG, None], ask=pa.nulls(2)) == [[], None]


def test_a_question_must_be_a_string(tiny):
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, question_field="ask")
    with pytest.raises(DocumentError, match="'ask' holds int64"):
        annotate(annotator, [LONG], ask=pa.array([7]))


def test_a_question_that_leaves_no_room_is_an_error_of_the_record(tiny):
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, question_field="ask")
    with pytest.raises(DocumentError, match="shorten the question"):
        annotate(annotator, [LONG], ask=pa.array(["why " * 60]))


def test_questions_over_one_text_tokenise_it_once(tiny):
    annotator = BertQa(model=tiny("qa"), encoder=ENCODER, questions=QUESTIONS)
    request = annotator.request(pa.record_batch({"text": [LONG, LONG, "In Berlin."]}))
    assert request.texts == [LONG, "In Berlin."]
    assert len(request.items) == 4


def test_components_with_other_questions_share_no_pass(tiny):
    folder = tiny("qa")
    keys = {
        BertQa(model=folder, encoder=ENCODER, questions={"a": text}).pass_key()
        for text in ("Who?", "Where?", "Who?")
    }
    assert len(keys) == 2
