"""Numbering, counting and colouring labels."""

from hypothesis import given
from hypothesis import strategies as st

from bertpipe.view.facets import HUES, N_LISTED, N_OPEN, Facets


def test_a_label_has_one_number_in_a_column():
    facets = Facets()
    found = [("ner", "PER"), ("ner", "LOC"), ("ner", "PER"), ("pii", "PER")]
    assert [facets.count(*each) for each in found] == [0, 1, 0, 2]


def test_the_commonest_label_comes_first():
    facets = Facets()
    for label in "abbcbc":
        facets.count("ner", label)
    (group,) = facets.groups(["mood", "ner"])
    assert [(each.label, each.count) for each in group.facets] == [("b", 3), ("c", 2), ("a", 1)]
    assert (group.n_found, group.most) == (6, 3)


def test_many_labels_are_folded_and_very_many_only_counted():
    facets = Facets()
    for number in range(100):
        facets.count("ner", str(number))
    (group,) = facets.groups(["ner"])
    assert [len(group.open), len(group.folded)] == [N_OPEN, N_LISTED - N_OPEN]
    assert group.n_unlisted == 100 - N_LISTED


@given(st.lists(st.sampled_from(["PER", "Per", "PERSON", "LOC", "é", "", *"abcdefghijklmnop"])))
def test_every_common_label_has_a_hue_of_its_own(labels):
    facets = Facets()
    for label in labels:
        facets.count("ner", label)
        facets.count("mood", label)
    hues = facets.hues(["ner"])
    assert len(set(hues.values())) == len(hues) == min(len(set(labels)), len(HUES))


def test_a_label_has_the_same_hue_in_all_columns():
    facets = Facets()
    first, second = facets.count("ner", "odd"), facets.count("pii", "odd")
    hues = facets.hues(["ner", "pii"])
    assert hues[first] == hues[second]
