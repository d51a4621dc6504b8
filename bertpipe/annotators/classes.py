"""Scored labels as values of `CLASSIFICATION_TYPE`."""

import numpy as np
import pyarrow as pa

from bertpipe.records import CLASSIFICATION_TYPE, SCORES_TYPE


def to_classes(
    labels: pa.Array, scores: np.ndarray, counts: np.ndarray, *, top_k: int, threshold: float | None
) -> pa.Array:
    """Return the class of each item from all its labels; an item without labels has none.

    labels: string (n,), those of an item together. scores: float32 (n,). counts: int64 (n_items,),
    the labels of each item. Labels with equal scores keep their order.
    top_k: how many scores are given. threshold: from which score a label is one of `labels`; None
    makes that the best one alone.
    """
    item = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-scores, item))
    labels, scores = labels.take(pa.array(order)), scores[order]
    rank = np.arange(len(item)) - np.repeat(np.cumsum(counts) - counts, counts)
    is_best, is_top = rank == 0, rank < top_k
    is_chosen = is_best if threshold is None else scores >= threshold
    pairs = pa.StructArray.from_arrays(
        [labels.filter(pa.array(is_top)), pa.array(scores[is_top])],
        fields=list(SCORES_TYPE.value_type),
    )
    has_labels = counts > 0

    def lists(chosen: np.ndarray, values: pa.Array, kind: pa.DataType) -> pa.Array:
        lengths = np.bincount(item[chosen], minlength=len(counts))[has_labels]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), values, type=kind)

    names = labels.filter(pa.array(is_chosen))
    columns = [
        labels.filter(pa.array(is_best)),
        pa.array(scores[is_best]),
        lists(is_chosen, names, CLASSIFICATION_TYPE.field("labels").type),
        lists(is_top, pairs, SCORES_TYPE),
    ]
    found = pa.StructArray.from_arrays(columns, fields=list(CLASSIFICATION_TYPE))
    return found.take(pa.array(np.cumsum(has_labels) - 1, mask=~has_labels))
