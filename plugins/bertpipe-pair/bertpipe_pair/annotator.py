"""Classes of pairs of texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from bertpipe import (
    CLASSIFICATION_TYPE,
    CLASSIFIED_SPANS_TYPE,
    BertAnnotator,
    EncoderSettings,
    LoadedModel,
    Request,
    Windowed,
    check_choice,
    pool_windows,
    sentence_reads,
    span_lists,
    to_classes,
)
from bertpipe_pair.requests import column_pairs, neighbour_pairs

if TYPE_CHECKING:
    from torch import Tensor

TASKS = {
    "classification": "AutoModelForSequenceClassification",
    "next_sentence": "AutoModelForNextSentencePrediction",
}
# Models of next sentences do not name their two outputs.
NEXT_SENTENCE = ("next", "not_next")
FUNCTIONS = ("softmax", "sigmoid", "none")


class BertPair(BertAnnotator):
    """Classifies pairs of texts: each text with another column, or each sentence with the next.

    task: `classification` (paraphrase, inference, cross-encoders) or `next_sentence`.
    second: the column with the second text of each row; None pairs neighbouring sentences.
    sentences: the column with the sentences; None is those of the Doc, or found by spaCy's rules.
    function: from logits to scores; None is `sigmoid` for a model with one label, else `softmax`.
    pooling: how the scores of a long text's windows become one. Each window is read with the whole
        second text.
    """

    states = "first"

    def __init__(
        self,
        name: str = "pair",
        *,
        model: str,
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        task: str = "classification",
        second: str | None = None,
        sentences: str | None = None,
        function: str | None = None,
        pooling: str = "mean",
    ) -> None:
        check_choice(name, "task", task, tuple(TASKS))
        check_choice(name, "function", function, (None, *FUNCTIONS))
        check_choice(name, "pooling", pooling, ("mean", "max", "first"))
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.type = CLASSIFIED_SPANS_TYPE if second is None else CLASSIFICATION_TYPE
        self.auto_class = TASKS[task]
        self.reads = ("text", second) if second else sentence_reads(sentences)
        self.task = task
        self.second = second
        self.sentences = sentences
        self.function = function
        self.pooling = pooling

    def make_head(self, loaded: LoadedModel) -> PairHead:
        """Return the head of this annotator on a loaded model."""
        labels = self.labels_of(loaded.labels)
        function = self.function or ("sigmoid" if len(labels) == 1 else "softmax")
        return PairHead(loaded, labels, function=function, pooling=self.pooling)

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the model's labels; those of next sentences have names of ours."""
        return NEXT_SENTENCE if self.task == "next_sentence" else labels

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each pair once."""
        if self.second is not None:
            return column_pairs(batch, self.second)
        return neighbour_pairs(batch, self.sentences)

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row the class of its pair, or those of its neighbours."""
        found = values.take(pa.array(request.row_items))
        if request.row_spans is None:
            has_pair = np.diff(request.row_offsets) > 0
            return found.take(pa.array(np.cumsum(has_pair) - 1, mask=~has_pair))
        return span_lists(found, request, self.type)


class PairHead:
    """Scores pairs and pools the windows of each to one class."""

    def __init__(
        self, loaded: LoadedModel, labels: tuple[str, ...], *, function: str, pooling: str
    ) -> None:
        self.n_scores = len(labels)
        self._module = loaded.head
        self._labels = pa.array(labels, pa.string())
        self._function = function
        self._pooling = pooling

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n_windows, width) to scores (n_windows, n_labels)."""
        logits = self._module(hidden)
        if self._function == "softmax":
            return logits.softmax(-1)
        return logits.sigmoid() if self._function == "sigmoid" else logits

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the class of each pair; one whose first text has no token has none."""
        offsets = windowed.windows.offsets
        has_window = np.diff(offsets) > 0
        pooled = pool_windows(scores, offsets[:-1][has_window], self._pooling)
        labels = self._labels.take(pa.array(np.tile(np.arange(self.n_scores), len(pooled))))
        counts = has_window * self.n_scores
        return to_classes(labels, pooled.ravel(), counts, top_k=self.n_scores, threshold=None)
