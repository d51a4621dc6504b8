"""Schemes are recognised from the names of labels."""

import numpy as np
import pytest

from bertpipe.annotators.entities import Units, group
from bertpipe.annotators.tags import find_prefixes, plain_tags, read_tags

IOB = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
BILOU = ("O", "B-PER", "I-PER", "L-PER", "U-PER")
IOBES = ("O", "B-PER", "I-PER", "E-PER", "S-PER")


def entities(labels: tuple[str, ...], text: str) -> list[tuple[str, int, int]]:
    """Return type, first and last word of the entities of a sequence of labels."""
    ids = np.array([labels.index(label) for label in text.split()])
    n = np.arange(len(ids))
    tags = read_tags(labels)
    found = group(Units(n * 0, n, n + 1, ids, np.ones(len(ids), np.float32)), tags)
    return [
        (tags.types[tags.type_of[label]], int(start), int(end))
        for label, start, end in zip(found.label, found.start, found.end, strict=True)
        if tags.type_of[label] != tags.outside
    ]


def test_iob2_begins_every_entity_with_b():
    assert entities(IOB, "O B-PER I-PER B-PER O") == [("PER", 1, 3), ("PER", 3, 4)]


def test_iob1_begins_with_b_only_after_an_entity_of_the_same_type():
    assert entities(IOB, "I-PER I-PER B-PER I-LOC O I-LOC") == [
        ("PER", 0, 2),
        ("PER", 2, 3),
        ("LOC", 3, 4),
        ("LOC", 5, 6),
    ]


@pytest.mark.parametrize(("labels", "last", "single"), [(BILOU, "L", "U"), (IOBES, "E", "S")])
def test_bilou_and_iobes_also_mark_the_end(labels, last, single):
    text = f"B-PER I-PER {last}-PER I-PER {single}-PER {single}-PER O {last}-PER"
    found = [("PER", 0, 3), ("PER", 3, 4), ("PER", 4, 5), ("PER", 5, 6), ("PER", 7, 8)]
    assert entities(labels, text) == found


def test_plain_labels_join_neighbours():
    assert entities(("O", "PER", "LOC"), "PER PER O LOC PER") == [
        ("PER", 0, 2),
        ("LOC", 3, 4),
        ("PER", 4, 5),
    ]


def test_a_plain_label_keeps_its_hyphens():
    # transformers calls these entities NUMBER and RAY.
    labels = ("O", "CARD-NUMBER", "X-RAY")
    assert entities(labels, "CARD-NUMBER CARD-NUMBER X-RAY") == [
        ("CARD-NUMBER", 0, 2),
        ("X-RAY", 2, 3),
    ]


def test_letters_of_bilou_are_no_prefixes_in_iob():
    assert find_prefixes(("O", "B-PER", "I-PER", "L-SHAPE")) == frozenset("BI")
    assert find_prefixes(("O", "U-BOAT", "S-BAHN")) == frozenset("BI")
    assert read_tags(("O", "B-PER", "I-PER", "L-SHAPE")).types == ("O", "PER", "L-SHAPE")


def test_without_an_outside_label_every_token_is_of_an_entity():
    assert read_tags(("B-A", "I-A")).outside == -1


def test_labels_can_be_taken_as_they_stand():
    assert plain_tags(IOB).types == IOB
