"""Scored labels become classes, however many each item has."""

import numpy as np
import pyarrow as pa

from bertpipe.annotators.classes import to_classes
from bertpipe.records import CLASSIFICATION_TYPE


def classes(rows, **settings):
    """Return the classes of lists of labels with scores."""
    labels = pa.array([label for row in rows for label in row], pa.string())
    scores = np.array([score for row in rows for score in row.values()], np.float32)
    counts = np.array([len(row) for row in rows], np.int64)
    found = to_classes(labels, scores, counts, **{"top_k": 20, "threshold": None, **settings})
    found.validate(full=True)
    assert found.type == CLASSIFICATION_TYPE
    return found.to_pylist()


def test_labels_with_equal_scores_keep_their_order():
    (found,) = classes([{"one": 0.25, "two": 0.5, "three": 0.5, "four": 0.25}])
    assert [one["label"] for one in found["scores"]] == ["two", "three", "one", "four"]


def test_each_item_has_its_own_labels_and_one_without_any_is_null():
    first, none, last = classes([{"a": 0.25, "b": 0.75}, {}, {"c": 0.5}])
    assert (first["label"], first["score"], first["labels"]) == ("b", 0.75, ["b"])
    assert none is None
    assert last["scores"] == [{"label": "c", "score": 0.5}]


def test_the_threshold_chooses_labels_and_top_k_only_scores():
    found, low = classes([{"a": 0.5, "b": 0.75, "c": 0.25}, {"a": 0.25}], threshold=0.5, top_k=1)
    assert found["labels"] == ["b", "a"]
    assert [one["label"] for one in found["scores"]] == ["b"]
    assert (low["label"], low["labels"]) == ("a", [])


def test_no_item_gives_no_class():
    assert classes([]) == []
    assert classes([{}, {}]) == [None, None]
