"""Values on Docs: the exact value, and what spaCy can show of it."""

import pyarrow as pa
import pytest
import spacy
from spacy.tokens import Doc, DocBin, Span

from bertpipe import ConfigError, docs

TEXT = "Anna Smith-Jones lives in Bad Ems."


@pytest.fixture
def doc() -> Doc:
    docs.register()
    return spacy.blank("en").make_doc(TEXT)


def found(text: str, score: float, label: str = "X") -> dict:
    start = TEXT.index(text)
    return {
        "start": start,
        "end": start + len(text),
        "label": label,
        "score": score,
        "text": text,
    }


def put(doc: Doc, *entities: dict, mode: str = "strict", overwrite: bool = False) -> list:
    spans = docs.align(doc, "ner", entities, label="label", alignment_mode=mode)
    docs.set_entities(doc, spans, overwrite=overwrite)
    return [(entity.text, entity.label_) for entity in doc.ents]


def test_the_exact_value_survives_bytes_and_docbins(doc):
    value = [found("Bad Ems", 0.1 + 0.2)]
    docs.set_value(doc, "ner", value)
    docs.set_value(doc, "nothing", None)
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again._.bertpipe == {"ner": value, "nothing": None}
    (stored,) = DocBin(docs=[doc], store_user_data=True).get_docs(doc.vocab)
    # A DocBin makes tuples of lists.
    assert stored._.bertpipe == {"ner": tuple(value), "nothing": None}


def test_two_docs_do_not_share_their_values(doc):
    other = spacy.blank("en").make_doc(TEXT)
    docs.set_value(doc, "ner", [])
    assert other._.bertpipe == {}


def test_of_overlapping_entities_the_one_with_the_higher_score_stays(doc):
    entities = [found("Anna Smith", 0.7), found("Smith", 0.9), found("Anna", 0.5)]
    assert put(doc, *entities) == [("Anna", "X"), ("Smith", "X")]


def test_entities_that_are_there_already_stay(doc):
    doc.ents = [Span(doc, 0, 2, label="OLD")]
    assert put(doc, found("Anna", 0.9), found("Bad Ems", 0.9)) == [
        ("Anna Smith", "OLD"),
        ("Bad Ems", "X"),
    ]


def test_overwriting_takes_away_only_what_overlaps(doc):
    doc.ents = [Span(doc, 0, 2, label="OLD"), Span(doc, 6, 8, label="OLD")]
    assert put(doc, found("Anna", 0.9), overwrite=True) == [("Anna", "X"), ("Bad Ems", "OLD")]


@pytest.mark.parametrize(
    ("mode", "expected", "n_unaligned"),
    [("strict", [], 1), ("contract", [], 1), ("expand", [("Anna", "X")], 0)],
)
def test_a_span_that_fits_no_token_is_counted(doc, mode, expected, n_unaligned):
    assert put(doc, found("nn", 0.9), mode=mode) == expected
    assert doc._.bertpipe_unaligned == {"ner": n_unaligned}


def test_a_span_can_be_contracted_to_whole_tokens(doc):
    assert put(doc, found("na Smith", 0.9), mode="contract") == [("Smith", "X")]


def test_spans_carry_their_scores_and_may_overlap(doc):
    entities = [found("Anna Smith", 0.25), found("Anna", 0.75)]
    spans = docs.align(doc, "ner", entities, label="label", alignment_mode="strict")
    docs.set_spans(doc, "mine", spans)
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert [span.text for span in again.spans["mine"]] == ["Anna Smith", "Anna"]
    assert again.spans["mine"].attrs["scores"] == [0.25, 0.75]


def test_categories_of_two_components_stand_together(doc):
    docs.set_categories(doc, [{"label": "good", "score": 0.75}])
    docs.set_categories(doc, [{"label": "new", "score": 0.5}])
    assert doc.cats == {"good": 0.75, "new": 0.5}


class TooMany:
    name = "too_many"
    type = pa.int32()
    reads: tuple[str, ...] = ("text",)

    def annotate(self, batch):
        return pa.array([1] * (len(batch) + 1), self.type)

    def set_annotations(self, doc, annotation):
        docs.set_value(doc, self.name, annotation)


def test_a_wrong_number_of_values_names_the_component_and_its_package(doc):
    with pytest.raises(ConfigError, match=r"'too_many' of \S+ returned 2 values .* for 1 rows"):
        docs.annotate_doc(TooMany(), doc)


def test_a_column_that_is_not_the_text_is_read_from_user_data(doc):
    other = spacy.blank("en").make_doc("")
    doc.user_data["question"] = "Who?"
    batch = docs.batch_of([doc, other], ("text", "question"))
    assert batch.to_pydict() == {"text": [TEXT, ""], "question": ["Who?", None]}
