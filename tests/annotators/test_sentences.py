"""Sentences as parts of texts: found by rules, or as an earlier component says."""

import pyarrow as pa
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.annotators.sentences import sentence_reads, sentence_request, span_lists
from bertpipe.docs import batch_of
from bertpipe.errors import ConfigError, DocumentError
from bertpipe.records import list_of


def parts(request, texts):
    """Return the sentences of each row, cut out of its text."""
    rows = []
    for row, text in enumerate(texts):
        first, last = request.row_offsets[row : row + 2]
        spans = request.row_spans[first:last].tolist()
        asked = [request.texts[item] for item in request.row_items[first:last]]
        assert asked == [text[start:end] for start, end in spans]
        rows.append(asked)
    return rows


def batch(texts, **columns):
    return pa.record_batch({"text": pa.array(texts, pa.string()), **columns})


def test_sentences_are_found_and_equal_ones_are_asked_once():
    texts = ["It rains. It pours!  ", None, "", " It rains."]
    request = sentence_request(batch(texts))
    found = parts(request, texts)
    assert found == [["It rains.", "It pours!"], [], [], ["It rains."]]
    assert request.texts == ["It rains.", "It pours!"]
    assert request.has_text.tolist() == [True, False, True, True]


@given(st.lists(st.text(max_size=40), max_size=4))
def test_all_that_is_not_white_space_is_in_a_sentence(texts):
    found = parts(sentence_request(batch(texts)), texts)
    for text, sentences in zip(texts, found, strict=True):
        assert "".join("".join(sentences).split()) == "".join(text.split())


def test_a_column_says_where_sentences_are():
    spans = pa.array([[{"start": 0, "end": 4}, {"start": 4, "end": 8}, {"start": 8, "end": 9}]])
    texts = ["ab, cd. \n"]
    assert parts(sentence_request(batch(texts, s=spans), "s"), texts) == [["ab,", "cd."]]
    with pytest.raises(ConfigError, match="no column 'sents'"):
        sentence_request(batch(texts), "sents")
    with pytest.raises(DocumentError, match="'s' holds"):
        sentence_request(batch(texts, s=pa.array([["a"]])), "s")


def test_the_sentences_of_a_doc_are_used():
    nlp = spacy.blank("en")
    doc = nlp("one two three")
    doc[2].is_sent_start = True
    plain = nlp("one. two.")
    request = sentence_request(batch_of([doc, plain], ("text", "doc.sents")))
    assert parts(request, [doc.text, plain.text]) == [["one two", "three"], ["one.", "two."]]


def test_the_sentences_can_be_a_field_of_a_struct():
    value = [{"ents": [], "sents": [{"start": 0, "end": 2}, {"start": 3, "end": 5}]}]
    request = sentence_request(batch(["a. b."], sm=pa.array(value)), "sm")
    assert parts(request, ["a. b."]) == [["a.", "b."]]


def test_a_row_whose_sentences_are_unknown_has_no_text():
    spans = pa.array([[{"start": 0, "end": 2}], None])
    request = sentence_request(batch(["a.", "b."], s=spans), "s")
    assert request.has_text.tolist() == [True, False]


def test_a_column_that_a_doc_does_not_have_is_its_own_sentences():
    doc = spacy.blank("en")("one two")
    doc[1].is_sent_start = True
    request = sentence_request(batch_of([doc], sentence_reads("sentencizer")), "sentencizer")
    assert parts(request, [doc.text]) == [["one", "two"]]


def test_values_of_parts_become_lists_with_their_places():
    texts = ["It rains. It pours.", None, "", "Go."]
    request = sentence_request(batch(texts))
    kind = list_of(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("n", pa.int64())]))
    lists = span_lists(pa.array([1, None, 3]), request, kind)
    assert lists.to_pylist() == [
        [{"start": 0, "end": 9, "n": 1}],
        None,
        [],
        [{"start": 0, "end": 3, "n": 3}],
    ]
