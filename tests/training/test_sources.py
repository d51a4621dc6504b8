import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.errors import CorpusError
from bertpipe.training.settings import Source
from bertpipe.training.sources import (
    Labelled,
    Question,
    fraction,
    join_sentences,
    read_conll,
    read_squad,
    read_table,
    unanswerable,
)


def test_conll_sentences_know_their_document(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("-DOCSTART- -X- O\n\nA NN B-PER\nb NN O\n\n-DOCSTART- -X- O\n\nC NN O\n")
    first, second = read_conll(Source(path=path))
    assert (first.words, first.tags, first.document) == (["A", "b"], ["B-PER", "O"], 1)
    assert (second.words, second.document) == (["C"], 2)


def test_a_line_without_a_tag_is_named(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("A O\nalone\n")
    with pytest.raises(CorpusError, match=r"x\.conll line 2 is 'alone'"):
        read_conll(Source(path=path))


def test_sentences_are_joined_within_their_document_only(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("a O\n\nb O\n\nc O\nd O\n\n-DOCSTART- O\n\ne O\n")
    joined = join_sentences(read_conll(Source(path=path)), max_words=3)
    assert [sentence.words for sentence in joined] == [["a", "b"], ["c", "d"], ["e"]]


def test_sentences_are_not_joined_where_two_entities_would_become_one(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("a I-X\n\nb I-X\n\nc I-Y\nd O\n\ne I-Y\n")
    joined = join_sentences(read_conll(Source(path=path)), max_words=9)
    assert [sentence.words for sentence in joined] == [["a"], ["b", "c", "d", "e"]]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.tsv", 'text\tlabel\nso "quoted\t1\n'),
        ("x.csv", 'text,label\n"so ""quoted",1\n'),
        ("x.jsonl", '{"text": "so \\"quoted", "label": 1}\n\n'),
    ],
)
def test_a_table_is_read_in_each_format(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    (record,) = read_table(Source(path=tmp_path / name))
    assert (record.text, record.label) == ('so "quoted', "1")


def test_a_missing_column_is_named(reviews):
    with pytest.raises(
        CorpusError, match=r"reviews\.tsv line 2 has no 'text' \(it has sentence, label\): set"
    ):
        read_table(Source(path=reviews))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CorpusError, match=r"no\.tsv does not exist"):
        read_table(Source(path=tmp_path / "no.tsv"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"answer_start": 3}, "'Acme' does not stand at 3 but at 14; correct it"),
        ({"answer_start": -1, "text": ""}, "'' does not stand in the context; correct it"),
    ],
)
def test_an_answer_at_a_wrong_place_is_named(change, told, squad):
    content = json.loads(squad.read_text())
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"][0] |= change
    squad.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=told):
        read_squad(Source(path=squad))


def test_pairs_without_an_answer_come_from_the_same_article_and_do_not_hold_the_answer():
    questions = [
        Question(f"what is {i}?", f"this is {i} of {article}", ((8, str(i)),), article)
        for article in ("x", "y")
        for i in range(9)
    ]
    made = unanswerable(questions, share=1.0)
    assert len(made) > 9
    for pair in made:
        assert pair.answers == ()
        assert pair.context.endswith(pair.article)
        assert pair.question[8] not in pair.context


def test_a_lone_paragraph_gives_no_pair():
    lone = [Question("who?", "Anna works.", ((0, "Anna"),), "t")]
    assert unanswerable(lone, share=1.0) == []


@pytest.mark.parametrize("limit", [None, 2])
def test_held_out_and_training_parts_are_disjoint_and_complete(tmp_path, limit):
    path = tmp_path / "x.tsv"
    path.write_text("text\tlabel\n" + "".join(f"text {i}\t{i % 2}\n" for i in range(40)))
    parts = {
        part: {r.text for r in read_table(Source(path=path, part=part, held_out=0.3, limit=limit))}
        for part in ("train", "held_out")
    }
    assert not parts["train"] & parts["held_out"]
    assert limit or len(parts["train"] | parts["held_out"]) == 40


def test_a_smaller_limit_is_a_subset(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text("text\tlabel\n" + "".join(f"text {i}\t0\n" for i in range(40)))
    few, more = ({r.text for r in read_table(Source(path=path, limit=limit))} for limit in (5, 20))
    assert len(few) == 5
    assert few < more


@given(st.text())
def test_a_fraction_lies_between_nought_and_one(key):
    assert 0 <= fraction(key) < 1


def test_pairs_are_read_with_their_second_text(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text('premise,hypothesis,label\n"A man, sleeping.",He is awake.,contradiction\n')
    pairs = read_table(Source(path=path, text_field="premise", pair_field="hypothesis"))
    assert pairs == [Labelled("A man, sleeping.", ("contradiction",), "He is awake.")]


def test_a_pair_without_its_second_text_is_named(tmp_path):
    path = tmp_path / "pairs.tsv"
    path.write_text("premise\thypothesis\tlabel\nA man.\tHe is awake.\tneutral\nA dog.\n")
    with pytest.raises(CorpusError, match=r"pairs\.tsv line 3 has 1 fields, not 3"):
        read_table(Source(path=path, text_field="premise", pair_field="hypothesis"))
