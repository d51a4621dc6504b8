"""Every format a training reads, and what is said of data that do not fit."""

import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import spacy
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin

from bertpipe.annotators.tags import IOB2
from bertpipe.errors import CorpusError
from bertpipe.training.schemes import as_iob2, beginnings
from bertpipe.training.settings import Source
from bertpipe.training.sources import read_entities, read_squad, read_table, read_texts
from bertpipe.training.spans import split_words

TEXT = "Anna Lee-Smith (Paris) can't."
WORDS = ["Anna", "Lee", "-", "Smith", "(", "Paris", ")", "can", "'", "t", "."]
TAGS = ["B-PER", "I-PER", "I-PER", "I-PER", "O", "B-LOC", "O", "O", "O", "O", "O"]
SPANS = [
    {"start": 16, "end": 21, "label": "LOC", "text": "Paris", "score": 0.9},
    {"start": 0, "end": 14, "label": "PER"},
]


def write_jsonl(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def write_parquet(path: Path, *rows: dict) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def write_docs(path: Path, *docs: Doc) -> Path:
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


@pytest.fixture
def make_doc() -> Callable[[str], Doc]:
    return spacy.blank("en").make_doc


@pytest.mark.parametrize(("write", "suffix"), [(write_jsonl, "jsonl"), (write_parquet, "parquet")])
def test_a_text_with_spans_becomes_words_with_tags(tmp_path, write, suffix):
    path = write(
        tmp_path / f"x.{suffix}", {"text": TEXT, "spans": SPANS}, {"text": "no", "spans": []}
    )
    first, second = read_entities(Source(path=path))
    assert (first.words, first.tags) == (WORDS, TAGS)
    assert (second.words, second.tags) == (["no"], ["O"])


def test_spans_may_be_lists_and_stand_under_another_name(tmp_path):
    row = {"body": TEXT, "ents": [[0, 14, "PER"], [16, 21, "LOC"]]}
    path = write_jsonl(tmp_path / "x.jsonl", row)
    (found,) = read_entities(Source(path=path, text_field="body", spans_field="ents"))
    assert found.tags == TAGS


@pytest.mark.parametrize(
    ("span", "told"),
    [
        ([22, 40, "PER"], r"the span 22 to 40 \(PER\): the text has 29 characters; correct"),
        ([15, 15, "PER"], "the span 15 to 15"),
        ([23, 25, "PER"], "'ca' begins or ends inside a word"),
        ([22, 23, "PER"], "' ' holds no word"),
        ([9, 21, "LOC"], r"\(LOC\): 'Smith \(Paris' overlaps another"),
        ([16, "LOC"], r"the span \[16, 'LOC'\] has no start, end"),
        ({"start": 16, "end": 21, "label": "LOC", "text": "Rome"}, "'Rome' does not stand there"),
    ],
)
def test_a_span_that_does_not_fit_is_named_with_file_and_line(tmp_path, span, told):
    rows = [{"text": "ok", "spans": []}, {"text": TEXT, "spans": [[0, 14, "PER"], span]}]
    path = write_jsonl(tmp_path / "x.jsonl", *rows)
    with pytest.raises(CorpusError, match=rf"x\.jsonl line 2: .*{told}"):
        read_entities(Source(path=path))


def test_a_row_without_spans_is_named(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", {"text": TEXT, "entities": []})
    with pytest.raises(CorpusError, match=r"x\.jsonl line 1 has no 'spans' \(it has text, entit"):
        read_entities(Source(path=path))


@given(st.text())
def test_words_are_all_that_is_no_white_space(text):
    words = split_words(text)
    assert "".join(text[a:b] for a, b in words) == "".join(text.split())
    assert all(a < b <= c for (a, b), (c, _) in pairwise(words))


def test_entities_of_docs_become_tags(tmp_path, make_doc):
    doc = make_doc("Anna  visits New York.")
    doc.ents = [doc.char_span(0, 4, label="PER"), doc.char_span(13, 21, label="LOC")]
    (found,) = read_entities(Source(path=write_docs(tmp_path / "x.spacy", doc)))
    assert found.words == ["Anna", "visits", "New", "York", "."]
    assert found.tags == ["B-PER", "O", "B-LOC", "I-LOC", "O"]


def test_spans_of_docs_become_tags_unless_they_overlap(tmp_path, make_doc):
    doc = make_doc("Anna visits New York.")
    doc.spans["sc"] = [doc.char_span(0, 4, label="PER"), doc.char_span(12, 20, label="LOC")]
    path = write_docs(tmp_path / "x.spacy", doc)
    (found,) = read_entities(Source(path=path, spans_key="sc"))
    assert found.tags == ["B-PER", "O", "B-LOC", "I-LOC", "O"]
    with pytest.raises(CorpusError, match=r"x\.spacy document 1 has no spans 'other' but sc"):
        read_entities(Source(path=path, spans_key="other"))
    with pytest.raises(CorpusError, match=r"x\.spacy document 1 has no entities annotated"):
        read_entities(Source(path=path))
    doc.spans["sc"] = [doc.char_span(0, 11, label="PER"), doc.char_span(5, 11, label="LOC")]
    with pytest.raises(CorpusError, match=r"document 1: the span 5 to 11 \(LOC\): 'visits' over"):
        read_entities(Source(path=write_docs(path, doc), spans_key="sc"))


def test_categories_of_docs_are_labels(tmp_path, make_doc):
    one, two = make_doc("good film"), make_doc("good and long")
    one.cats, two.cats = {"good": 1.0, "long": 0.0}, {"good": 1.0, "long": 1.0}
    path = write_docs(tmp_path / "x.spacy", one, two)
    found = read_table(Source(path=path), multi_label=True)
    assert [(r.text, r.labels) for r in found] == [
        ("good film", ("good",)),
        ("good and long", ("good", "long")),
    ]
    with pytest.raises(CorpusError, match=r"document 2 has 2 categories .*multi_label = true"):
        read_table(Source(path=path))


def test_what_is_no_spacy_file_is_named(tmp_path):
    path = tmp_path / "x.spacy"
    path.write_bytes(b"nonsense")
    with pytest.raises(CorpusError, match=r"x\.spacy is no \.spacy file"):
        read_table(Source(path=path))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.csv", 'text,label\ngood,"b,a"\nbad,\n'),
        ("x.tsv", "text\tlabel\ngood\tb, a\nbad\t\n"),
        ("x.jsonl", '{"text": "good", "label": ["b", "a"]}\n{"text": "bad", "label": []}\n'),
    ],
)
def test_a_text_may_have_several_labels_or_none(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = read_table(Source(path=tmp_path / name), multi_label=True)
    assert [record.labels for record in found] == [("a", "b"), ()]


def test_several_labels_in_parquet(tmp_path):
    path = write_parquet(tmp_path / "x.parquet", {"text": "good", "label": [2, 1]})
    (found,) = read_table(Source(path=path), multi_label=True)
    assert found.labels == ("1", "2")
    with pytest.raises(CorpusError, match=r"x\.parquet row 1: 'label' is \[2, 1\], not one label"):
        read_table(Source(path=path))


def test_a_folder_and_a_glob_are_all_their_files(tmp_path):
    for i in range(2):
        write_jsonl(tmp_path / f"{i}.jsonl", {"text": f"text {i}", "label": i})
    (tmp_path / "_bertpipe").mkdir()
    (tmp_path / "_bertpipe" / "plan.json").write_text("{}")
    for path in (tmp_path, tmp_path / "*.jsonl"):
        assert [record.text for record in read_table(Source(path=path))] == ["text 0", "text 1"]


def test_a_table_without_a_header_has_the_columns_that_are_given(tmp_path):
    path = tmp_path / "x.tsv"
    path.write_text('the "end\tBusiness\n')
    (found,) = read_table(Source(path=path, columns=["text", "label"]))
    assert (found.text, found.label) == ('the "end', "Business")


def test_a_field_of_several_lines_keeps_them(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text('text,label\n"one\ntwo",a\nthree\n')
    with pytest.raises(CorpusError, match=r"x\.csv line 4 has 1 fields, not 2 \(text, label\)"):
        read_table(Source(path=path))
    path.write_text('text,label\n"one\ntwo",a\n')
    assert read_table(Source(path=path))[0].text == "one\ntwo"


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("x.jsonl", b'{"text": "a"', r"line 1 is not readable as JSON"),
        ("x.jsonl", b"[1]\n", r"line 1 is no object"),
        ("x.csv", b'text,label\n"a,b\n', r"line 2 is not readable"),
        ("x.csv", "text,label\nä,b\n".encode("latin-1"), r"is not UTF-8 at byte 11"),
        ("x.parquet", b"PAR1", r"is not readable as Parquet"),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path, name, content, told):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError, match=told):
        read_table(Source(path=tmp_path / name))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a B-X\n\nb O\nc X\n", r"line 4: the tag 'X' has no prefix of the scheme B-, I-;"),
        ("a B-X\nb E-X\nc S-X\n\nd I-X\n", r"line 5: the tag 'I-X' does not go on 'O' before it"),
        ("a B-X\nb L-X\nc U-X\nd B-X\n", r"line 4: the tag 'B-X' is not ended by 'O' behind it"),
        ("a B-X\nb E-X\nc B-X\nd E-Y\n\ne B-Y\nf E-Y", r"line 3: .*'B-X' is not ended by 'E-Y'"),
        ("a S-X\nb I-X\n", r"line 1: the tag 'S-X' has no prefix"),
    ],
)
def test_a_tag_that_does_not_fit_the_scheme_is_named_with_file_and_line(tmp_path, content, told):
    path = tmp_path / "x.conll"
    path.write_text(content)
    with pytest.raises(CorpusError, match=rf"x\.conll {told}"):
        read_entities(Source(path=path))


