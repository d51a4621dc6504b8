"""What a text is worth under each label: by entailment, or by the nearness of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertpipe import LoadedModel, ModelError, Windowed, pool_windows

if TYPE_CHECKING:
    from torch import Tensor


class EntailmentHead:
    """Scores a text and a sentence by how far the text entails it.

    Among labels that exclude each other the score is the logit of entailment; otherwise that logit
    less the one of contradiction, which are the log odds of the two.
    """

    n_scores = 1

    def __init__(self, loaded: LoadedModel, *, multi_label: bool, pooling: str) -> None:
        self._module = loaded.head
        self._entailment = find_label(loaded.labels, "entail")
        self._contradiction = None
        if multi_label:
            self._contradiction = find_label(loaded.labels, "contra", "not_entail", "not entail")
        self._pooling = pooling

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n_windows, width) to scores (n_windows, 1)."""
        logits = self._module(hidden)
        found = logits[:, self._entailment]
        if self._contradiction is not None:
            found = found - logits[:, self._contradiction]
        return found[:, None]

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the score of each item, null without a window."""
        return _of_items(pa.array(_pooled(scores, windowed, self._pooling)[:, 0]), windowed)


class VectorHead:
    """Gives texts and sentences vectors of length 1."""

    def __init__(self, loaded: LoadedModel, *, pooling: str) -> None:
        self.n_scores = loaded.config.hidden_size
        self._pooling = pooling

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the states (n_windows, width) as they are."""
        return hidden

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the vector of each item, null without a window."""
        vectors = _pooled(scores, windowed, self._pooling)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        numbers = pa.array((vectors / np.maximum(lengths, 1e-12)).ravel())
        return _of_items(pa.FixedSizeListArray.from_arrays(numbers, self.n_scores), windowed)


def _pooled(scores: np.ndarray, windowed: Windowed, pooling: str) -> np.ndarray:
    offsets = windowed.windows.offsets
    return pool_windows(scores, offsets[:-1][np.diff(offsets) > 0], pooling)


def _of_items(values: pa.Array, windowed: Windowed) -> pa.Array:
    has_window = np.diff(windowed.windows.offsets) > 0
    return values.take(pa.array(np.cumsum(has_window) - 1, mask=~has_window))


def find_label(labels: tuple[str, ...], *beginnings: str) -> int:
    """Return the index of the label that begins so, whatever its case.

    Raises:
        ModelError: There is none, or more than one.
    """
    found = [i for i, label in enumerate(labels) if label.lower().startswith(beginnings)]
    if len(found) != 1:
        raise ModelError(
            f"A model whose labels are {', '.join(labels)} does not say which one is "
            f"{beginnings[0]}...; give a model of natural language inference, with these names as "
            "id2label in its config.json."
        )
    return found[0]
