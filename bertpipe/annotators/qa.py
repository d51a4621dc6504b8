"""Answers to questions, as spans of the text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from torch import Tensor, nn

from bertpipe import docs
from bertpipe.annotators.answers import find_answers
from bertpipe.annotators.base import BertAnnotator, check_range
from bertpipe.annotators.questions import own_questions, same_questions
from bertpipe.annotators.request import Request, Windowed
from bertpipe.annotators.spans import lists, read_characters
from bertpipe.config import EncoderSettings
from bertpipe.encoder.load import LoadedModel
from bertpipe.errors import ConfigError
from bertpipe.records import QA_TYPE

if TYPE_CHECKING:
    from spacy.tokens import Doc
    from spacy.training import Example


class BertQa(BertAnnotator):
    """Finds answers in texts with an extractive question answering model.

    questions: texts by name, asked of every text; the answers carry the names. question_field: the
        column with the question of each row; the answers carry the question. Exactly one is given.
    top_k: answers a question has at most. max_answer_length: in tokens. no_answer_threshold: an
        answer with a lower score is left out.
    """

    type = QA_TYPE
    auto_class = "AutoModelForQuestionAnswering"

    def __init__(
        self,
        name: str = "qa",
        *,
        model: str = "en_qa_mini",
        revision: str | None = None,
        encoder: EncoderSettings | None = None,
        questions: dict[str, str] | None = None,
        question_field: str | None = None,
        top_k: int = 1,
        max_answer_length: int = 30,
        no_answer_threshold: float = 0.0,
    ) -> None:
        _check_questions(name, questions, question_field)
        check_range(name, "top_k", top_k, least=1)
        check_range(name, "max_answer_length", max_answer_length, least=1)
        check_range(name, "no_answer_threshold", no_answer_threshold, least=0, most=1)
        super().__init__(name, model=model, revision=revision, encoder=encoder)
        self.questions = dict(questions or {})
        self.question_field = question_field
        self.reads = ("text", question_field) if question_field else ("text",)
        self.top_k = top_k
        self.max_answer_length = max_answer_length
        self.no_answer_threshold = no_answer_threshold

    def make_head(self, loaded: LoadedModel) -> QaHead:
        """Return the head of this annotator on a loaded model."""
        return QaHead(
            loaded.head,
            names=tuple(self.questions) or None,
            top_k=self.top_k,
            max_length=self.max_answer_length,
            threshold=self.no_answer_threshold,
        )

    def pass_key(self) -> tuple[object, ...]:
        """Return what annotators must agree on to share a pass: the questions too."""
        return (*super().pass_key(), tuple(self.questions.items()), self.question_field)

    def request(self, batch: pa.RecordBatch) -> Request:
        """Return what the rows ask of the encoder: each text and question once."""
        if self.question_field is None:
            return same_questions(batch, list(self.questions.values()))
        return own_questions(batch, self.question_field)

    def n_readings(self, batch: pa.RecordBatch) -> np.ndarray:
        """Return how many questions each row asks, int64 (n_rows,)."""
        return np.full(batch.num_rows, max(1, len(self.questions)), dtype=np.int64)

    def collect(self, values: pa.Array, request: Request) -> pa.Array:
        """Join the answers to the questions of each row; a row without a text is null."""
        answers = values.take(pa.array(request.row_items))
        offsets = answers.offsets.to_numpy()[request.row_offsets]
        mask = pa.array(~request.has_text)
        return pa.ListArray.from_arrays(
            pa.array(offsets), answers.values, type=self.type, mask=mask
        )

    def set_annotations(self, doc: Doc, annotation: Any) -> None:
        """Write answers to `doc._.bertpipe[name]` and `doc.spans[name]`, the question as label.

        The question of a Doc, with question_field, is `doc.user_data[question_field]`.
        """
        super().set_annotations(doc, annotation)
        spans = docs.align(
            doc, self.name, annotation or (), label="question", alignment_mode="expand"
        )
        docs.set_spans(doc, self.name, spans)

    def labels_of(self, labels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the questions; the model's labels say nothing."""
        return tuple(self.questions)

    def score(self, examples: Iterable[Example], **settings: Any) -> dict[str, Any]:
        """Return precision, recall and F1 of `doc.spans[name]`."""
        return docs.score_spans(examples, self.name, **settings)


def _check_questions(
    name: str, questions: dict[str, str] | None, question_field: str | None
) -> None:
    if bool(questions) == (question_field is not None):
        given = "both are given" if questions else "neither is given"
        raise ConfigError(
            f"Component {name!r} needs exactly one of questions (a name and a text for each) and "
            f"question_field (a column); {given}."
        )
    for key, text in (questions or {}).items():
        if not text.strip():
            raise ConfigError(f"Component {name!r}: question {key!r} is blank; give it a text.")


class QaHead:
    """Scores tokens as start and end of an answer and decodes answers.

    names: what to call the questions, in their order; None calls each by its text.
    """

    n_scores = 2

    def __init__(
        self,
        module: nn.Module,
        *,
        names: tuple[str, ...] | None,
        top_k: int,
        max_length: int,
        threshold: float,
    ) -> None:
        self._module = module
        self._names = names
        self._top_k = top_k
        self._max_length = max_length
        self._threshold = threshold

    def scores(self, hidden: Tensor) -> Tensor:
        """Map hidden states (n, width) to start and end logits (n, 2)."""
        return self._module(hidden)

    def decode(self, scores: np.ndarray, windowed: Windowed) -> pa.Array:
        """Return the answers to each item, the best first."""
        request = windowed.request
        characters = read_characters(request.texts)
        found = find_answers(
            scores, windowed, characters, top_k=self._top_k, max_length=self._max_length
        )
        wanted = found.score >= self._threshold
        item, start, end = found.item[wanted], found.start[wanted], found.end[wanted]
        base = characters.offsets[request.items.text][item]
        prefix = request.items.prefix
        names = pa.array(self._names or request.prefixes, pa.string())
        asked = np.zeros(0, np.int32) if prefix is None else prefix[item]
        columns = {
            "question": names.take(pa.array(asked)),
            "start": start - base,
            "end": end - base,
            "text": characters.cut(start, end),
            "score": found.score[wanted],
        }
        return lists(item, len(request.items), columns, QA_TYPE)
