"""One number for each text: the smallest BERT annotator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertpipe import BertAnnotator, EncoderSettings, LoadedModel, Windowed, pool_windows

if TYPE_CHECKING:
    from torch import Tensor


class MyAnnotator(BertAnnotator):
    """Gives each text the last logit of a sequence classifier.

    pooling: how the numbers of a long text's windows become one: mean, max or first.
    """

    type = pa.float32()
    auto_class = "AutoModelForSequenceClassification"
    states = "first"

    def __init__(
        self,
        name: str,
        *,
        model: str,
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        pooling: str = "mean",
    ) -> None:
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.pooling = pooling

    def make_head(self, loaded: LoadedModel) -> LastLogit:
        """Return the head of this annotator on a loaded model."""
        return LastLogit(loaded, self.pooling)


class LastLogit:
    """Scores windows by their last logit."""

    n_scores = 1

    def __init__(self, loaded: LoadedModel, pooling: str) -> None:
        self._module = loaded.head
        self._pooling = pooling

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n_windows, width) to scores (n_windows, 1)."""
        return self._module(hidden)[:, -1:]

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the number of each item; an item without a window, a blank text, has none."""
        offsets = windowed.windows.offsets
        has_window = np.diff(offsets) > 0
        numbers = pool_windows(scores, offsets[:-1][has_window], self._pooling)[:, 0]
        return pa.array(numbers).take(pa.array(np.cumsum(has_window) - 1, mask=~has_window))
