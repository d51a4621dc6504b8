import pytest

from bertpipe.errors import CorpusError
from bertpipe.evaluation.evaluate import read_gold
from bertpipe.evaluation.gold import Classed, Marked, as_gold, batches, columns, marked_words
from bertpipe.training.settings import Source
from bertpipe.training.sources import Labelled, Sentence

WORDS = ["New", "York", "and", "Rome"]


@pytest.mark.parametrize(
    "tags",
    [
        ["B-LOC", "I-LOC", "O", "B-LOC"],
        ["I-LOC", "I-LOC", "O", "I-LOC"],
        ["B-LOC", "L-LOC", "O", "U-LOC"],
        ["B-LOC", "E-LOC", "O", "S-LOC"],
        ["LOC", "LOC", "O", "LOC"],
    ],
)
def test_every_scheme_of_tags_gives_the_same_entities(tags):
    gold = marked_words(WORDS, tags, {"LOC": "place"})
    assert gold.text == "New York and Rome"
    assert gold.spans == {(0, 8, "place"), (13, 17, "place")}


def test_a_file_in_which_some_entities_begin_otherwise_is_scored_as_conlleval_does(tmp_path):
    path = tmp_path / "x.conll"
    path.write_text("New B-LOC\nYork I-LOC\nand O\nRome I-LOC\n")
    (gold,) = read_gold("token_classification", Source(path=path), {}, is_multi=False)
    assert isinstance(gold, Marked)
    assert gold.spans == {(0, 8, "LOC"), (13, 17, "LOC")}


def test_words_of_a_known_text_keep_their_places():
    sentence = Sentence(["Rome", "!"], ["B-LOC", "O"], 0, "", "«Rome»!", [(1, 5), (6, 7)])
    gold = as_gold(sentence, {})
    assert gold == Marked("«Rome»!", frozenset({(1, 5, "LOC")}))


def test_labels_are_renamed():
    assert as_gold(Labelled("x", ("1", "2")), {"1": "good"}) == Classed("x", ("good", "2"))


def test_batches_hold_every_record_once(monkeypatch):
    monkeypatch.setattr("bertpipe.evaluation.gold.BATCH_CHARS", 5)
    monkeypatch.setattr("bertpipe.evaluation.gold.BATCH_RECORDS", 3)
    records = [Classed("x" * n, ()) for n in (1, 9, 2, 2, 2, 0, 1, 1, 0)]
    found = list(batches(records))
    assert [len(batch) for batch in found] == [2, 3, 3, 1]
    assert [record for batch in found for record in batch] == records


def test_a_text_that_is_no_unicode_names_its_line():
    records = [Classed("fine", ()), Classed("so \ud800", (), place="x.csv line 3")]
    with pytest.raises(CorpusError, match=r"x\.csv line 3 has a text with a lone.*'so '"):
        columns(records)
