from itertools import pairwise

import pytest

from bertpipe.errors import CorpusError, ModelError
from bertpipe.testing import tiny_model
from bertpipe.training.loop import train
from bertpipe.training.neighbours import LABELS, joined, pair_neighbours, sentences_of

TEXTS = [" ".join(f"This is sentence {i} of\ntext {n}." for i in range(40)) for n in range(5)]


def test_about_half_of_the_pairs_are_neighbours_and_the_others_of_another_text():
    neighbours = {pair for text in TEXTS for pair in pairwise(sentences_of(text))}
    pairs = pair_neighbours(TEXTS)
    assert len(pairs) == 5 * 39
    assert pairs == pair_neighbours(TEXTS)
    for pair in pairs:
        assert pair.pair is not None
        assert ((pair.text, pair.pair) in neighbours) == (pair.label == "next")
        of_same_text = pair.text[-7:] == pair.pair[-7:]
        assert of_same_text == (pair.label == "next")
    n_next = sum(pair.label == "next" for pair in pairs)
    assert 0.4 < n_next / len(pairs) < 0.6


def test_sentences_are_joined_up_to_so_many_words():
    sentences = ["One two three.", "Four.", "Five six.", "Seven eight nine ten eleven.", "Twelve."]
    assert joined(sentences, max_words=0) == sentences
    assert joined(sentences, max_words=4) == [
        "One two three. Four.",
        "Five six.",
        "Seven eight nine ten eleven.",
        "Twelve.",
    ]
    assert joined([], max_words=4) == []
    pairs = pair_neighbours(TEXTS, max_words=14)  # two sentences of seven words
    assert len(pairs) == 5 * 19
    assert {pair.text.count("sentence") for pair in pairs} == {2}


def test_a_lone_text_gives_pairs_from_itself():
    labels = {pair.label for pair in pair_neighbours(TEXTS[:1])}
    assert labels == set(LABELS)


def test_sentences_have_plain_spaces_and_none_is_empty():
    assert sentences_of("One\n two.  \n\n Three!  ") == ["One two.", "Three!"]


@pytest.mark.filterwarnings("default")
def test_texts_of_one_sentence_and_unknown_labels_are_refused(recipe, tmp_path):
    path = tmp_path / "short.jsonl"
    path.write_text('{"text": "One."}\n')
    with pytest.raises(CorpusError, match=r"short\.jsonl has no text of two sentences"):
        train(recipe("next", **{"tasks.next.train.file.path": str(path)}))
    path.write_text('{"text": "One.", "then": "Two.", "label": 0}\n')
    pairs = {f"tasks.next.{part}.file.pair_field": "then" for part in ("train", "dev")}
    paths = {f"tasks.next.{part}.file.path": str(path) for part in ("train", "dev")}
    with pytest.raises(CorpusError, match=r"next have the labels 0; name them next and not_next"):
        train(recipe("next", **pairs, **paths))


@pytest.mark.filterwarnings("default")
def test_a_base_that_knows_no_next_sentence_is_refused(recipe, tmp_path):
    base = tiny_model(tmp_path / "roberta", task="encoder", architecture="roberta")
    with pytest.raises(ModelError, match=r"roberta cannot be opened for next_sentence: Unrecog"):
        train(recipe("next", **{"paths.base": str(base)}))
