"""Named entities: a label for each token, and entities from labels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from bertpipe import docs
from bertpipe.annotators.base import BertAnnotator, check_choice, read_config, read_labels
from bertpipe.annotators.entities import Units, group, separate, to_arrow, words
from bertpipe.annotators.request import Windowed
from bertpipe.annotators.spans import Characters, keep, read_characters
from bertpipe.annotators.tags import IOB2, OUTSIDE, has_ends, plain_tags, read_tags
from bertpipe.annotators.words import Continuations, Continues
from bertpipe.config import EncoderSettings
from bertpipe.encoder.load import LoadedModel
from bertpipe.records import NER_TYPE

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.training import Example

AGGREGATIONS = ("auto", "none", "simple", "first", "average", "max", "viterbi")
OF_ALL_LABELS = ("average", "viterbi")
ALIGNMENT_MODES = ("strict", "contract", "expand")


class BertNer(BertAnnotator):
    """Finds named entities with a token classifier.

    aggregation: how tokens become entities. `none`: each is one, with the model's own label.
        `simple`: neighbours of one type are one. The others join words instead of tokens; the label
        of a word is that of its first token (`first`), of the mean of its tokens' scores
        (`average`) or of the token with the best score (`max`). `viterbi` takes first tokens, too,
        and the likeliest labels of a text in which none goes on what did not begin. `auto` is
        `viterbi` for a model that is known to label so (BILOU, IOBES, or `tag_scheme` IOB2 in its
        config.json, which `bertpipe train` writes there) and `first` for others: one of IOB1
        begins entities with I-. Where a tokenizer does not mark pieces that continue a word
        (byte-level, SentencePiece), words end at spaces alone and `simple` keeps full stops and
        commas apart.
    alignment_mode, spans_key, overwrite: how entities stand in a Doc; see `bertpipe.docs`.
    """

    type = NER_TYPE
    auto_class = "AutoModelForTokenClassification"

    def __init__(
        self,
        name: str = "ner",
        *,
        model: str = "en_ner_mini",
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        aggregation: str = "auto",
        alignment_mode: str = "expand",
        spans_key: str | None = None,
        overwrite: bool = False,
    ) -> None:
        check_choice(name, "aggregation", aggregation, AGGREGATIONS)
        check_choice(name, "alignment_mode", alignment_mode, ALIGNMENT_MODES)
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.aggregation = aggregation
        self.alignment_mode = alignment_mode
        self.spans_key = spans_key
        self.overwrite = overwrite

    def make_head(self, loaded: LoadedModel) -> NerHead:
        """Return the head of this annotator on a loaded model."""
        return NerHead(loaded, self.resolved_aggregation)

    @property
    def resolved_aggregation(self) -> str:
        """Return the aggregation by name, whatever `auto` stands for."""
        if self.aggregation != "auto":
            return self.aggregation
        is_known = read_config(self.folder.path).get("tag_scheme") == IOB2
        return "viterbi" if is_known or has_ends(read_labels(self.folder.path)) else "first"

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write entities to `doc._.bertpipe[name]`, and to `doc.ents` or `doc.spans[spans_key]`."""
        super().set_annotations(doc, annotation)
        spans = docs.align(
            doc, self.name, annotation or (), label="label", alignment_mode=self.alignment_mode
        )
        if self.spans_key is None:
            docs.set_entities(doc, spans, overwrite=self.overwrite)
        else:
            docs.set_spans(doc, self.spans_key, spans)

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the types of entities, without the prefixes of the model's labels."""
        types = labels if self.aggregation == "none" else read_tags(labels).types
        return tuple(name for name in types if name != OUTSIDE)

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Return precision, recall and F1 of the entities, whole and by type."""
        if self.spans_key is None:
            return docs.score_entities(examples)
        return docs.score_spans(examples, self.spans_key, **settings)


class NerHead:
    """Scores tokens and decodes entities.

    A token's scores are its best label and that label's probability; for `average` and `viterbi`
    they are the probabilities of all labels. continues: which tokens continue a word; None asks the
    tokenizer.
    """

    def __init__(
        self, loaded: LoadedModel, aggregation: str, *, continues: Continues | None = None
    ) -> None:
        self.n_scores = len(loaded.labels) if aggregation in OF_ALL_LABELS else 2
        self._aggregation = aggregation
        self._module = loaded.head
        self._tags = (plain_tags if aggregation == "none" else read_tags)(loaded.labels)
        self._continues = continues or Continuations(loaded.tokenizer)

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to scores (n, n_scores)."""
        probabilities = self._module(hidden).softmax(-1)
        if self._aggregation in OF_ALL_LABELS:
            return probabilities
        score, label = probabilities.max(-1)
        return torch.stack([label.to(score.dtype), score], dim=-1)

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the entities of each item, in the order of the text."""
        characters = read_characters(windowed.request.texts)
        units = self._units(scores, windowed, characters)
        found = units if self._aggregation == "none" else group(units, self._tags)
        inside = self._tags.type_of[found.label] != self._tags.outside
        entities = separate(found.take(inside), characters)
        base = characters.offsets[windowed.request.items.text]
        return to_arrow(entities, self._tags, characters, base)

    def _units(self, scores: np.ndarray, windowed: Windowed, characters: Characters) -> Units:
        """Return the tokens or, as the aggregation says, the words."""
        kept = keep(windowed, characters)
        chosen = scores[kept.row]
        if self._aggregation in ("none", "simple"):
            label = chosen[:, 0].astype(np.int64)
            return Units(kept.item, kept.start, kept.end, label, chosen[:, 1])
        return words(kept, self._continues(kept, characters), chosen, self._aggregation, self._tags)