@pytest.mark.parametrize("tags", ["I-X I-X B-X O", "B-X E-X S-Y O", "NN VB NN -LRB-", "O O O O"])
def test_iob1_iobes_and_plain_labels_are_schemes(tmp_path, tags):
    path = tmp_path / "x.conll"
    path.write_text("".join(f"word {tag}\n" for tag in tags.split()))
    (found,) = read_entities(Source(path=path))
    assert found.tags == tags.split()


STRAY = "a B-X\nb O\nc I-X\n\nd B-Y\ne I-Y\nf B-Y\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (STRAY, "line 3: the tag 'I-X' begins an entity, as I- does once and B- 2 times"),
        ("a I-X\nb I-X\n\nc B-X\n\nd I-X\n", "line 4: the tag 'B-X' begins an entity, as B- does"),
        ("a B-X\n\nb B-X\n\nc B-X\nd I-Y\n", "line 6: the tag 'I-Y' begins an entity, as I- does"),
    ],
)
def test_entities_that_begin_otherwise_than_the_others_are_named(tmp_path, content, told):
    path = tmp_path / "x.conll"
    path.write_text(content)
    with pytest.raises(CorpusError, match=rf"x\.conll {told}.*; correct it, or set to_iob2 = true"):
        read_entities(Source(path=path))


