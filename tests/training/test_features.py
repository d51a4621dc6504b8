import pytest

from bertpipe.errors import ConfigError
from bertpipe.testing import tiny_model
from bertpipe.testing.models import ARCHITECTURES
from bertpipe.training.base import load_tokenizer
from bertpipe.training.features import (
    IGNORED,
    Encoder,
    answer_tokens,
    first_tokens,
    one_window_each,
)
from bertpipe.training.schemes import goes_on
from bertpipe.training.sources import Labelled, Question, Sentence
from bertpipe.training.spans import split_words


@pytest.fixture(scope="module")
def tokenizer(base):
    return load_tokenizer(base)


def test_a_word_has_its_label_on_the_first_sub_token_only(tokenizer):
    sentence = Sentence(["Anna", "xyz"], ["B-PER", "O"], 0)
    (feature,) = Encoder(tokenizer, 16, 4).sentences([sentence], {"B-PER": 1, "O": 2})
    assert feature.target == [IGNORED, 1, 2, IGNORED, IGNORED, IGNORED]
    assert feature.positions == [-1, 0, 1, -1, -1, -1]


def test_a_window_that_starts_inside_a_word_still_labels_every_word_once_or_more(tokenizer):
    words = ["anna", "xyzxyz", "paris"] * 6
    encoder = Encoder(tokenizer, 12, 4)
    found = encoder.sentences([Sentence(words, ["O"] * len(words), 0)], {"O": 0})
    assert len(found) > 1
    assert {w for feature in found for w in feature.positions if w >= 0} == set(range(len(words)))


def test_every_window_of_a_text_has_its_class(tokenizer):
    found = Encoder(tokenizer, 12, 0).texts([Labelled("good film " * 12, ("1",))], {"0": 0, "1": 1})
    assert [feature.target for feature in found] == [1] * 3
    assert [len(feature.ids) for feature in found] == [12, 12, 6]


def test_the_answer_is_found_in_the_windows_that_hold_it(tokenizer):
    context = "the film . " * 6 + "anna visits paris"
    question = Question("who ?", context, ((context.index("anna"), "anna"),), "t")
    found = Encoder(tokenizer, 16, 4).questions([question])
    whole = [feature for feature in found if feature.target != (0, 0)]
    assert 0 < len(whole) < len(found)
    for feature in whole:
        start, end = feature.positions[feature.target[0]]
        assert context[start:end] == "anna"


def test_an_answer_that_is_cut_by_the_window_is_none_at_all():
    offsets = [None, (0, 4), (5, 9), None]
    assert answer_tokens(offsets, ((5, "abcd"),)) == (2, 2)
    assert answer_tokens(offsets, ((5, "abcd efgh"),)) == (0, 0)
    assert answer_tokens(offsets, ()) == (0, 0)


def test_a_question_keeps_one_window_that_holds_its_answer(tokenizer):
    context = "the film . " * 6 + "anna visits paris"
    records = [
        Question("who ?", context, ((context.index("anna"), "anna"),), "t"),
        Question("where ?", context, (), "t"),
    ]
    features = Encoder(tokenizer, 16, 4).questions(records)
    first, second = one_window_each(features, records, seed=1)
    assert first.target != (0, 0)
    assert second.target == (0, 0)


def test_a_question_longer_than_a_window_is_cut(tokenizer):
    records = [Question("who " * 100 + "?", "anna visits paris", ((0, "anna"),), "t")]
    (feature,) = Encoder(tokenizer, 32, 8).questions(records)
    assert len(feature.ids) <= 32
    assert feature.target != (0, 0)


def test_a_stride_as_long_as_the_window_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="stride 16 does not fit max_length 16"):
        Encoder(tokenizer, 16, 16)


def test_the_first_text_of_a_pair_is_cut_and_the_second_stands_whole_in_every_window(tokenizer):
    record = Labelled("good film " * 12, ("entailment",), "bad plot")
    windows = Encoder(tokenizer, 16, 4).texts([record], {"entailment": 0})
    assert len(windows) > 1
    second = tokenizer("bad plot", add_special_tokens=False)["input_ids"]
    assert all(w.ids[-3:-1] == second and w.types[-3:] == [1, 1, 1] for w in windows)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_tokens_of_words_are_those_that_a_run_reads(tmp_path, architecture):
    tokenizer = load_tokenizer(tiny_model(tmp_path, task="ner", architecture=architecture))
    text = "Angela Merkel met Obama (in Berlin)."
    words = split_words(text)
    sentence = Sentence(
        [text[a:b] for a, b in words], [str(i) for i, _ in words], 0, "", text, words
    )
    labels = {tag: i for i, tag in enumerate(sentence.tags)}
    (feature,) = Encoder(tokenizer, 64, 8).sentences([sentence], labels)
    read = tokenizer.backend_tokenizer.encode(text)
    assert feature.ids == read.ids
    assert [word for word in feature.positions if word >= 0] == list(range(len(words)))
    for token, word in enumerate(feature.positions):
        if word >= 0:
            start, end = read.offsets[token]
            assert start <= words[word][0] < max(end, start + 2)
            assert feature.target[token] == word


def test_a_window_that_starts_inside_a_word_does_not_label_its_rest():
    assert first_tokens([(0, 0), (2, 4), (4, 5), (6, 8), (0, 0)], [(0, 5), (6, 8)]) == [
        -1,
        -1,
        -1,
        1,
        -1,
    ]


def test_words_of_an_unknown_text_stand_apart_by_spaces():
    assert Sentence(["Bad", "Ems", "."], ["O"] * 3, 0).laid_out() == (
        "Bad Ems .",
        [(0, 3), (4, 7), (8, 9)],
    )


def test_the_pieces_of_a_word_that_a_run_takes_for_words_have_its_label(tokenizer):
    labels = {"B-LOC": 0, "I-LOC": 1, "O": 2}
    sentence = Sentence(["visits", "anna.paris."], ["O", "B-LOC"], 0)
    (feature,) = Encoder(tokenizer, 16, 4).sentences([sentence], labels)
    pieces = tokenizer.convert_ids_to_tokens(feature.ids)
    own = [token for token, word in enumerate(feature.positions) if word == 1]
    assert own == [pieces.index("anna")]
    expected = {"[CLS]": IGNORED, "[SEP]": IGNORED, "visits": 2, "anna": 0, ".": 1, "paris": 1}
    assert feature.target == [expected[piece] for piece in pieces]


@pytest.mark.parametrize(
    ("tag", "labels", "expected"),
    [
        ("B-LOC", ("B-LOC", "I-LOC", "O"), "I-LOC"),
        ("I-LOC", ("I-LOC", "O"), "I-LOC"),
        ("O", ("B-LOC", "I-LOC", "O"), "O"),
        ("NOUN", ("NOUN", "VERB"), "NOUN"),
        ("B-LOC", ("B-LOC", "O"), None),
        ("S-LOC", ("B-LOC", "E-LOC", "I-LOC", "O", "S-LOC"), None),
    ],
)
def test_a_tag_goes_on_inside_a_word_where_the_scheme_marks_no_ends(tag, labels, expected):
    assert goes_on(tag, labels) == expected


@pytest.mark.parametrize("has_types", [True, False])
def test_a_pair_has_two_types_where_the_model_will_be_given_them(base, has_types):
    tokenizer = load_tokenizer(base)
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if has_types else [])]
    tokenizer.model_input_names = names
    question = Question("who ?", "anna", ((0, "anna"),), "t")
    (feature,) = Encoder(tokenizer, 32, 8).questions([question])
    assert feature.types == [0, 0, 0, 0, *([1, 1] if has_types else [0, 0])]
