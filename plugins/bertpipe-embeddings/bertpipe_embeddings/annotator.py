"""Vectors of texts: an encoder whose states are pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from transformers import AutoConfig

from bertpipe import (
    BertAnnotator,
    ConfigError,
    EncoderSettings,
    LoadedModel,
    Request,
    Windowed,
    check_choice,
    sentence_reads,
    sentence_request,
    span_lists,
)
from bertpipe_embeddings.vectors import (
    NUMBERS,
    from_value,
    join,
    normalized,
    spans_type,
    to_spans,
    to_vectors,
    vector_type,
)

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from torch import Tensor

STATES = {"cls": "first", "mean": "mean", "max": "max", "pooler": "pooler"}
PARTS = ("document", "window", "sentence")


class BertEmbedding(BertAnnotator):
    """Gives documents, windows or sentences vectors.

    pooling: how the states of a window's tokens become a vector: that of the first (`cls`), their
        `mean` or `max`, or the model's own `pooler`.
    normalize: whether vectors have length 1.
    per: what has a vector: `document` (the windows of a long one are joined: the maximum for `max`,
        else their mean, weighted by their tokens), `window` or `sentence`.
    sentences: the column with the sentences; None is those of the Doc, or found by spaCy's rules.
    dtype: float32, float16 or int8 with a scale.
    """

    auto_class = "AutoModel"

    def __init__(
        self,
        name: str = "embedding",
        *,
        model: str = "all_minilm_l6_v2",
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        pooling: str = "mean",
        normalize: bool = True,
        per: str = "document",
        sentences: str | None = None,
        dtype: str = "float32",
    ) -> None:
        check_choice(name, "pooling", pooling, tuple(STATES))
        check_choice(name, "per", per, PARTS)
        check_choice(name, "dtype", dtype, tuple(NUMBERS))
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        if self.encoder.upstream is not None and (pooling == "pooler" or per == "sentence"):
            raise ConfigError(
                f"Component {name!r}: the pooler and vectors of sentences need an encoder of their "
                "own; leave out encoder."
            )
        self.states = STATES[pooling]
        self.pooling = pooling
        self.normalize = normalize
        self.per = per
        self.sentences = sentences
        self.dtype = dtype
        if per == "sentence":
            self.reads = sentence_reads(sentences)

    @property
    def type(self) -> pa.DataType:
        """Return the type of the column, read from the model's config."""
        config = AutoConfig.from_pretrained(
            self.folder.path, local_files_only=True, trust_remote_code=False
        )
        make = vector_type if self.per == "document" else spans_type
        return make(config.hidden_size, self.dtype)

    def make_head(self, loaded: LoadedModel) -> EmbeddingHead:
        """Return the head of this annotator on a loaded model."""
        return EmbeddingHead(
            loaded.config.hidden_size,
            pooling=self.pooling,
            normalize=self.normalize,
            per_window=self.per == "window",
            dtype=self.dtype,
        )

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each distinct text or sentence once."""
        if self.per != "sentence":
            return super().request(batch)
        return sentence_request(batch, self.sentences)

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Give each row its vector, or those of its parts; a row without a text is null."""
        if request.row_spans is None:
            return super().collect(values, request)
        return span_lists(values.take(pa.array(request.row_items)), request, self.type)

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return no labels, whatever the model's config says."""
        return ()

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write the value to `doc._.bertpipe[name]` and a document's vector to `doc.vector`."""
        super().set_annotations(doc, annotation)
        if self.per == "document" and annotation is not None:
            vector: Any = from_value(annotation)
            doc.vector = vector


class EmbeddingHead:
    """Makes vectors of the encoder's pooled states."""

    def __init__(
        self, width: int, *, pooling: str, normalize: bool, per_window: bool, dtype: str
    ) -> None:
        self.n_scores = width
        self._pooling = pooling
        self._normalize = normalize
        self._per_window = per_window
        self._dtype = dtype

    def scores(self, hidden: Tensor) -> Tensor:
        """Return the states (n_windows, width) as they are."""
        return hidden

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the vector of each item, or the vectors of its windows."""
        windows, tokens = windowed.windows, windowed.tokens
        offsets = windows.offsets
        if self._per_window:
            spans = np.stack([tokens.starts[windows.begin], tokens.ends[windows.end - 1]], axis=1)
            kind = spans_type(self.n_scores, self._dtype)
            return to_spans(self._to_arrow(scores), spans, offsets, kind)
        has_window = np.diff(offsets) > 0
        n_kept = windows.keep_end - windows.keep_begin
        joined = join(scores, offsets[:-1][has_window], n_kept, self._pooling)
        places = np.cumsum(has_window) - 1
        return self._to_arrow(joined).take(pa.array(places, mask=~has_window))

    def _to_arrow(self, vectors: np.ndarray) -> pa.Array:
        return to_vectors(normalized(vectors) if self._normalize else vectors, self._dtype)
