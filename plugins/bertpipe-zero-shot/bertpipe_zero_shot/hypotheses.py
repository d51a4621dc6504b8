"""From the labels of each row to sentences that a model can be asked about, and back."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from bertpipe import ConfigError, DocumentError


class Template:
    """A sentence with a gap for a label."""

    def __init__(self, text: str, *, component: str) -> None:
        if text.count("{}") != 1:
            raise ConfigError(
                f"Component {component!r}: hypothesis_template {text!r} must have the gap {{}} for "
                "the label exactly once."
            )
        self.before, self.after = text.split("{}")

    def fill(self, label: str) -> str:
        """Return the sentence about a label."""
        return f"{self.before}{label}{self.after}"

    def label(self, sentence: str) -> str:
        """Return the label that a sentence is about."""
        return sentence[len(self.before) : len(sentence) - len(self.after)]


@dataclass(frozen=True)
class Asked:
    """What is asked about the rows of a batch.

    hypotheses: distinct sentences. index: int64 (n_pairs,), which of them each pair asks.
    row: int64 (n_pairs,), the row of each pair, sorted.
    """

    hypotheses: pa.Array
    index: np.ndarray
    row: np.ndarray

    @property
    def pairs(self) -> pa.Array:
        """Return the sentence of each pair."""
        index = pa.array(self.index, pa.int32())
        return pa.DictionaryArray.from_arrays(index, self.hypotheses)


def ask_all(sentences: pa.Array, n_rows: int) -> Asked:
    """Ask all sentences of every row."""
    index = np.tile(np.arange(len(sentences)), n_rows)
    return Asked(sentences, index, np.repeat(np.arange(n_rows), len(sentences)))


def ask_own(column: pa.Array, template: Template, *, field: str) -> Asked:
    """Ask each row its own labels; a null asks none."""
    known: dict[str, int] = {}
    index: list[int] = []
    row: list[int] = []
    for i, value in enumerate(column.to_pylist()):
        for label in dict.fromkeys(_read_labels(value, field)):
            index.append(known.setdefault(template.fill(label), len(known)))
            row.append(i)
    return Asked(
        pa.array(list(known), pa.string()), np.array(index, np.int64), np.array(row, np.int64)
    )


def count_labels(column: pa.Array, *, field: str) -> np.ndarray:
    """Return how many labels each row has, int64 (n_rows,)."""
    return np.array([len(_read_labels(value, field)) for value in column.to_pylist()], np.int64)


def _read_labels(value: Any, field: str) -> list[str]:
    """Return the labels of a row: a list of strings, or one as JSON text, as readers give it."""
    try:
        labels = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        labels = value
    if labels is None:
        return []
    if not isinstance(labels, list) or not all(isinstance(one, str) for one in labels):
        raise DocumentError(
            f"The column {field!r} holds {value!r:.80}; label_field needs a list of strings."
        )
    return labels
