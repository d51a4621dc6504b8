"""One or several labels for a text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from torch import Tensor

from bertpipe import docs
from bertpipe.annotators.base import BertAnnotator, check_choice, check_range, read_config
from bertpipe.annotators.classes import to_classes
from bertpipe.annotators.request import Request, Windowed
from bertpipe.annotators.sentences import sentence_reads, sentence_request, span_lists
from bertpipe.config import EncoderSettings
from bertpipe.encoder.load import LoadedModel
from bertpipe.errors import ConfigError
from bertpipe.records import CLASSIFICATION_TYPE, CLASSIFIED_SPANS_TYPE

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.training import Example

FUNCTIONS = ("softmax", "sigmoid", "none")
POOLINGS = ("mean", "max", "first")
PARTS = ("document", "sentence")


class BertClassifier(BertAnnotator):
    """Classifies texts with a sequence classifier.

    labels: new names by the model's names. multi_label: whether labels exclude each other; None
        asks the model. function: from logits to scores; None is `sigmoid` for several labels a text
        and for a model with one label, `none` for a regression, else `softmax`.
    threshold: from which score a label is one of `labels`, with multi_label. top_k: how many scores
        are given. pooling: how the scores of a long text's windows become one.
    per: what has a class, `document` or `sentence`. sentences: the column with the sentences; None
        is those of the Doc, or found by spaCy's rules.
    """

    type = CLASSIFICATION_TYPE
    auto_class = "AutoModelForSequenceClassification"
    states = "first"

    def __init__(
        self,
        name: str = "classifier",
        *,
        model: str = "en_sentiment_mini",
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        labels: dict[str, str] | None = None,
        multi_label: bool | None = None,
        function: str | None = None,
        threshold: float = 0.5,
        top_k: int = 20,
        pooling: str = "mean",
        per: str = "document",
        sentences: str | None = None,
    ) -> None:
        check_choice(name, "per", per, PARTS)
        check_choice(name, "function", function, (None, *FUNCTIONS))
        check_choice(name, "pooling", pooling, POOLINGS)
        check_range(name, "top_k", top_k, least=1)
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.rename = dict(labels or {})
        self.multi_label = multi_label
        self.function = function
        self.threshold = threshold
        self.top_k = top_k
        self.pooling = pooling
        self.per = per
        self.sentences = sentences
        if per == "sentence":
            self.type = CLASSIFIED_SPANS_TYPE
            self.reads = sentence_reads(sentences)

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each distinct text or sentence once."""
        if self.per == "document":
            return super().request(batch)
        return sentence_request(batch, self.sentences)

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row its class, or those of its sentences."""
        if self.per == "document":
            return super().collect(values, request)
        return span_lists(values.take(pa.array(request.row_items)), request, self.type)

    def make_head(self, loaded: LoadedModel) -> ClassifierHead:
        """Return the head of this annotator on a loaded model."""
        problem = getattr(loaded.config, "problem_type", None)
        multi_label = self.is_multi_label(problem)
        return ClassifierHead(
            loaded,
            self.labels_of(loaded.labels),
            function=self.function or _default_function(problem, multi_label, loaded),
            pooling=self.pooling,
            top_k=self.top_k,
            threshold=self.threshold if multi_label else None,
        )

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the model's labels under their new names."""
        unknown = sorted(set(self.rename) - set(labels))
        if unknown:
            raise ConfigError(
                f"Component {self.name!r}: labels renames {unknown[0]!r}, which model "
                f"{self.model!r} does not have; it has {', '.join(labels)}."
            )
        renamed = tuple(self.rename.get(label, label) for label in labels)
        if len(set(renamed)) < len(renamed):
            twice = next(label for label in renamed if renamed.count(label) > 1)
            raise ConfigError(
                f"Component {self.name!r}: two labels would be called {twice!r}; give each its own "
                "name."
            )
        return renamed

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write the class to `doc._.bertpipe[name]` and its scores to `doc.cats`.

        Sentences with a class go to `doc.spans[name]`.
        """
        super().set_annotations(doc, annotation)
        docs.set_classes(doc, self.name, annotation)

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Return precision, recall, F1 and AUC of `doc.cats`, or of `doc.spans[name]`."""
        if self.per == "sentence":
            return docs.score_spans(examples, self.name)
        multi_label = self.is_multi_label(read_config(self.folder.path).get("problem_type"))
        return docs.score_categories(
            examples, self.labels, multi_label=multi_label, threshold=self.threshold
        )

    def is_multi_label(self, problem_type: str | None) -> bool:
        """Return whether several labels can hold, by the setting or else by the model's config."""
        if self.multi_label is not None:
            return self.multi_label
        return problem_type == "multi_label_classification"


def _default_function(problem: str | None, multi_label: bool, loaded: LoadedModel) -> str:
    if problem == "regression":
        return "none"
    return "sigmoid" if multi_label or len(loaded.labels) == 1 else "softmax"


class ClassifierHead:
    """Scores windows and pools them to a class for each item.

    threshold: of multi-label classification, else None.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        labels: tuple[str, ...],
        *,
        function: str,
        pooling: str,
        top_k: int,
        threshold: float | None,
    ) -> None:
        self.n_scores = len(labels)
        self._module = loaded.head
        self._labels = pa.array(labels, pa.string())
        self._function = function
        self._pooling = pooling
        self._top_k = top_k
        self._threshold = threshold

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n_windows, width) to scores (n_windows, n_labels)."""
        logits = self._module(hidden)
        if self._function == "softmax":
            return logits.softmax(-1)
        return logits.sigmoid() if self._function == "sigmoid" else logits

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the class of each item; an item without a window has none."""
        offsets = windowed.windows.offsets
        has_window = np.diff(offsets) > 0
        pooled = pool_windows(scores, offsets[:-1][has_window], self._pooling)
        names = self._labels.take(pa.array(np.tile(np.arange(self.n_scores), len(pooled))))
        return to_classes(
            names,
            pooled.ravel(),
            has_window * self.n_scores,
            top_k=self._top_k,
            threshold=self._threshold,
        )


def pool_windows(scores: np.ndarray, firsts: np.ndarray, pooling: str) -> np.ndarray:
    """Make one row of each item's windows: (n_windows, n_labels) -> (n_items, n_labels).

    firsts: the first window of each item; every item has one.
    """
    if pooling == "first" or len(firsts) == len(scores):
        return scores[firsts]
    if pooling == "max":
        return np.maximum.reduceat(scores, firsts)
    counts = np.diff(np.append(firsts, len(scores)))
    return np.add.reduceat(scores, firsts) / counts[:, None].astype(scores.dtype)