def test_a_file_is_read_as_iob2_if_that_is_asked(tmp_path):
    path = tmp_path / "x.conll"
    for tags, expected in {
        "B-X O I-X I-Y I-Y B-Y": "B-X O B-X B-Y I-Y B-Y",
        "I-X I-X B-X O I-Y": "B-X I-X B-X O B-Y",
        "B-X I-X L-X O U-Y": "B-X I-X I-X O B-Y",
        "B-X I-X E-X S-X O": "B-X I-X I-X B-X O",
        "NN S-VB L-VB": "NN S-VB L-VB",
    }.items():
        path.write_text("".join(f"word {tag}\n" for tag in tags.split()))
        (found,) = read_entities(Source(path=path, to_iob2=True))
        assert " ".join(found.tags) == expected


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12))
def test_tags_made_iob2_are_the_same_entities_to_the_conll_scorer(tags):
    from seqeval.metrics.sequence_labeling import get_entities

    (found,) = as_iob2([tags])
    assert get_entities(found) == get_entities(tags)
    assert {scheme for _, scheme in beginnings(found)} <= {IOB2}


def squad_text(change: dict | None, *, indent: int | None = None) -> str:
    """Return SQuAD JSON with six questions; one of them is changed, or is none."""
    items = [
        {"id": f"q{i}", "question": "who?", "answers": [{"text": "Anna", "answer_start": 0}]}
        for i in range(6)
    ]
    items[4] = {**items[4], **change} if change is not None else {}
    paragraphs = [{"context": 'Anna "id": "q4"', "qas": items[i : i + 2]} for i in (0, 2, 4)]
    articles = [{"paragraphs": paragraphs[:1]}, {"paragraphs": paragraphs[1:]}]
    return json.dumps({"data": articles}, indent=indent)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "x.json is not readable as SQuAD JSON (Expecting"),
        ("[]", "x.json has no 'data' that is a list; write SQuAD JSON."),
        ('{"data": [{"paragraphs": 3}]}', "x.json article 1 has no 'paragraphs' that is a list"),
        (
            '{"data": [{"paragraphs": [{"qas": []}]}]}',
            "x.json article 1 paragraph 1 has no 'context' that is a string",
        ),
        (squad_text(None), "x.json article 2 paragraph 2 question 1 has no 'answers'"),
        (squad_text({"question": 1}), "x.json article 2 paragraph 2 question 1 has no 'question'"),
        (
            squad_text({"answers": [{"text": "Anna", "answer_start": "0"}]}),
            "article 2 paragraph 2 question 1 has no 'answer_start' that is a number",
        ),
        (
            squad_text({"answers": [{"text": "Bob", "answer_start": 0}]}, indent=1),
            "x.json line 63, article 2 paragraph 2 question 1: the answer 'Bob' does not",
        ),
    ],
)
def test_what_is_wrong_in_squad_json_is_named_with_its_place(tmp_path, text, told):
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CorpusError, match=re.escape(told)):
        read_squad(Source(path=path))


def test_every_question_knows_its_line(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(squad_text({}, indent=1))
    lines = path.read_text().splitlines()
    for number, question in enumerate(read_squad(Source(path=path, unanswerable=1.0))):
        assert question.place.endswith("another paragraph") == (number >= 6)
        line = int(question.place.partition(" line ")[2].partition(",")[0])
        assert lines[line - 1].strip() == f'"id": "q{number % 6}",'


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.txt", "one two\n\n three \n"),
        ("x.csv", 'text\none two\n" three "\n'),
        ("x.jsonl", '{"text": "one two"}\n{"text": " three "}\n'),
    ],
)
def test_plain_texts_are_read_in_every_format(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    found = read_texts(Source(path=tmp_path / name, lines=True))
    assert [text.strip() for text in found] == ["one two", "three"]


def test_a_plain_text_that_cannot_be_read_is_named(tmp_path):
    path = write_jsonl(tmp_path / "x.jsonl", {"text": "one"}, {"text": 2})
    with pytest.raises(CorpusError, match=r"x\.jsonl, line 2: the field 'text' is of type int"):
        read_texts(Source(path=path))
