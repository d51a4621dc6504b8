"""Choosing rows by expressions."""

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bertpipe.errors import ConfigError
from bertpipe.records import CLASSIFICATION_TYPE, ERROR_TYPE, NER_TYPE
from bertpipe.view.where import Where

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("stars", pa.int64()),
        ("is_long", pa.bool_()),
        ("ner", NER_TYPE),
        ("other", NER_TYPE),
        ("mood", CLASSIFICATION_TYPE),
        ("_error", ERROR_TYPE),
    ]
)


def entity(label: str, score: float) -> dict[str, Any]:
    return {"start": 0, "end": 1, "label": label, "score": score, "text": "x"}


def mood(label: str, score: float) -> dict[str, Any]:
    scores = [{"label": label, "score": score}, {"label": "calm", "score": 1 - score}]
    return {"label": label, "score": score, "labels": [label], "scores": scores}


ROWS = [
    {"text": "a sure person", "stars": 9, "ner": [entity("PER", 0.9)], "mood": mood("joy", 0.75)},
    {
        "text": "a sure place, a doubtful person",
        "stars": 2,
        "is_long": True,
        "ner": [entity("LOC", 0.9), entity("PER", 0.25)],
        "other": [entity("PER", 0.9)],
        "mood": mood("fear", 0.5),
    },
    {"text": "nobody", "stars": None, "is_long": False, "ner": [], "mood": None},
    {"text": None, "ner": None, "_error": {"stage": "read", "type": "NullText"}},
]
BATCH = pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)


@pytest.mark.parametrize(
    ("expression", "rows"),
    [
        ("ner.label == PER", [0, 1]),
        ('ner.label == "PER"', [0, 1]),
        ("ner.label == PER and ner.score > 0.5", [0]),
        ("ner.score > 0.5 and stars < 5 and ner.label == PER", []),
        ("ner.label == LOC and other.label == PER", [1]),
        ("(ner.label == PER or ner.label == LOC) and ner.score >= 0.9", [0, 1]),
        ("ner.label == LOC or stars == 9", [0, 1]),
        ("ner.label != PER", [1]),
        ("not ner.label == LOC", [0, 2, 3]),
        ("ner", [0, 1]),
        ("not ner", [2, 3]),
        ("_error", [3]),
        ("_error.type == NullText", [3]),
        ("is_long", [1]),
        ("is_long == False", [2]),
        ("mood.score == 0.75", [0]),
        ("mood.labels == fear", [1]),
        ("mood.scores.label == calm and mood.scores.score > 0.4", [1]),
        ("ner.score == 0.9", [0, 1]),
        ("stars > -1", [0, 1]),
        ('"sure" in text', [0, 1]),
        ("not text", [3]),
    ],
)
def test_an_expression_chooses_rows(expression: str, rows: list[int]):
    mask = Where(expression, SCHEMA).mask(BATCH)
    assert [i for i, holds in enumerate(mask) if holds] == rows


def test_a_part_of_a_batch_gives_a_part_of_the_mask():
    where = Where("ner.label == PER and ner.score < 0.5", SCHEMA)
    assert where.mask(BATCH.slice(1)).tolist() == [True, False, False]


def test_it_says_which_columns_it_reads():
    assert Where("stars > 3 and ner.label == PER", SCHEMA).columns == ("stars", "ner")


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ner.label ==", "'ner.label ==' cannot be read; write one such as"),
        ("", "cannot be read"),
        ("nerr.label == PER", "'nerr.label' does not fit: there is no column 'nerr' among text"),
        ("ner.lable == PER", "ner has no field 'lable'"),
        ("stars.x == 1", "stars has no field 'x'"),
        ("stars == many", "what it is compared with is no int64"),
        ("text > 3", "what it is compared with is no string"),
        ("stars is 3", "can be compared by == != < <= > >= alone"),
        ("1 < stars < 3", "it is no condition"),
        ("stars + 1", "it is no condition"),
        ("3 == stars", "a column has to stand there"),
        ("stars == None", "a word, a number or a text in quotes has to stand there"),
        ("ner == PER", "what it is compared with is no struct"),
        ("__import__('os').system('true')", "it is no condition"),
        ("text == __import__('os').system('true')", "a word, a number or a text"),
    ],
)
def test_what_does_not_fit_is_said(expression: str, message: str):
    with pytest.raises(ConfigError) as error:
        Where(expression, SCHEMA)
    assert message in str(error.value)


@given(
    st.lists(st.lists(st.tuples(st.sampled_from("AB"), st.sampled_from([0.25, 0.5, 0.75])))),
    st.sampled_from("AB"),
    st.sampled_from([0.25, 0.5, 0.75]),
)
def test_joined_conditions_are_about_one_item(documents, label, score):
    rows = [{"ner": [entity(*each) for each in document]} for document in documents]
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    mask = Where(f"ner.label == {label} and ner.score >= {score}", SCHEMA).mask(batch)
    wanted = [any(each[0] == label and each[1] >= score for each in doc) for doc in documents]
    assert mask.tolist() == wanted
