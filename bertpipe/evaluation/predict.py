"""What a model finds: through the annotators' own passes, so that what is scored is what is run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bertpipe.annotators.base import BertAnnotator, read_config
from bertpipe.annotators.create import create
from bertpipe.annotators.ner import BertNer, NerHead
from bertpipe.annotators.passes import Pass
from bertpipe.annotators.plugins import plugin_points
from bertpipe.annotators.words import inside_word
from bertpipe.config import Component, EncoderSettings
from bertpipe.encoder.load import LoadedModel
from bertpipe.encoder.resolve import resolve
from bertpipe.errors import ConfigError
from bertpipe.evaluation.gold import Gold, batches, columns
from bertpipe.training.settings import Kind

TASKS: Mapping[str, Kind] = {
    "ForTokenClassification": "token_classification",
    "ForSequenceClassification": "text_classification",
    "ForQuestionAnswering": "question_answering",
    "ForMaskedLM": "masked_language_model",
    "ForNextSentencePrediction": "next_sentence",
}
FACTORIES: Mapping[str, str] = {
    "token_classification": "bert_ner",
    "text_classification": "bert_classifier",
    "question_answering": "bert_qa",
}
PAIR = "bert_pair"
COLUMN, GIVEN = "model", "given_words"


@dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """How a model is run; component: settings of the annotator, such as `pooling`."""

    encoder: EncoderSettings
    component: Mapping[str, Any]
    threshold: float | None = None


def task_of(model: str, config: Mapping[str, Any]) -> Kind:
    """Return the task that a model was trained for, by its config."""
    names = config.get("architectures") or ()
    for name in names:
        for ending, kind in TASKS.items():
            if name.endswith(ending):
                return kind
    said = ", ".join(names) or "nothing"
    raise ConfigError(
        f"Model {model!r} does not say for which of the tasks it is (its architectures: {said}); "
        f"give --task {', --task '.join(TASKS.values())}."
    )


def config_of(model: str, *, offline: bool) -> Mapping[str, Any]:
    """Return the config of a model."""
    return read_config(resolve(model, offline=offline).path)


class GivenWords(BertNer):
    """Finds entities in texts whose words are given, divided by spaces: one label for each.

    CoNLL data are scored so: a model learns one label for `U.S.`, which its tokenizer would divide.
    """

    def make_head(self, loaded: LoadedModel) -> NerHead:
        """Return a head for which words end at spaces alone."""
        return NerHead(loaded, self.resolved_aggregation, continues=inside_word)


def make_annotators(
    model: str, kind: Kind, settings: ModelSettings, *, are_pairs: bool, has_words: bool
) -> list[BertAnnotator]:
    """Return what is to be scored: the annotator that a run would have, named `COLUMN`.

    Where the words are given, one that labels these comes before it.
    """
    factory = PAIR if are_pairs else FACTORIES[kind]
    if are_pairs and PAIR not in plugin_points():
        raise ConfigError(
            "Pairs of texts are scored through the plug-in bertpipe-pair, which is not installed; "
            "run pip install bertpipe-pair."
        )
    own = {**_wanted(kind, settings, are_pairs=are_pairs), "model": model, **settings.component}
    made: Any = create(Component(COLUMN, factory, own), settings.encoder)
    if not has_words:
        return [made]
    given = GivenWords(GIVEN, model=model, encoder=made.encoder, aggregation=made.aggregation)
    return [given, made]


def _wanted(kind: Kind, settings: ModelSettings, *, are_pairs: bool) -> dict[str, Any]:
    if kind == "question_answering":
        # Answers below the threshold are needed to look for a better one.
        return {"question_field": "question", "no_answer_threshold": 0.0}
    if are_pairs:
        return {"second": "pair"}
    if kind == "text_classification":
        limit = {} if settings.threshold is None else {"threshold": settings.threshold}
        return {"top_k": 1 << 30, **limit}
    return {}


def predictions(
    annotators: Sequence[BertAnnotator], records: Sequence[Gold]
) -> Iterator[tuple[list[Gold], dict[str, pa.Array]]]:
    """Yield pieces of the records with what each annotator found, a column each."""
    shared = Pass(annotators)
    for batch in batches(records):
        yield batch, shared.run(columns(batch)).columns
