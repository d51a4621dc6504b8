"""Labels that nobody trained, for texts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from bertpipe import (
    CLASSIFICATION_TYPE,
    CLASSIFIED_SPANS_TYPE,
    BertAnnotator,
    ConfigError,
    EncoderSettings,
    Head,
    LoadedModel,
    Request,
    check_choice,
    check_range,
    docs,
    pair_request,
    sentence_reads,
    sentence_request,
    span_lists,
    to_classes,
)
from bertpipe_zero_shot.compare import (
    Scored,
    entailments,
    own_cosines,
    own_request,
    shared_cosines,
    shared_request,
    softmax,
)
from bertpipe_zero_shot.heads import EntailmentHead, VectorHead
from bertpipe_zero_shot.hypotheses import Asked, Template, ask_all, ask_own, count_labels
from bertpipe_zero_shot.sentences import SentencesAsked, ask_sentences

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.training import Example

METHODS = ("entailment", "embedding")
MODELS = {"entailment": "en_nli_mini", "embedding": "all_minilm_l6_v2"}
TEMPLATES = {"entailment": "This example is {}.", "embedding": "{}"}
# all-MiniLM-L6-v2 was trained with soft-max over cosines times this.
SHARPNESS = 20.0


class BertZeroShot(BertAnnotator):
    """Classifies texts by labels that it is told.

    labels: the same for every text. label_field: the column with the labels of each text. Exactly
        one of the two is given.
    hypothesis_template: the sentence about a label; None is "This example is {}." for entailment,
        the label alone for embedding.
    method: `entailment` reads every text with every sentence; `embedding` compares the vector of
        the text with those of the sentences, which costs one reading however many there are.
    multi_label: whether the labels are scored each for itself: the probability of entailment, or
        the cosine of the vectors. Otherwise the scores of a text add up to 1.
    threshold: from which score a label is one of `labels`, with multi_label. top_k: how many scores
        are given. pooling: how the scores, or vectors, of a long text's windows become one.
    per: what has a class, `document` or `sentence`. sentences: the column with the sentences; None
        is those of the Doc, or found by spaCy's rules.
    """

    type = CLASSIFICATION_TYPE

    def __init__(
        self,
        name: str = "zero_shot",
        *,
        model: str | None = None,
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        labels: Sequence[str] | None = None,
        label_field: str | None = None,
        hypothesis_template: str | None = None,
        method: str = "entailment",
        multi_label: bool = False,
        threshold: float = 0.5,
        top_k: int = 20,
        pooling: str = "mean",
        per: str = "document",
        sentences: str | None = None,
    ) -> None:
        _check_labels(name, labels, label_field)
        check_choice(name, "method", method, METHODS)
        check_choice(name, "pooling", pooling, ("mean", "max", "first"))
        check_choice(name, "per", per, ("document", "sentence"))
        check_range(name, "top_k", top_k, least=1)
        super().__init__(name, model=model or MODELS[method], revision=revision, encoder=encoder)
        is_pair = method == "entailment"
        self.auto_class = "AutoModelForSequenceClassification" if is_pair else "AutoModel"
        self.states = "first" if is_pair else "mean"
        self.candidates = list(labels or ())
        self.label_field = label_field
        self.per = per
        self.sentences = sentences
        if per == "sentence":
            self.type = CLASSIFIED_SPANS_TYPE
            self.reads = sentence_reads(sentences)
        if label_field:
            self.reads = (*self.reads, label_field)
        self.template = Template(hypothesis_template or TEMPLATES[method], component=name)
        self.method = method
        self.multi_label = multi_label
        self.threshold = threshold
        self.top_k = top_k
        self.pooling = pooling

    def make_head(self, loaded: LoadedModel) -> Head:
        """Return the head of this annotator on a loaded model."""
        if self.method == "embedding":
            return VectorHead(loaded, pooling=self.pooling)
        return EntailmentHead(loaded, multi_label=self.multi_label, pooling=self.pooling)

    def pass_key(self) -> tuple[object, ...]:
        """Return what annotators must agree on to share a pass: what is asked, too."""
        template = (self.template.before, self.template.after)
        return (*super().pass_key(), self.method, template, tuple(self.candidates))

    def n_readings(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return with how many labels the text of each row is read, int64 (n_rows,)."""
        if self.method == "embedding":
            return super().n_readings(batch)
        if self.label_field is None:
            return np.full(batch.num_rows, len(self.candidates), dtype=np.int64)
        return count_labels(self._label_column(batch), field=self.label_field)

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each text and hypothesis once."""
        if self.per == "sentence":
            return ask_sentences(batch, sentence_request(batch, self.sentences), self._request)
        return self._request(batch)

    def _request(self, batch: pa.RecordBatch) -> Request:
        texts = batch["text"]
        if self.method == "embedding":
            if self.label_field is None:
                return shared_request(texts, self.hypotheses)
            return own_request(texts, self._asked(batch))
        asked = self._asked(batch)
        return pair_request(texts, asked.pairs, asked.row, text_first=True)

    @property
    def hypotheses(self) -> pa.Array:
        """Return the sentences about the labels that are the same for every text."""
        return pa.array([self.template.fill(label) for label in self.candidates], pa.string())

    def _asked(self, batch: pa.RecordBatch) -> Asked:
        if self.label_field is None:
            return ask_all(self.hypotheses, batch.num_rows)
        column = self._label_column(batch)
        return ask_own(column, self.template, field=self.label_field)

    def _label_column(self, batch: pa.RecordBatch) -> pa.Array:
        if self.label_field not in batch.schema.names:
            raise ConfigError(
                f"Component {self.name!r}: label_field {self.label_field!r} is no column; there "
                f"are {', '.join(batch.schema.names)}."
            )
        return batch[self.label_field]

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row its class, or those of its sentences; without labels there is none."""
        if isinstance(request, SentencesAsked):
            return span_lists(self._classes(values, request.asked), request.of_rows, self.type)
        return self._classes(values, request)

    def _classes(self, values: pa.Array, request: Request) -> pa.Array:
        if self.method == "entailment":
            blocks = entailments(values, request)
        elif self.label_field is None:
            blocks = shared_cosines(values, request, self.hypotheses)
        else:
            blocks = own_cosines(values, request)
        found = [self._to_classes(each) for each in blocks]
        return pa.concat_arrays([pa.nulls(0, CLASSIFICATION_TYPE), *found])

    def _to_classes(self, scored: Scored) -> pa.Array:
        known = pa.array([self.template.label(text) for text in scored.sentences], pa.string())
        labels, scores = known.take(pa.array(scored.index)), scored.scores
        if not self.multi_label:
            sharpness = SHARPNESS if self.method == "embedding" else 1.0
            scores = softmax(scores * np.float32(sharpness), scored.counts)
        elif self.method == "entailment":
            scores = np.exp(-np.logaddexp(0, -scores))
        threshold = self.threshold if self.multi_label else None
        return to_classes(labels, scores, scored.counts, top_k=self.top_k, threshold=threshold)

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the labels that are asked of every text."""
        return tuple(self.candidates)

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
        return docs.score_categories(
            examples, self.labels, multi_label=self.multi_label, threshold=self.threshold
        )


def _check_labels(name: str, labels: Sequence[str] | None, label_field: str | None) -> None:
    if bool(labels) == (label_field is not None):
        given = "both are given" if labels else "neither is given"
        raise ConfigError(
            f"Component {name!r} needs exactly one of labels (a list) and label_field (a column); "
            f"{given}."
        )
    counts = Counter(labels or ())
    for label, count in counts.items():
        if not label.strip() or count > 1:
            raise ConfigError(f"Component {name!r}: label {label!r} is blank or stands twice.")
