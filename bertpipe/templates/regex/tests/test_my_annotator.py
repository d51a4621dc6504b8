import pyarrow as pa
import spacy
from my_annotator import MyAnnotator

import bertpipe
from bertpipe.testing import check_annotator


def test_it_keeps_the_contract():
    check_annotator(MyAnnotator("words", r"\w+"))


def test_it_finds_dates():
    texts = pa.array(["Due on 2024-05-01.", "Some day."])
    found = MyAnnotator("date", r"\d{4}-\d\d-\d\d").annotate(pa.record_batch({"text": texts}))
    assert [[one["text"] for one in matches] for matches in found.to_pylist()] == [
        ["2024-05-01"],
        [],
    ]


def test_it_is_installed():
    (row,) = bertpipe.annotate(["Due on 2024-05-01."], components=["my_annotator"])
    nlp = spacy.blank("en")
    nlp.add_pipe("my_annotator")
    doc = nlp("Due on 2024-05-01.")
    assert doc._.bertpipe["my_annotator"] == row["my_annotator"] != []
